//! Which preprocessing a network was trained with.
//!
//! A quantized network says it by the range of its input. A float network with batch
//! normalization remembers it: the moving mean and variance of its first batch norm are those of
//! the training pictures after the right scaling, so the candidate under which real pictures
//! reproduce them is the one.

use crate::graph::{Graph, Op, Quantization};
use crate::interpret::Interpreter;
use crate::picture::Picture;
use crate::preprocess::{Preprocess, Scaling};

const CANDIDATES: [Scaling; 6] =
    [Scaling::Raw, Scaling::Unit, Scaling::Tf, Scaling::Torch, Scaling::Caffe, Scaling::Offset128];

/// The scaling whose range is nearest to what the quantized input can store.
#[must_use]
pub fn from_quantization(input: Quantization, channels: usize) -> Preprocess {
    #[allow(clippy::cast_precision_loss, reason = "zero points are int8")]
    let real = |stored: i32| (stored - input.zero_point) as f32 * input.scale;
    let (low, high) = (real(-128), real(127));
    let distance = |scaling: &Scaling| {
        let preprocess = Preprocess::for_channels(*scaling, channels);
        let (min, max) = range(&preprocess);
        ((low - min).abs() + (high - max).abs()) / (high - low)
    };
    let best = CANDIDATES
        .into_iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .unwrap_or_default();
    Preprocess::for_channels(best, channels)
}

/// The scaling under which `pictures` reproduce the statistics of the first batch norm; `None`
/// for a network without one.
#[must_use]
pub fn from_batch_norm(graph: &Graph, pictures: &[Picture]) -> Option<Preprocess> {
    let shape = graph.input_shape();
    let (extent, channels) = (shape.extent(), shape.channels());
    let (height, width) = (u32::try_from(extent.height).ok()?, u32::try_from(extent.width).ok()?);
    let (batch_norm, node) =
        graph.iter().find(|(_, node)| matches!(node.op, Op::BatchNorm { .. }))?;
    let Op::BatchNorm { mean, variance, epsilon, .. } = &node.op else { return None };
    let source = *node.inputs.first()?;
    debug_assert!(source < batch_norm);
    let graph = &graph.builder_up_to(source).and_then(|builder| builder.finish(source)).ok()?;
    let mut best: Option<(f64, Preprocess)> = None;
    for scaling in CANDIDATES {
        let preprocess = Preprocess::for_channels(scaling, channels);
        let mut moments = Moments::new(mean.len());
        let mut interpreter = Interpreter::new(graph);
        for picture in pictures {
            let tensor = preprocess.tensor_f32(picture, height, width);
            interpreter
                .run(&tensor, |id, values| {
                    if id == graph.output() {
                        moments.add(values);
                    }
                })
                .ok()?;
        }
        let distance = moments.distance(&mean.data, &variance.data, *epsilon);
        // Candidates that are almost the same are told apart by their order.
        if best.as_ref().is_none_or(|(smallest, _)| distance < 0.9 * *smallest) {
            best = Some((distance, preprocess));
        }
    }
    best.map(|(_, preprocess)| preprocess)
}

/// Smallest and largest value that a pixel can become.
#[must_use]
pub fn range(preprocess: &Preprocess) -> (f32, f32) {
    preprocess
        .mean_std()
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), (mean, std)| {
            (min.min(-mean / std), max.max((255.0 - mean) / std))
        })
}

/// Sums over the pixels of each channel.
struct Moments {
    sums: Vec<(f64, f64)>,
    pixels: usize,
}

impl Moments {
    fn new(channels: usize) -> Self {
        Self { sums: vec![(0.0, 0.0); channels], pixels: 0 }
    }

    fn add(&mut self, values: &[f32]) {
        for pixel in values.chunks_exact(self.sums.len()) {
            for ((sum, squares), &value) in self.sums.iter_mut().zip(pixel) {
                *sum += f64::from(value);
                *squares += f64::from(value) * f64::from(value);
            }
            self.pixels += 1;
        }
    }

    /// How far these moments are from the moving ones: the mean over channels of the Gaussian
    /// divergence, each capped so that a dead channel cannot decide.
    fn distance(&self, mean: &[f32], variance: &[f32], epsilon: f32) -> f64 {
        const CAP: f64 = 50.0;
        #[allow(clippy::cast_precision_loss, reason = "pixel counts are far below 2^52")]
        let pixels = self.pixels.max(1) as f64;
        let divergences =
            self.sums.iter().zip(mean).zip(variance).map(|(((sum, squares), m), v)| {
                let found_mean = sum / pixels;
                let found =
                    (squares / pixels - found_mean * found_mean).max(0.0) + f64::from(epsilon);
                let expected = f64::from(*v) + f64::from(epsilon);
                let shift = found_mean - f64::from(*m);
                let ratio = found / expected;
                (0.5 * (ratio - 1.0 - ratio.ln() + shift * shift / expected)).clamp(0.0, CAP)
            });
        #[allow(clippy::cast_precision_loss, reason = "channel counts are far below 2^52")]
        let channels = self.sums.len().max(1) as f64;
        divergences.sum::<f64>() / channels
    }
}
