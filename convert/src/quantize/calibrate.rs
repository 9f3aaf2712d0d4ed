//! Activation ranges from example inputs.

use crate::graph::{Graph, NodeId, Op, Quantization};
use crate::quantize::QuantizeError;

/// Collects what every layer gives on the calibration set.
#[derive(Clone, Debug)]
pub struct Calibration {
    min: Vec<f32>,
    max: Vec<f32>,
    samples: usize,
}

/// What [`Calibration`] found.
#[derive(Clone, Debug)]
pub struct Ranges(Vec<(f32, f32)>);

impl Calibration {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(graph: &Graph) -> Self {
        let nodes = graph.nodes().len();
        Self { min: vec![0.0; nodes], max: vec![0.0; nodes], samples: 0 }
    }

    /// Widens the ranges by the outputs of one layer on one sample; those of the last layer end the
    /// sample. Zero is always in range, so that padding and ReLU are exact.
    ///
    /// # Errors
    /// [`QuantizeError::NotFinite`].
    pub fn observe(
        &mut self,
        graph: &Graph,
        id: NodeId,
        values: &[f32],
    ) -> Result<(), QuantizeError> {
        let (min, max) = (&mut self.min[id.index()], &mut self.max[id.index()]);
        for &value in values {
            if !value.is_finite() {
                let layer = graph.node(id).name.clone();
                return Err(QuantizeError::NotFinite { layer, sample: self.samples, value });
            }
            *min = min.min(value);
            *max = max.max(value);
        }
        self.samples += usize::from(id == graph.output());
        Ok(())
    }

    /// Joins what another thread has seen.
    pub fn merge(&mut self, other: &Self) {
        self.samples += other.samples;
        for (mine, theirs) in self.min.iter_mut().zip(&other.min) {
            *mine = mine.min(*theirs);
        }
        for (mine, theirs) in self.max.iter_mut().zip(&other.max) {
            *mine = mine.max(*theirs);
        }
    }

    /// # Errors
    /// [`QuantizeError::NoSamples`].
    pub fn finish(self) -> Result<Ranges, QuantizeError> {
        if self.samples == 0 {
            return Err(QuantizeError::NoSamples);
        }
        Ok(Ranges(self.min.into_iter().zip(self.max).collect()))
    }
}

/// How often a layer gave which values, for choosing a range that clips rare ones.
#[derive(Clone, Debug)]
pub struct Histograms {
    ranges: Ranges,
    counts: Vec<Vec<u64>>,
}

/// Cells of a histogram.
const CELLS: usize = 2048;

impl Histograms {
    /// Empty histograms over `ranges`.
    #[must_use]
    pub fn new(ranges: &Ranges) -> Self {
        Self { counts: vec![vec![0; CELLS]; ranges.0.len()], ranges: ranges.clone() }
    }

    /// Counts the outputs of one layer on one sample.
    pub fn observe(&mut self, id: NodeId, values: &[f32]) {
        let (min, max) = self.ranges.0[id.index()];
        let counts = &mut self.counts[id.index()];
        #[allow(clippy::cast_precision_loss, reason = "2048 is exact")]
        let per_unit = CELLS as f32 / (max - min).max(f32::MIN_POSITIVE);
        for &value in values {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
            let cell = ((value - min) * per_unit) as usize;
            counts[cell.min(CELLS - 1)] += 1;
        }
    }

    /// Joins what another thread has seen.
    pub fn merge(&mut self, other: &Self) {
        let cells = self.counts.iter_mut().flatten();
        for (mine, theirs) in cells.zip(other.counts.iter().flatten()) {
            *mine += theirs;
        }
    }

    /// The range of each layer whose int8 steps give the smallest mean squared error: clipping
    /// rare values makes the steps of the many finer. Scores keep their whole range: the rare
    /// large ones are the answers.
    #[must_use]
    pub fn best_ranges(&self, graph: &Graph) -> Ranges {
        let readers = graph.readers();
        let feeds_softmax = |reader: &NodeId| matches!(graph.node(*reader).op, Op::Softmax { .. });
        let best = graph.iter().map(|(id, _)| {
            let (range, counts) = (self.ranges.0[id.index()], &self.counts[id.index()]);
            let is_score = id == graph.output() || readers[id.index()].iter().any(feeds_softmax);
            if is_score { range } else { best_range(range, counts) }
        });
        Ranges(best.collect())
    }
}

/// Tries to clip either end at fractions of its distance from zero.
fn best_range((min, max): (f32, f32), counts: &[u64]) -> (f32, f32) {
    const STEPS: u8 = 20;
    let fraction = |step: u8| f32::from(STEPS - step) / f32::from(STEPS);
    let ends = |end: f32| (0..STEPS - 4).map(move |step| end * fraction(step));
    let mut best = ((min, max), mean_squared_error((min, max), (min, max), counts));
    for low in ends(min).take(if min < 0.0 { usize::MAX } else { 1 }) {
        for high in ends(max).take(if max > 0.0 { usize::MAX } else { 1 }) {
            let error = mean_squared_error((min, max), (low, high), counts);
            if error < best.1 {
                best = ((low, high), error);
            }
        }
    }
    best.0
}

/// Of int8 steps over `clip` on values that are distributed as `counts` over `range`.
#[allow(clippy::cast_precision_loss, reason = "counts are weights here")]
fn mean_squared_error(range: (f32, f32), clip: (f32, f32), counts: &[u64]) -> f64 {
    let cell = f64::from(range.1 - range.0) / counts.len() as f64;
    let step = f64::from(clip.1 - clip.0) / 255.0;
    let (low, high) = (f64::from(clip.0), f64::from(clip.1));
    let inside = step * step / 12.0;
    let errors =
        counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(index, &count)| {
            let value = f64::from(range.0) + (index as f64 + 0.5) * cell;
            let beyond = (low - value).max(value - high).max(0.0);
            // Zero, where ReLU puts most values, is exact in every range.
            let exact = value.abs() < cell;
            count as f64
                * if beyond > 0.0 {
                    beyond * beyond
                } else if exact {
                    0.0
                } else {
                    inside
                }
        });
    errors.sum()
}

impl Ranges {
    /// Sets the range of a node that is known, such as that of pixels.
    pub fn set(&mut self, id: NodeId, min: f32, max: f32) {
        self.0[id.index()] = (min.min(0.0), max.max(0.0));
    }

    /// Asymmetric int8 over the range of a node.
    #[must_use]
    pub fn quantization(&self, id: NodeId) -> Quantization {
        let (min, max) = self.0[id.index()];
        let scale = (max - min) / 255.0;
        if !(scale > f32::MIN_POSITIVE && scale.is_finite()) {
            return Quantization { scale: 1.0, zero_point: 0 };
        }
        #[allow(clippy::cast_possible_truncation, reason = "min <= 0 <= max keeps it in int8")]
        let zero_point = libm::roundf(-128.0 - min / scale).clamp(-128.0, 127.0) as i32;
        Quantization { scale, zero_point }
    }
}
