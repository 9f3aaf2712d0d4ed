//! Rounds the weights of a channel together, not each to its nearest step: what one weight was
//! rounded up by, its correlated neighbours can take back.
//!
//! For inputs with covariance `H` the error in a channel's output is `(w - q)' H (w - q)`. With
//! `H = R'R`, `R` upper triangular, that is a nearest-point search in a lattice, and Babai's
//! nearest plane ("On Lovász' lattice reduction and the nearest lattice point problem", 1986) is
//! the way to a good point: round the weights one after another, each after adding what the
//! errors of those already rounded mean to it. The mean of the inputs is left to
//! [`correct_bias`](super::correct_bias), so `H` is central.

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::graph::{Graph, NodeId, Op, Shape, Window};
use crate::quantized::{Network, Weights};

/// Layers with more weights a channel are rounded to nearest: there, errors average out, and the
/// covariance would not fit.
const MAX_DEPTH: usize = 2304;

/// Output positions that are looked at in each sample.
const POSITIONS: usize = 48;

/// Added to the diagonal, as a share of its mean: directions that the samples did not show still
/// count a little.
const DAMPING: f64 = 0.01;

/// Covariances of what the weights of every layer are multiplied with.
#[derive(Clone, Debug)]
pub struct Covariances {
    /// For each node the weighted layers that read it.
    readers: Vec<Vec<NodeId>>,
    /// For each node the sums over its groups of channels; empty for layers without weights.
    layers: Vec<Vec<Moments>>,
}

/// Sums over the inputs of one channel, or of all channels that share their inputs.
#[derive(Clone, Debug)]
struct Moments {
    count: u64,
    first: Vec<f32>,
    /// `[depth, depth]`, the lower triangle.
    second: Vec<f32>,
}

impl Covariances {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(graph: &Graph) -> Self {
        let layers: Vec<Vec<Moments>> = graph
            .iter()
            .map(|(id, node)| match &node.op {
                Op::Conv { filter, .. } | Op::Dense { weights: filter, .. } => {
                    let depth = filter.len() / filter.shape[0];
                    if depth <= MAX_DEPTH { vec![Moments::new(depth)] } else { Vec::new() }
                }
                Op::DepthwiseConv { window, .. } => {
                    let channels = graph.input_shapes(id).next().map_or(0, Shape::channels);
                    vec![Moments::new(window.kernel.area()); channels]
                }
                _ => Vec::new(),
            })
            .collect();
        let readers = graph.readers().into_iter().map(|readers| {
            readers.into_iter().filter(|id| !layers[id.index()].is_empty()).collect()
        });
        Self { readers: readers.collect(), layers }
    }

    /// Counts the outputs of one layer on one sample as inputs of the layers that read it.
    pub fn observe(&mut self, graph: &Graph, id: NodeId, values: &[f32]) {
        for reader in self.readers[id.index()].clone() {
            let node = graph.node(reader);
            let window = match &node.op {
                Op::Conv { window, .. } | Op::DepthwiseConv { window, .. } => *window,
                _ => {
                    self.layers[reader.index()][0].add(values);
                    continue;
                }
            };
            let patches = Patches { shape: graph.node(id).shape, values, window };
            let extent = node.shape.extent();
            let positions = extent.height * extent.width;
            let count = positions.min(POSITIONS);
            for position in (0..count).map(|place| place * positions / count) {
                let (row, column) = (position / extent.width, position % extent.width);
                match &mut self.layers[reader.index()][..] {
                    [all] if matches!(node.op, Op::Conv { .. }) => {
                        all.add(&patches.all(row, column));
                    }
                    channels => {
                        for (channel, moments) in channels.iter_mut().enumerate() {
                            moments.add(&patches.channel(row, column, channel));
                        }
                    }
                }
            }
        }
    }

    /// Joins what another thread has seen.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.layers.iter_mut().flatten().zip(other.layers.iter().flatten()) {
            mine.count += theirs.count;
            mine.first.iter_mut().zip(&theirs.first).for_each(|(mine, theirs)| *mine += theirs);
            mine.second.iter_mut().zip(&theirs.second).for_each(|(mine, theirs)| *mine += theirs);
        }
    }
}

/// Windows of a map.
struct Patches<'a> {
    shape: Shape,
    values: &'a [f32],
    window: Window,
}

