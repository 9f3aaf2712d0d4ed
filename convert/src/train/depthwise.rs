//! Depthwise convolutions and their weights' gradient, a vector of channels at a time.

use pulp::{Simd, WithSimd};

use super::product::{load, store};
use super::windows::Part;

/// Pixels of a register tile: as many sums as hide a multiply-add's latency.
const ROWS: usize = 8;

/// `y = clamp(sum over taps of x * weights + bias)` for every pixel of a part.
pub(super) struct Multiply<'a> {
    /// The padded source.
    pub(super) x: &'a [f32],
    pub(super) part: &'a Part,
    /// `[taps of the kernel, channels]`.
    pub(super) weights: &'a [f32],
    /// One for each channel; none is 0.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) channels: usize,
    pub(super) clamp: (f32, f32),
    pub(super) y: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, part, weights, bias, channels, clamp, y } = self;
        let (min, max) = (simd.splat_f32s(clamp.0), simd.splat_f32s(clamp.1));
        let pixels = part.from.len();
        for pixel in (0..pixels).step_by(ROWS) {
            // The last tile does its last pixel several times over.
            let rows: [usize; ROWS] = core::array::from_fn(|row| (pixel + row).min(pixels - 1));
            let from = rows.map(|pixel| part.from.start(pixel));
            let to = rows.map(|pixel| part.to.start(pixel));
            for channel in (0..channels).step_by(S::F32_LANES) {
                let lanes = (channels - channel).min(S::F32_LANES);
                let bias = match bias {
                    Some(bias) => load(simd, bias, channel, lanes),
                    None => simd.splat_f32s(0.0),
                };
                let mut sums = [simd.splat_f32s(0.0); ROWS];
                for &(tap, offset) in &part.taps {
                    let weight = load(simd, weights, tap * channels + channel, lanes);
                    for (sum, from) in sums.iter_mut().zip(from) {
                        let x = load(simd, x, from + offset + channel, lanes);
                        *sum = simd.mul_add_e_f32s(x, weight, *sum);
                    }
                }
                for (sum, to) in sums.into_iter().zip(to) {
                    let value = simd.add_f32s(sum, bias);
                    let value = simd.min_f32s(simd.max_f32s(value, min), max);
                    store(simd, y, to + channel, lanes, value);
                }
            }
        }
    }
}

/// `gradient += sum over pixels of x * dy`, `[taps, channels]`.
pub(super) struct Correlate<'a> {
    /// The padded source.
    pub(super) x: &'a [f32],
    pub(super) part: &'a Part,
    /// `[pixels, channels]`.
    pub(super) dy: &'a [f32],
    pub(super) channels: usize,
    pub(super) gradient: &'a mut [f32],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let taps = &self.part.taps[..];
        let (nines, rest) = taps.as_chunks::<9>();
        for taps in nines {
            self.taps(simd, taps);
        }
        let (threes, rest) = rest.as_chunks::<3>();
        for taps in threes {
            self.taps(simd, taps);
        }
        for tap in rest {
            self.taps(simd, core::array::from_ref(tap));
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn taps<S: Simd, const TAPS: usize>(&mut self, simd: S, taps: &[(usize, usize); TAPS]) {
        let channels = self.channels;
        let grid = self.part.from;
        for channel in (0..channels).step_by(S::F32_LANES) {
            let lanes = (channels - channel).min(S::F32_LANES);
            let mut sums = [simd.splat_f32s(0.0); TAPS];
            for row in 0..grid.rows {
                let from = grid.base + row * grid.row_step + channel;
                let dy = row * grid.cols * channels + channel;
                for col in 0..grid.cols {
                    let dy = load(simd, self.dy, dy + col * channels, lanes);
                    for (sum, (_, offset)) in sums.iter_mut().zip(taps) {
                        let x = load(simd, self.x, from + col * grid.col_step + offset, lanes);
                        *sum = simd.mul_add_e_f32s(x, dy, *sum);
                    }
                }
            }
            for (sum, (tap, _)) in sums.into_iter().zip(taps) {
                let at = tap * channels + channel;
                let total = simd.add_f32s(load(simd, self.gradient, at, lanes), sum);
                store(simd, self.gradient, at, lanes, total);
            }
        }
    }
}
