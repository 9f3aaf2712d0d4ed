//! AArch64 with `SDOT`: four pixels times 16 channels, eight or four where no more are left.

use crate::isa::aarch64::{Finish, Tiles, load_16, sdot_1x16, sdot_4x16, sdot_8x8, sdot_lane};
use crate::requantize::neon::{Scale, with_scale};
use crate::tile_s8::NEON_DOTPROD_LAYOUT;
use crate::tile_s8::neon::{self, Outputs, Pixels};
use crate::{Epilogue, Filter, after, after_mut};
use core::arch::aarch64::*;

/// All channels of some pixels.
#[target_feature(enable = "dotprod")]
pub(crate) fn strip(
    pixels: Pixels<'_>,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    debug_assert_eq!(filter.layout(), NEON_DOTPROD_LAYOUT);
    with_scale!(epilogue, K => panels::<K>(pixels, filter, epilogue, output));
}

#[target_feature(enable = "dotprod")]
fn panels<const K: u8>(
    pixels: Pixels<'_>,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    let job = Job { pixels, filter, epilogue, steps: filter.depth().div_ceil(4) };
    let (mut channel, panels) = (0, filter.channels().div_ceil(4));
    for _ in 0..panels / 4 {
        job.sixteen::<K>(channel, output);
        channel += 16;
    }
    if panels & 2 != 0 {
        job.eight::<K>(channel, output);
        channel += 8;
    }
    if panels & 1 != 0 {
        job.group::<1, K>(channel, 0, output);
    }
}

#[derive(Clone, Copy)]
struct Job<'a> {
    pixels: Pixels<'a>,
    filter: &'a Filter<'a>,
    epilogue: &'a Epilogue<'a>,
    /// Groups of four depth steps.
    steps: usize,
}

