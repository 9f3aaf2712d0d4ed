//! AArch64 with `SMMLA`: pairs of pixels, interleaved into the scratch, times pairs of channels.

use crate::isa::aarch64::{
    Finish, Tiles, interleave as interleave_pair, interleave_tiles, load_16, smmla, smmla_4x8,
    smmla_8x8,
};
use crate::requantize::neon::{Scale, with_scale};
use crate::tile_s8::neon::{Job, Outputs, Pixels, whole_tiles};
use crate::tile_s8::{NEON_I8MM_LAYOUT, neon_row_bytes};
use crate::{Epilogue, Filter, after, after_mut};
use core::arch::aarch64::*;

/// The scratch in halves: rows of pixels, pairs of them; and the pixels that the latter have room for.
pub(crate) fn halves(scratch: &mut [i8], depth: usize) -> (&mut [i8], &mut [i8], usize) {
    let (rows, pairs) = scratch.split_at_mut(scratch.len() / 2);
    // An odd last pixel takes a pair.
    let limit = match pairs.len().checked_div(neon_row_bytes(depth)).unwrap_or(0) {
        0 | 1 => 0,
        pixels => whole_tiles(pixels),
    };
    (rows, pairs, limit)
}

/// All channels of some pixels, which are first interleaved into `pairs`: as many bytes as there
/// are pixels, an even number, times their stride.
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn strip(
    pixels: Pixels<'_>,
    pairs: &mut [i8],
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    debug_assert_eq!(filter.layout(), NEON_I8MM_LAYOUT);
    interleave(pixels, pairs);
    with_scale!(epilogue, K => panels::<K>(pixels, pairs, filter, epilogue, output));
}

/// `[pixels, stride]` to tiles of eight pixels, fewer in the last, of `[stride / 8][pixels][8]`. An
/// odd last pixel is there twice.
#[target_feature(enable = "neon")]
fn interleave(pixels: Pixels<'_>, pairs: &mut [i8]) {
    let Pixels { data, stride, count } = pixels;
    let whole = data.get(..count / 8 * 8 * stride).unwrap_or(&[]);
    let mut pixel = 8 * interleave_tiles(whole, stride, pairs);
    while pixel < count {
        let tile = (count - pixel).min(8).next_multiple_of(2);
        for pair in 0..tile / 2 {
            let even = pixel + 2 * pair;
            let first = after(data, even * stride);
            let second = after(data, (even + 1).min(count - 1) * stride);
            let to = after_mut(pairs, pixel * stride + 16 * pair);
            if interleave_pair(first, second, stride, to, 8 * tile).is_none() {
                return;
            }
        }
        pixel += tile;
    }
}

#[target_feature(enable = "neon,i8mm")]
fn panels<const K: u8>(
    pixels: Pixels<'_>,
    pairs: &[i8],
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    let (narrow, steps) = (epilogue.narrow_neon(), filter.depth().div_ceil(8));
    let mut channel = 0;
    for weights in filter.data().chunks_exact((64 * steps).max(1)) {
        let finish = Finish::<2>::new::<K>(epilogue, channel).pairs();
        let job =
            Job { pixels: Pixels { data: pairs, ..pixels }, channels: filter.channels(), channel };
        let run = |tiles: Tiles<'_, 4>| smmla_8x8::<K>(tiles);
        let Some(done) = job.tiles::<8, 4, 8>(weights, steps, &finish, output, run) else { return };
        let rest = pixels.count - done;
        if rest == 4 {
            let data = after(pairs, done * pixels.stride);
            let job = Job { pixels: Pixels { data, count: rest, ..pixels }, ..job };
            let run = |tiles: Tiles<'_, 4>| smmla_4x8::<K>(tiles);
            let output = after_mut(output, done * job.channels);
            let done = job.tiles::<4, 4, 8>(weights, steps, &finish, output, run);
            debug_assert!(done.is_some());
        } else if rest > 0 {
            let scale = [
                Scale::load(&epilogue.requantize, channel),
                Scale::load(&epilogue.requantize, channel + 4),
            ];
            let panel = Panel::<K> { weights, steps, start: finish.bias, scale };
            let outputs =
                Outputs::<2>::new(output, filter.channels(), channel, pixels.count, narrow);
            let rows = after(pairs, done * pixels.stride);
            let mut outputs = Rest { outputs, pixel: done, count: pixels.count - done };
            match outputs.count.div_ceil(2) {
                0 => {}
                1 => outputs.store(&panel, panel.tile::<1>(rows)),
                2 => outputs.store(&panel, panel.tile::<2>(rows)),
                3 => outputs.store(&panel, panel.tile::<3>(rows)),
                _ => outputs.store(&panel, panel.tile::<4>(rows)),
            }
        }
        channel += 8;
    }
}

/// Eight output channels: weights and what their sums start and end with.
struct Panel<'a, const K: u8> {
    weights: &'a [i8],
    steps: usize,
    start: [int32x4_t; 4],
    scale: [Scale<K>; 2],
}

impl<const K: u8> Panel<'_, K> {
    /// `[channel pair]` of 2x2 sums to `[pixel][four channels]`, scaled.
    #[inline]
    #[target_feature(enable = "neon")]
    fn finish(&self, sums: &[int32x4_t; 4]) -> [[int32x4_t; 2]; 2] {
        let [a, b, c, d] = sums.map(|sums| vreinterpretq_s64_s32(sums));
        let [low, high] = self.scale;
        [
            [
                low.apply(vreinterpretq_s32_s64(vzip1q_s64(a, b))),
                high.apply(vreinterpretq_s32_s64(vzip1q_s64(c, d))),
            ],
            [
                low.apply(vreinterpretq_s32_s64(vzip2q_s64(a, b))),
                high.apply(vreinterpretq_s32_s64(vzip2q_s64(c, d))),
            ],
        ]
    }

    /// The last `N` pairs of a strip.
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    fn tile<const N: usize>(&self, rows: &[i8]) -> [[int32x4_t; 4]; N] {
        let mut sums = [self.start; N];
        let rows = rows.as_chunks::<16>().0.as_chunks::<N>().0;
        let weights = self.weights.as_chunks::<16>().0.as_chunks::<4>().0;
        for (pairs, weights) in rows.iter().zip(weights.iter().take(self.steps)) {
            for (sums, pair) in sums.iter_mut().zip(pairs) {
                let pair = load_16(pair);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = smmla(*sum, pair, load_16(weights));
                }
            }
        }
        sums
    }
}

/// The outputs of the last few pixels.
struct Rest<'a> {
    outputs: Outputs<'a, 2>,
    pixel: usize,
    count: usize,
}

impl Rest<'_> {
    #[inline]
    #[target_feature(enable = "neon")]
    fn store<const K: u8, const N: usize>(
        &mut self,
        panel: &Panel<'_, K>,
        sums: [[int32x4_t; 4]; N],
    ) {
        for (pair, sums) in sums.iter().enumerate() {
            let pixels = panel.finish(sums);
            let pixel = self.pixel + 2 * pair;
            if 2 * pair + 2 <= self.count {
                self.outputs.store(pixel, &pixels);
            } else {
                self.outputs.store(pixel, &[pixels[0]]);
            }
        }
    }
}