impl Patches<'_> {
    /// Where the taps of a window lie; `None` in the padding.
    fn taps(&self, row: usize, column: usize) -> impl Iterator<Item = Option<usize>> {
        let (extent, window) = (self.shape.extent(), self.window);
        let taps = (0..window.kernel.height)
            .flat_map(move |y| (0..window.kernel.width).map(move |x| (y, x)));
        taps.map(move |(y, x)| {
            let y = (row * window.stride.height + y * window.dilation.height)
                .checked_sub(window.padding.top)?;
            let x = (column * window.stride.width + x * window.dilation.width)
                .checked_sub(window.padding.left)?;
            (y < extent.height && x < extent.width).then_some(y * extent.width + x)
        })
    }

    /// A window with all its channels.
    fn all(&self, row: usize, column: usize) -> Vec<f32> {
        let channels = self.shape.channels();
        let mut patch = Vec::with_capacity(self.window.kernel.area() * channels);
        for tap in self.taps(row, column) {
            match tap {
                Some(pixel) => {
                    patch.extend_from_slice(&self.values[pixel * channels..][..channels])
                }
                None => patch.resize(patch.len() + channels, 0.0),
            }
        }
        patch
    }

    /// One channel of a window.
    fn channel(&self, row: usize, column: usize, channel: usize) -> Vec<f32> {
        let channels = self.shape.channels();
        let value = |tap: Option<usize>| tap.map_or(0.0, |at| self.values[at * channels + channel]);
        self.taps(row, column).map(value).collect()
    }
}

impl Moments {
    fn new(depth: usize) -> Self {
        Self { count: 0, first: vec![0.0; depth], second: vec![0.0; depth * depth] }
    }

    fn add(&mut self, inputs: &[f32]) {
        self.count += 1;
        for (index, (&input, row)) in
            inputs.iter().zip(self.second.chunks_exact_mut(inputs.len())).enumerate()
        {
            self.first[index] += input;
            if input != 0.0 {
                row[..=index].iter_mut().zip(inputs).for_each(|(sum, other)| *sum += input * other);
            }
        }
    }

    /// The factor of the covariance; `None` without samples or variance.
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn lattice(&self) -> Option<Lattice> {
        let depth = self.first.len();
        let count = self.count as f64;
        let mean = |index: usize| f64::from(self.first[index]) / count;
        let variance = |i: usize, j: usize| {
            let (i, j) = (i.max(j), i.min(j));
            f64::from(self.second[i * depth + j]) / count - mean(i) * mean(j)
        };
        let damping = (0..depth).map(|i| variance(i, i)).sum::<f64>() / depth as f64 * DAMPING;
        if self.count < 2 || damping.is_nan() || damping <= f64::MIN_POSITIVE {
            return None;
        }
        // The strongest inputs are rounded first, while all others can still make up for it.
        let mut order: Vec<usize> = (0..depth).collect();
        order.sort_by(|&a, &b| variance(a, a).total_cmp(&variance(b, b)));
        let mut matrix: Vec<f64> = Vec::with_capacity(depth * depth);
        for &i in &order {
            matrix
                .extend(order.iter().map(|&j| variance(i, j) + if i == j { damping } else { 0.0 }));
        }
        upper_factor(&mut matrix, depth).then_some(Lattice { order, factor: matrix })
    }
}

/// Replaces the upper triangle of a symmetric positive definite `[n, n]` matrix by `R` with
/// `R'R = matrix`; false when it is not positive definite.
fn upper_factor(matrix: &mut [f64], n: usize) -> bool {
    for k in 0..n {
        let (above, below) = matrix.split_at_mut((k + 1) * n);
        let row = &mut above[k * n + k..];
        if row[0].is_nan() || row[0] <= 0.0 {
            return false;
        }
        let root = row[0].sqrt();
        row.iter_mut().for_each(|value| *value /= root);
        let row = &*row;
        let rest = below.par_chunks_exact_mut(n).enumerate();
        rest.for_each(|(index, target)| {
            let i = index + 1;
            let factor = row[i];
            target[k + i..].iter_mut().zip(&row[i..]).for_each(|(value, r)| *value -= factor * r);
        });
    }
    true
}

/// In which errors of the weights are measured.
struct Lattice {
    order: Vec<usize>,
    /// `[depth, depth]`, upper triangular.
    factor: Vec<f64>,
}

impl Lattice {
    /// Steps near `weights` whose error weighs little.
    fn round(&self, weights: &[f32], scale: f32) -> Vec<i8> {
        let depth = self.order.len();
        let mut errors = vec![0.0_f64; depth];
        let mut rounded = vec![0_i8; depth];
        for place in (0..depth).rev() {
            let row = &self.factor[place * depth..][place..depth];
            let carried: f64 = row[1..].iter().zip(&errors[place + 1..]).map(|(r, e)| r * e).sum();
            let index = self.order[place];
            let weight = f64::from(weights[index]) / f64::from(scale);
            let steps = super::saturate(libm::round(weight + carried / row[0])).max(-127);
            errors[place] = weight - f64::from(steps);
            rounded[index] = steps;
        }
        rounded
    }
}