impl Job<'_> {
    /// Sixteen channels, all pixels.
    #[inline]
    #[target_feature(enable = "dotprod")]
    fn sixteen<const K: u8>(&self, channel: usize, output: &mut [i8]) {
        let Self { pixels, filter, epilogue, steps } = *self;
        let weights = after(filter.data(), channel * steps * 4);
        let finish = Finish::<4>::new::<K>(epilogue, channel);
        let channels = filter.channels();
        let job = neon::Job { pixels, channels, channel };
        let run = |tiles: Tiles<'_, 4>| sdot_4x16::<K>(tiles);
        let done = job.tiles::<4, 4, 16>(weights, steps, &finish, output, run);
        let Some(done) = done else { return };
        // One by one.
        let data = after(pixels.data, done * pixels.stride);
        let rest = Pixels { data, count: pixels.count - done, ..pixels };
        let job = neon::Job { pixels: rest, ..job };
        let run = |tiles: Tiles<'_, 4>| sdot_1x16::<K>(tiles);
        let output = after_mut(output, done * channels);
        let done = job.tiles::<1, 4, 16>(weights, steps, &finish, output, run);
        debug_assert!(done.is_some());
    }

    /// Eight channels, all pixels.
    #[inline]
    #[target_feature(enable = "dotprod")]
    fn eight<const K: u8>(&self, channel: usize, output: &mut [i8]) {
        let Self { pixels, filter, epilogue, steps } = *self;
        let weights = after(filter.data(), channel * steps * 4);
        let finish = Finish::<2>::new::<K>(epilogue, channel);
        let job = neon::Job { pixels, channels: filter.channels(), channel };
        let run = |tiles: Tiles<'_, 2>| sdot_8x8::<K>(tiles);
        let done = job.tiles::<8, 2, 8>(weights, steps, &finish, output, run);
        let Some(done) = done else { return };
        if done < pixels.count {
            self.group::<2, K>(channel, done, output);
        }
    }

    /// `P` panels of four channels, pixels from `pixel` on.
    #[inline]
    #[target_feature(enable = "dotprod")]
    fn group<const P: usize, const K: u8>(
        &self,
        channel: usize,
        mut pixel: usize,
        output: &mut [i8],
    ) {
        let Self { pixels: Pixels { data, stride, count }, filter, epilogue, steps } = *self;
        let weights = after(filter.data(), channel * steps * 4);
        let (bias, scale) = self.parameters::<P, K>(channel);
        let narrow = epilogue.narrow_neon();
        let mut outputs = Outputs::<P>::new(output, filter.channels(), channel, count, narrow);
        while pixel + 4 <= count {
            let rows = after(data, pixel * stride);
            let Some(sums) = tile::<4, P>(rows, stride, weights, steps, bias) else { return };
            outputs.store(pixel, &scaled(sums, &scale));
            pixel += 4;
        }
        self.rest(pixel, weights, bias, &scale, &mut outputs);
    }

    /// Pixels from `pixel` on, one by one.
    #[inline]
    #[target_feature(enable = "dotprod")]
    fn rest<const P: usize, const K: u8>(
        &self,
        mut pixel: usize,
        weights: &[i8],
        bias: [int32x4_t; P],
        scale: &[Scale<K>; P],
        outputs: &mut Outputs<'_, P>,
    ) {
        let Pixels { data, stride, count } = self.pixels;
        while pixel < count {
            let rows = after(data, pixel * stride);
            let Some(sums) = tile::<1, P>(rows, stride, weights, self.steps, bias) else { return };
            outputs.store(pixel, &scaled(sums, scale));
            pixel += 1;
        }
    }

    /// What the sums of `P` panels start with and are multiplied with.
    #[inline]
    #[target_feature(enable = "neon")]
    fn parameters<const P: usize, const K: u8>(
        &self,
        channel: usize,
    ) -> ([int32x4_t; P], [Scale<K>; P]) {
        let mut bias = [vdupq_n_s32(0); P];
        let mut scale = [Scale::load(&self.epilogue.requantize, channel); P];
        for (panel, (bias, scale)) in bias.iter_mut().zip(&mut scale).enumerate() {
            *bias = self.epilogue.bias_neon(channel + 4 * panel);
            *scale = Scale::load(&self.epilogue.requantize, channel + 4 * panel);
        }
        (bias, scale)
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn scaled<const M: usize, const P: usize, const K: u8>(
    mut sums: [[int32x4_t; P]; M],
    scale: &[Scale<K>; P],
) -> [[int32x4_t; P]; M] {
    for sums in &mut sums {
        for (sum, scale) in sums.iter_mut().zip(scale) {
            *sum = scale.apply(*sum);
        }
    }
    sums
}

/// `M` pixels times `P` panels.
#[inline]
#[target_feature(enable = "dotprod")]
fn tile<const M: usize, const P: usize>(
    rows: &[i8],
    stride: usize,
    weights: &[i8],
    steps: usize,
    bias: [int32x4_t; P],
) -> Option<[[int32x4_t; P]; M]> {
    let whole = steps.div_ceil(4);
    let mut pixels = [&[] as &[[i8; 16]]; M];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        *pixel = after(rows, index * stride).as_chunks().0.get(..whole)?;
    }
    let mut panels = [&[] as &[[i8; 16]]; P];
    for (index, panel) in panels.iter_mut().enumerate() {
        *panel = after(weights, index * 16 * steps).as_chunks().0.get(..steps)?;
    }
    let mut sums = [bias; M];
    for step in 0..steps / 4 {
        for (panel, weights) in panels.iter().enumerate() {
            let weights = weights.get(4 * step..)?.first_chunk::<4>()?;
            for (sums, pixel) in sums.iter_mut().zip(pixels) {
                let pixel = load_16(&pixel[step]);
                let mut sum = sums[panel];
                sum = sdot_lane::<0>(sum, load_16(&weights[0]), pixel);
                sum = sdot_lane::<1>(sum, load_16(&weights[1]), pixel);
                sum = sdot_lane::<2>(sum, load_16(&weights[2]), pixel);
                sums[panel] = sdot_lane::<3>(sum, load_16(&weights[3]), pixel);
            }
        }
    }
    let done = steps / 4;
    for (panel, weights) in panels.iter().enumerate() {
        let rest = weights.get(4 * done..)?;
        for (sums, pixel) in sums.iter_mut().zip(pixels) {
            let Some(pixel) = pixel.get(done) else { break };
            let pixel = load_16(pixel);
            let mut sum = sums[panel];
            if let Some(weights) = rest.first() {
                sum = sdot_lane::<0>(sum, load_16(weights), pixel);
            }
            if let Some(weights) = rest.get(1) {
                sum = sdot_lane::<1>(sum, load_16(weights), pixel);
            }
            if let Some(weights) = rest.get(2) {
                sum = sdot_lane::<2>(sum, load_16(weights), pixel);
            }
            sums[panel] = sum;
        }
    }
    Some(sums)
}
