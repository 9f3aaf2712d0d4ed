//! Activation ranges from example inputs.

use crate::graph::{Graph, NodeId, Quantization};
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

    /// Widens the ranges by the outputs of one layer on one sample. Zero is always in range, so
    /// that padding and ReLU are exact.
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
        Ok(())
    }

    /// One sample is done.
    pub fn next_sample(&mut self) {
        self.samples += 1;
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

impl Ranges {
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