/// Rounds the weights of `network` anew, from those of the float `graph` that it was made of.
pub fn round_weights(network: &mut Network, graph: &Graph, covariances: &Covariances) {
    for node in &mut network.nodes {
        let Some(id) = graph.node_by_name(&node.name) else { continue };
        let layer = &covariances.layers[id.index()];
        let Some(weights) = node.op.weights_mut() else { continue };
        match (&graph.node(id).op, &layer[..]) {
            (Op::Conv { filter, .. } | Op::Dense { weights: filter, .. }, [all]) => {
                round_rows(weights, &filter.data, |_| 0, &[all.lattice()]);
            }
            (Op::DepthwiseConv { filter, .. }, channels) if !channels.is_empty() => {
                let multiplier = weights.channels() / channels.len();
                let lattices: Vec<_> = channels.iter().map(Moments::lattice).collect();
                let data = super::channels_first(filter).data;
                round_rows(weights, &data, |row| row / multiplier, &lattices);
            }
            _ => {}
        }
    }
}

fn round_rows(
    weights: &mut Weights,
    data: &[f32],
    lattice: impl Fn(usize) -> usize + Sync,
    lattices: &[Option<Lattice>],
) {
    let depth = weights.depth;
    weights.values.par_chunks_exact_mut(depth).zip(weights.scales.par_iter()).enumerate().for_each(
        |(row, (values, &scale))| {
            if let Some(lattice) = &lattices[lattice(row)] {
                values.copy_from_slice(&lattice.round(&data[row * depth..][..depth], scale));
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: usize = 6;

    /// Inputs of which neighbours resemble each other, as those of pixels do.
    fn moments() -> Moments {
        let mut moments = Moments::new(DEPTH);
        for sample in 0..200_usize {
            let noise = |k: usize| ((sample * 131 + k * 57) % 41) as f32 / 20.0 - 1.0;
            moments.add(&core::array::from_fn::<f32, DEPTH, _>(|k| noise(0) + 0.2 * noise(k + 1)));
        }
        moments
    }

    fn covariance(moments: &Moments, i: usize, j: usize) -> f64 {
        let count = moments.count as f64;
        let (i, j) = (i.max(j), i.min(j));
        f64::from(moments.second[i * DEPTH + j]) / count
            - f64::from(moments.first[i]) / count * f64::from(moments.first[j]) / count
    }

    #[test]
    fn the_factor_multiplies_back() {
        let moments = moments();
        let lattice = moments.lattice().unwrap();
        let damping =
            (0..DEPTH).map(|i| covariance(&moments, i, i)).sum::<f64>() / DEPTH as f64 * DAMPING;
        for i in 0..DEPTH {
            for j in 0..DEPTH {
                let product: f64 = (0..=i.min(j))
                    .map(|k| lattice.factor[k * DEPTH + i] * lattice.factor[k * DEPTH + j])
                    .sum();
                let expected = covariance(&moments, lattice.order[i], lattice.order[j])
                    + if i == j { damping } else { 0.0 };
                assert!((product - expected).abs() < 1e-9, "{i} {j}: {product} {expected}");
            }
        }
    }

    #[test]
    fn rounding_together_errs_less_in_the_output() {
        let moments = moments();
        let lattice = moments.lattice().unwrap();
        let (mut together, mut nearest) = (0.0, 0.0);
        for row in 0..50 {
            let weights: Vec<f32> =
                (0..DEPTH).map(|k| ((row * 29 + k * 61) % 97) as f32 * 1.7 - 60.3).collect();
            let steps = lattice.round(&weights, 2.0);
            let energy = |q: &dyn Fn(usize) -> f64| -> f64 {
                let error = |i: usize| f64::from(weights[i]) / 2.0 - q(i);
                let pairs = (0..DEPTH).flat_map(|i| (0..DEPTH).map(move |j| (i, j)));
                pairs.map(|(i, j)| error(i) * error(j) * covariance(&moments, i, j)).sum()
            };
            together += energy(&|i| f64::from(steps[i]));
            nearest += energy(&|i| (f64::from(weights[i]) / 2.0).round());
        }
        assert!(together < 0.5 * nearest, "{together} {nearest}");
    }

    #[test]
    fn without_variance_there_is_nothing_to_go_by() {
        let mut moments = Moments::new(3);
        assert!(moments.lattice().is_none());
        (0..5).for_each(|_| moments.add(&[1.0, 1.0, 1.0]));
        assert!(moments.lattice().is_none());
    }
}
