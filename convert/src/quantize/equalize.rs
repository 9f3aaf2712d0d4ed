//! Cross-layer equalization: one scale for a whole tensor is coarse for its weak channels, so they
//! are made stronger, and what reads them weaker, before the scale is chosen.
//!
//! `f(s * x) = s * f(x)` for ReLU and no activation at all, and for ReLU6 as long as the strong
//! channels keep their bound, so multiplying an output channel of one layer by `s` and dividing
//! the weights that read it by `s` keeps the function. The idea is that of "Data-Free Quantization
//! through Weight Equalization and Bias Correction" (Nagel et al., 2019); here the factors come
//! from the channels' measured outputs, and how far to go is chosen for each pair of layers by the
//! noise that the reader's output would have.

use crate::graph::{Activation, Graph, GraphError, Node, NodeId, Op, Param};

/// What the channels of every layer's output look like on the calibration set.
#[derive(Clone, Debug)]
pub struct ChannelStatistics(Vec<Vec<Channel>>);

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    /// Largest magnitude.
    peak: f32,
    /// Sum of squares.
    energy: f64,
    /// Values that are not zero: zero is exact in every scale.
    active: u64,
}

impl ChannelStatistics {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(graph: &Graph) -> Self {
        let channels = |node: &Node| vec![Channel::default(); node.shape.channels()];
        Self(graph.nodes().iter().map(channels).collect())
    }

    /// Counts the outputs of one layer on one sample.
    pub fn observe(&mut self, id: NodeId, values: &[f32]) {
        let channels = &mut self.0[id.index()];
        for pixel in values.chunks_exact(channels.len()) {
            for (channel, &value) in channels.iter_mut().zip(pixel) {
                channel.peak = channel.peak.max(value.abs());
                channel.energy += f64::from(value) * f64::from(value);
                channel.active += u64::from(value != 0.0);
            }
        }
    }

    /// Joins what another thread has seen.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            mine.peak = mine.peak.max(theirs.peak);
            mine.energy += theirs.energy;
            mine.active += theirs.active;
        }
    }
}

/// Equalizes every pair of weighted layers of which the second is the only reader of the first,
/// directly or through a pooling.
///
/// # Errors
/// [`GraphError`] when scaled weights are not finite any more.
pub fn equalize(graph: Graph, statistics: &ChannelStatistics) -> Result<Graph, GraphError> {
    let readers = graph.readers();
    let pairs: Vec<(NodeId, NodeId)> = graph
        .iter()
        .filter(|(_, node)| is_scalable(&node.op))
        .filter_map(|(id, _)| Some((id, weighted_reader(&graph, &readers, id)?)))
        .collect();
    let (mut builder, mut nodes, output) = graph.into_builder();
    for (first, second) in pairs {
        let channels = &statistics.0[first.index()];
        let ceiling = match nodes[first.index()].op.activation() {
            Some(Activation::Relu6) => Some(6.0),
            _ => None,
        };
        if let Some(factors) = best_factors(channels, &nodes[second.index()].op, ceiling) {
            scale_outputs(&mut nodes[first.index()].op, &factors);
            scale_inputs(&mut nodes[second.index()].op, &factors);
        }
    }
    for node in nodes {
        builder.push(node)?;
    }
    builder.finish(output)
}

/// Whether scaling its output channels is scaling its weights and biases.
fn is_scalable(op: &Op) -> bool {
    let is_weighted = matches!(op, Op::Conv { .. } | Op::DepthwiseConv { .. } | Op::Dense { .. });
    is_weighted
        && matches!(op.activation(), Some(Activation::None | Activation::Relu | Activation::Relu6))
}

/// The weighted layer that alone reads `id`.
fn weighted_reader(graph: &Graph, readers: &[Vec<NodeId>], mut id: NodeId) -> Option<NodeId> {
    let channels = graph.node(id).shape.channels();
    let mut flattened = false;
    loop {
        let &[reader] = &readers[id.index()][..] else { return None };
        let node = graph.node(reader);
        match &node.op {
            Op::Dense { .. } => return Some(reader),
            Op::Conv { .. } | Op::DepthwiseConv { .. } => return (!flattened).then_some(reader),
            Op::GlobalAvgPool { .. } | Op::Dropout { .. } => {}
            Op::AvgPool { activation: Activation::None, .. }
            | Op::MaxPool { activation: Activation::None, .. } => {}
            // A dense layer reads the elements of a map in its memory order.
            Op::Flatten | Op::Reshape(_) => flattened |= node.shape.channels() != channels,
            _ => return None,
        }
        id = reader;
    }
}

