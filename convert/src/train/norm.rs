//! Batch norms in training.
//!
//! As in Keras 3 the batch's variance is the biased one both for normalising and for the moving variance. (Keras 2's
//! fused kernel and PyTorch put the unbiased one into the moving variance.) Sums of one chunk run in f32, those over
//! chunks in f64 and in the chunks' order.

use pulp::Arch;

/// Mean and spread of a channel as a layer applies them.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    pub(super) mean: Vec<f32>,
    /// Biased.
    pub(super) variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub(super) inverse: Vec<f32>,
}

impl Statistics {
    pub(super) fn new(mean: Vec<f32>, variance: Vec<f32>, epsilon: f32) -> Self {
        let inverse = variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
        Self { mean, variance, inverse }
    }

    /// Of all chunks together (Chan's parallel update).
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "f64 sums")]
    pub(super) fn merge(chunks: &[&Moments], channels: usize, epsilon: f32) -> Self {
        let total: f64 = chunks.iter().map(|chunk| chunk.pixels).sum();
        let of = |channel: usize| {
            let mean =
                chunks.iter().map(|m| f64::from(m.mean[channel]) * m.pixels).sum::<f64>() / total;
            let squares: f64 = chunks
                .iter()
                .map(|m| {
                    let distance = f64::from(m.mean[channel]) - mean;
                    f64::from(m.squares[channel]) + m.pixels * distance * distance
                })
                .sum();
            (mean as f32, (squares / total) as f32)
        };
        let (mean, variance) = (0..channels).map(of).unzip();
        Self::new(mean, variance, epsilon)
    }
}

/// Mean of the pixels of a chunk and their squared distances from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    pixels: f64,
    mean: Vec<f32>,
    squares: Vec<f32>,
}

impl Moments {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "f64 sums")]
    pub(super) fn new(x: &[f32], channels: usize) -> Self {
        let pixels = (x.len() / channels) as f64;
        let mean = column_sums(channels, x, x, |_, x, _| x, &vec![0.0; channels]);
        let mean: Vec<f32> = mean.iter().map(|sum| (sum / pixels) as f32).collect();
        let square = |mean: f32, x: f32, _| (x - mean) * (x - mean);
        let squares = column_sums(channels, x, x, square, &mean);
        Self { pixels, mean, squares: squares.into_iter().map(|sum| sum as f32).collect() }
    }
}

/// `y = clamp((x - mean) * scale + beta)`.
pub(super) fn forward(
    x: &[f32],
    mean: &[f32],
    scale: &[f32],
    beta: &[f32],
    (min, max): (f32, f32),
    y: &mut [f32],
) {
    let [mean, scale, beta] = [mean, scale, beta].map(repeated);
    Arch::new().dispatch(move || {
        for (y, x) in y.chunks_mut(mean.len()).zip(x.chunks(mean.len())) {
            for ((((y, x), mean), scale), beta) in
                y.iter_mut().zip(x).zip(&mean).zip(&scale).zip(&beta)
            {
                *y = ((x - mean) * scale + beta).max(min).min(max);
            }
        }
    });
}

/// Sums of `dy` and of `dy * (x - mean)`, a channel each.
pub(super) fn gradient_sums(x: &[f32], dy: &[f32], mean: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let sums = column_sums(mean.len(), dy, dy, |_, dy, _| dy, mean);
    let products = column_sums(mean.len(), dy, x, |mean, dy, x| dy * (x - mean), mean);
    (sums, products)
}

/// `dx = scale * (dy - a - (x - mean) * b)`, into `dy`.
pub(super) fn backward(
    x: &[f32],
    dy: &mut [f32],
    mean: &[f32],
    scale: &[f32],
    [a, b]: [&[f32]; 2],
) {
    let [mean, scale, a, b] = [mean, scale, a, b].map(repeated);
    Arch::new().dispatch(move || {
        for (dy, x) in dy.chunks_mut(mean.len()).zip(x.chunks(mean.len())) {
            for (((((dy, x), mean), scale), a), b) in
                dy.iter_mut().zip(x).zip(&mean).zip(&scale).zip(&a).zip(&b)
            {
                *dy = scale * (*dy - a - (x - mean) * b);
            }
        }
    });
}

/// `dy *= factor`, a channel each.
pub(super) fn scale(dy: &mut [f32], factor: &[f32]) {
    let factor = repeated(factor);
    Arch::new().dispatch(|| {
        for dy in dy.chunks_mut(factor.len()) {
            dy.iter_mut().zip(&factor).for_each(|(dy, factor)| *dy *= factor);
        }
    });
}

/// Sums over the pixels of `term(constant of the channel, a, b)`.
pub(super) fn column_sums(
    channels: usize,
    a: &[f32],
    b: &[f32],
    term: impl Fn(f32, f32, f32) -> f32,
    constants: &[f32],
) -> Vec<f64> {
    let constants = repeated(constants);
    let mut totals = vec![0.0; channels];
    // Short f32 sums, long f64 ones.
    for (a, b) in a.chunks(constants.len() * 64).zip(b.chunks(constants.len() * 64)) {
        let mut sums = vec![0.0_f32; constants.len()];
        Arch::new().dispatch(|| {
            for (a, b) in a.chunks(sums.len()).zip(b.chunks(constants.len())) {
                for (((sum, a), b), constant) in sums.iter_mut().zip(a).zip(b).zip(&constants) {
                    *sum += term(*constant, *a, *b);
                }
            }
        });
        for sums in sums.chunks_exact(channels) {
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(*sum));
        }
    }
    totals
}

/// One a channel again and again, so that loops over few channels are long enough to be fast.
fn repeated(values: &[f32]) -> Vec<f32> {
    const LEN: usize = 64;
    values.repeat(LEN.div_ceil(values.len()))
}