/// How far equalization may go, in steps from not at all to all channels as strong as the
/// strongest.
const STEPS: u8 = 16;

/// One factor a channel, those with the least noise in the reader's output; `None` when leaving
/// the channels as they are is best.
fn best_factors(channels: &[Channel], reader: &Op, ceiling: Option<f32>) -> Option<Vec<f32>> {
    let strongest = channels.iter().fold(0.0_f32, |peak, channel| peak.max(channel.peak));
    if strongest <= f32::MIN_POSITIVE {
        return None;
    }
    let top = ceiling.unwrap_or(strongest);
    let factors = |step: u8| -> Vec<f32> {
        let degree = f32::from(step) / f32::from(STEPS);
        let of = |channel: &Channel| {
            let peak = if channel.peak > 0.0 { channel.peak } else { strongest };
            let relative = (peak / strongest).max(WEAKEST);
            top / strongest * relative.powf(-degree)
        };
        channels.iter().map(of).collect()
    };
    let mut best = (0, noise(reader, channels, &factors(0), top)?);
    for step in 1..=STEPS {
        let noise = noise(reader, channels, &factors(step), top)?;
        if noise < best.1 {
            best = (step, noise);
        }
    }
    (best.0 > 0 || top > strongest).then(|| factors(best.0))
}

/// Channels weaker than this share of the strongest are not made any stronger.
const WEAKEST: f32 = 1.0 / 1024.0;

/// Which input and output channels a weight joins.
#[derive(Clone, Copy)]
enum Wiring {
    /// `[O, .., I]`, or `[O, positions * I]`.
    Dense { depth: usize, inputs: usize },
    /// `[.., C * multiplier]`.
    Depthwise { outputs: usize, multiplier: usize },
}

impl Wiring {
    /// Of a layer that reads this many channels.
    fn of(op: &Op, inputs: usize) -> Option<Self> {
        let filter = filter(op)?;
        let outputs = match op {
            Op::DepthwiseConv { .. } => {
                let outputs = filter.shape[3];
                return Some(Self::Depthwise { outputs, multiplier: outputs / inputs });
            }
            _ => filter.shape[0],
        };
        Some(Self::Dense { depth: filter.data.len() / outputs, inputs })
    }

    const fn input(self, index: usize) -> usize {
        match self {
            Self::Dense { depth, inputs } => index % depth % inputs,
            Self::Depthwise { outputs, multiplier } => index % outputs / multiplier,
        }
    }

    const fn output(self, index: usize) -> usize {
        match self {
            Self::Dense { depth, .. } => index / depth,
            Self::Depthwise { outputs, .. } => index % outputs,
        }
    }
}

/// Energy of the errors in a reader's outputs when the channels that it reads are multiplied by
/// `factors` and quantized over `[0, top]` or `[-top, top]`, and its own weights are quantized.
fn noise(reader: &Op, channels: &[Channel], factors: &[f32], top: f32) -> Option<f64> {
    let (weights, wiring) = (&filter(reader)?.data, Wiring::of(reader, channels.len())?);
    let scaled = |index: usize| weights[index] / factors[wiring.input(index)];
    let mut widest = vec![0.0_f32; weights.len()];
    for index in 0..weights.len() {
        let widest = &mut widest[wiring.output(index)];
        *widest = widest.max(scaled(index).abs());
    }
    let step = f64::from(top) / 255.0;
    #[allow(clippy::cast_precision_loss, reason = "a count is a weight here")]
    let of = |index: usize| {
        let channel = &channels[wiring.input(index)];
        let factor = f64::from(factors[wiring.input(index)]);
        let weight_step = f64::from(widest[wiring.output(index)]) / 127.0;
        let weight = f64::from(scaled(index));
        weight * weight * channel.active as f64 * step * step
            + weight_step * weight_step * channel.energy * factor * factor
    };
    Some((0..weights.len()).map(of).sum())
}

const fn filter(op: &Op) -> Option<&Param> {
    match op {
        Op::Conv { filter, .. } | Op::DepthwiseConv { filter, .. } => Some(filter),
        Op::Dense { weights, .. } => Some(weights),
        _ => None,
    }
}

fn filter_mut(op: &mut Op) -> Option<(&mut Param, Option<&mut Param>)> {
    match op {
        Op::Conv { filter, bias, .. } | Op::DepthwiseConv { filter, bias, .. } => {
            Some((filter, bias.as_mut()))
        }
        Op::Dense { weights, bias, .. } => Some((weights, bias.as_mut())),
        _ => None,
    }
}

fn scale_outputs(op: &mut Op, factors: &[f32]) {
    let Some(wiring) = Wiring::of(op, factors.len()) else { return };
    let Some((filter, bias)) = filter_mut(op) else { return };
    for (index, weight) in filter.data.iter_mut().enumerate() {
        *weight *= factors[wiring.output(index)];
    }
    if let Some(bias) = bias {
        bias.data.iter_mut().zip(factors).for_each(|(bias, factor)| *bias *= factor);
    }
}

fn scale_inputs(op: &mut Op, factors: &[f32]) {
    let Some(wiring) = Wiring::of(op, factors.len()) else { return };
    let Some((filter, _)) = filter_mut(op) else { return };
    for (index, weight) in filter.data.iter_mut().enumerate() {
        *weight /= factors[wiring.input(index)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Extent, GraphBuilder, Padding, Shape, Window};
    use crate::interpret;

    const SIDE: usize = 5;
    const CHANNELS: usize = 4;

    /// Pointwise, depthwise, pointwise, the channels of the first of very different strength.
    fn network() -> Graph {
        let mut builder = GraphBuilder::new("weak");
        let map = Shape::Map { height: SIDE, width: SIDE, channels: CHANNELS };
        let mut last = builder.input("in", map).unwrap();
        let strength = |channel: usize| 4.0_f32.powi(-i32::try_from(channel).unwrap());
        let pattern = |index: usize| ((index * 37 % 23) as f32 - 9.0) / 11.0;
        let pointwise = |scaled: bool| Op::Conv {
            filter: Param::new(
                "w",
                [CHANNELS, 1, 1, CHANNELS],
                (0..CHANNELS * CHANNELS)
                    .map(|i| pattern(i) * if scaled { strength(i / CHANNELS) } else { 1.0 })
                    .collect(),
            )
            .unwrap(),
            bias: Some(Param::new("b", [CHANNELS], vec![0.01; CHANNELS]).unwrap()),
            window: Window::POINT,
            activation: Activation::Relu6,
        };
        let depthwise = Op::DepthwiseConv {
            filter: Param::new("d", [1, 3, 3, CHANNELS], (0..9 * CHANNELS).map(pattern).collect())
                .unwrap(),
            bias: None,
            window: Window {
                padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
                ..Window::valid(Extent::square(3), Extent::ONE, Extent::ONE)
            },
            activation: Activation::None,
        };
        for (name, op) in [("a", pointwise(true)), ("b", depthwise), ("c", pointwise(false))] {
            last = builder.add(name, op, &[last]).unwrap();
        }
        builder.finish(last).unwrap()
    }

    #[test]
    fn the_function_stays_and_weak_channels_become_strong() {
        let graph = network();
        let input: Vec<f32> = (0..SIDE * SIDE * CHANNELS).map(|i| (i % 7) as f32 - 2.0).collect();
        let seen = |graph: &Graph| {
            let mut statistics = ChannelStatistics::new(graph);
            interpret::run(graph, &input, |id, values| statistics.observe(id, values)).unwrap();
            statistics
        };
        let before = seen(&graph);
        let equal = equalize(graph.clone(), &before).unwrap();
        let expected = interpret::run(&graph, &input, |_, _| {}).unwrap();
        let found = interpret::run(&equal, &input, |_, _| {}).unwrap();
        for (expected, found) in expected.iter().zip(&found) {
            assert!((expected - found).abs() <= 1e-5 * expected.abs().max(1.0));
        }
        let spread = |statistics: &ChannelStatistics| {
            let peaks =
                statistics.0[1].iter().map(|channel| channel.peak).filter(|&peak| peak > 0.0);
            peaks.clone().fold(0.0, f32::max) / peaks.fold(f32::MAX, f32::min)
        };
        assert!(spread(&before) > 20.0, "{}", spread(&before));
        assert!(spread(&seen(&equal)) < 1.01, "a depthwise reader has a scale for each channel");
    }
}
