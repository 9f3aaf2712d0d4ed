//! AArch64: rows of pixels, a multiple of 16 bytes apart, times panels of output channels; the
//! frame of all three instruction sets and the tiles of Armv8.0.

use crate::im2col_s8::copy_onwards;
use crate::isa::aarch64::{Finish, StridedMut, Tiles, Windows, load_16, smull_4x4, store_16};
use crate::requantize::neon::{Narrow, Scale, with_scale};
use crate::tile_s8::{NEON_LAYOUT, NEON_SLACK, neon_row_bytes};
use crate::{Epilogue, Filter, after, after_mut};
use core::arch::aarch64::*;

/// Consecutive pixels, each a row of `stride` bytes: its depth and anything up to a multiple of 16, or
/// of what the instruction set asks of whole tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    pub(crate) data: &'a [i8],
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

/// Pixels that `scratch` has room for.
pub(crate) fn capacity(scratch: &[i8], depth: usize) -> usize {
    let room = scratch.len().saturating_sub(NEON_SLACK);
    room.checked_div(neon_row_bytes(depth)).unwrap_or(0)
}

/// Whole tiles of eight pixels, unless there are fewer: then pairs, or one.
pub(crate) const fn whole_tiles(pixels: usize) -> usize {
    match pixels {
        0 | 1 => pixels,
        2..8 => pixels / 2 * 2,
        _ => pixels / 8 * 8,
    }
}

/// A matrix product over `input: [pixels, depth]`, in strips of at most `limit` pixels for `strip`,
/// which gets the pixels and their outputs. Where they make whole tiles of eight, pixels need only be
/// multiples of `granule` to be left where they are. `None`, and nothing done, without room in the
/// scratch.
#[target_feature(enable = "neon")]
pub(crate) fn strips(
    input: &[i8],
    [depth, channels]: [usize; 2],
    output: &mut [i8],
    scratch: &mut [i8],
    [limit, granule]: [usize; 2],
    mut strip: impl FnMut(Pixels<'_>, &mut [i8]),
) -> Option<()> {
    let are_whole = output.len().checked_div(channels)?.is_multiple_of(8) && limit >= 8;
    // Rows as they are, so many that they stay in the nearest cache; or copies.
    let in_place = depth.is_multiple_of(if are_whole { granule } else { 16 });
    let stride = if in_place { depth } else { neon_row_bytes(depth) };
    let room = if in_place { NEAR.checked_div(depth)?.max(8) } else { capacity(scratch, depth) };
    let pixels = whole_tiles(room.min(limit));
    if pixels == 0 || channels == 0 {
        return None;
    }
    let mut source = input;
    for output in output.chunks_mut(pixels * channels) {
        let count = output.len() / channels;
        let data = if in_place {
            source
        } else {
            let rows = Windows {
                rows: &[Some(source)],
                first: 0,
                step: depth,
                len: depth,
                count,
                pad_value: 0,
            };
            for pixel in rows.gather(scratch, stride)..count {
                let from = after(source, pixel * depth);
                copy_onwards(from, depth, after_mut(scratch, pixel * stride), |from, to| {
                    store_16(to, load_16(from))
                });
            }
            &*scratch
        };
        strip(Pixels { data, stride, count }, output);
        source = after(source, count * depth);
    }
    Some(())
}

/// Bytes of pixels that are multiplied with one panel before the next.
const NEAR: usize = 16 << 10;

/// Where `4 * P` channels of some pixels go.
pub(crate) struct Outputs<'a, const P: usize> {
    bytes: &'a mut [i8],
    stride: usize,
    count: usize,
    /// Channels that there are.
    len: usize,
    narrow: Narrow,
}

impl<'a, const P: usize> Outputs<'a, P> {
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn new(
        output: &'a mut [i8],
        channels: usize,
        channel: usize,
        count: usize,
        narrow: Narrow,
    ) -> Self {
        let len = channels.saturating_sub(channel).min(4 * P);
        Self { bytes: after_mut(output, channel), stride: channels, count, len, narrow }
    }

    /// Stores scaled sums, `[pixel][four channels]`, of pixels from `pixel` on.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn store<const M: usize>(&mut self, pixel: usize, sums: &[[int32x4_t; P]; M]) {
        let sums = sums.as_flattened();
        let mut first = 0;
        while first < M {
            // Narrowing takes four vectors: a few pixels, the last ones repeated.
            let vector = |index: usize| sums[(first * P + index).min(M * P - 1)];
            let bytes = self.narrow.apply([vector(0), vector(1), vector(2), vector(3)]);
            let pixels = (4 / P).min(M - first);
            if self.len == 4 * P {
                match P {
                    4 => self.groups::<16, 1>(pixel + first, bytes),
                    2 if pixels == 2 => self.groups::<8, 2>(pixel + first, bytes),
                    2 => self.groups::<8, 1>(pixel + first, bytes),
                    _ => match pixels {
                        4 => self.groups::<4, 4>(pixel + first, bytes),
                        3 => self.groups::<4, 3>(pixel + first, bytes),
                        2 => self.groups::<4, 2>(pixel + first, bytes),
                        _ => self.groups::<4, 1>(pixel + first, bytes),
                    },
                };
            } else {
                self.part(pixel + first, pixels, bytes);
            }
            first += 4 / P;
        }
    }

    /// The channels that there are of a few pixels. Rare, and apart so that the rest is inlined.
    #[inline(never)]
    #[target_feature(enable = "neon")]
    fn part(&mut self, pixel: usize, pixels: usize, bytes: int8x16_t) {
        let mut groups = [0; 16];
        store_16(&mut groups, bytes);
        for (index, group) in groups.chunks_exact(4 * P).take(pixels).enumerate() {
            let to = after_mut(self.bytes, (pixel + index) * self.stride);
            for (to, from) in to.iter_mut().zip(group).take(self.len) {
                *to = *from;
            }
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn groups<const W: usize, const N: usize>(&mut self, pixel: usize, bytes: int8x16_t) {
        if let Some(mut groups) = StridedMut::<W>::new(self.bytes, self.stride, self.count) {
            groups.store::<N>(pixel, bytes);
        }
    }
}

/// All channels of some pixels.
#[target_feature(enable = "neon")]
pub(crate) fn strip(
    pixels: Pixels<'_>,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    debug_assert_eq!(filter.layout(), NEON_LAYOUT);
    with_scale!(epilogue, K => panels::<K>(pixels, filter, epilogue, output));
}

#[target_feature(enable = "neon")]
fn panels<const K: u8>(
    pixels: Pixels<'_>,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    let steps = filter.depth().div_ceil(16);
    let mut channel = 0;
    for weights in filter.data().chunks_exact((64 * steps).max(1)) {
        let job = Job { pixels, channels: filter.channels(), channel };
        let finish = Finish::<1>::new::<K>(epilogue, channel);
        let Some(done) = job.tiles::<4, 1, 4>(weights, steps, &finish, output, smull_4x4::<K>)
        else {
            return;
        };
        if done < pixels.count {
            let scale = Scale::load(&epilogue.requantize, channel);
            let panel = Panel::<K> { weights, steps, bias: finish.bias[0], scale };
            let mut outputs = Outputs::<1>::new(
                output,
                filter.channels(),
                channel,
                pixels.count,
                epilogue.narrow_neon(),
            );
            for pixel in done..pixels.count {
                let row = after(pixels.data, pixel * pixels.stride);
                let Some(row) = row.get(..16 * steps) else { return };
                outputs.store(pixel, &[[panel.one(row)]]);
            }
        }
        channel += 4;
    }
}

/// Some pixels times the channels of a panel.
pub(crate) struct Job<'a> {
    pub(crate) pixels: Pixels<'a>,
    pub(crate) channels: usize,
    /// First one of the panel.
    pub(crate) channel: usize,
}

impl Job<'_> {
    /// As many tiles of `M` pixels times `N` channels as there are by `run`: the number of pixels
    /// that are done. `None` when a slice is too short.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn tiles<const M: usize, const P: usize, const N: usize>(
        &self,
        weights: &[i8],
        steps: usize,
        finish: &Finish<P>,
        output: &mut [i8],
        run: impl Fn(Tiles<'_, P>) -> Option<()>,
    ) -> Option<usize> {
        let Self { pixels: Pixels { data: pixels, stride, count }, channels, channel } = *self;
        let (tiles, output) = (count / M, after_mut(output, channel));
        if tiles == 0 {
            return Some(0);
        }
        let len = channels.saturating_sub(channel);
        if len >= N {
            run(Tiles { pixels, stride, weights, steps, finish, output, channels, tiles })?;
            return Some(tiles * M);
        }
        // Whole tiles beside the output, then the channels that there are. Rare.
        for tile in 0..tiles {
            let (mut bytes, pixels) = ([[0; N]; M], after(pixels, tile * M * stride));
            let outputs = bytes.as_flattened_mut();
            run(Tiles {
                pixels,
                stride,
                weights,
                steps,
                finish,
                output: outputs,
                channels: N,
                tiles: 1,
            })?;
            for (index, bytes) in bytes.iter().enumerate() {
                let to = after_mut(output, (tile * M + index) * channels);
                for (to, from) in to.iter_mut().zip(bytes).take(len) {
                    *to = *from;
                }
            }
        }
        Some(tiles * M)
    }
}

/// Four output channels: weights and what their sums start and end with.
struct Panel<'a, const K: u8> {
    weights: &'a [i8],
    steps: usize,
    bias: int32x4_t,
    scale: Scale<K>,
}

impl<const K: u8> Panel<'_, K> {
    /// The outputs of sums in four parts each.
    #[inline]
    #[target_feature(enable = "neon")]
    fn finish(&self, [a, b, c, d]: &[int32x4_t; 4]) -> int32x4_t {
        let sums = vpaddq_s32(vpaddq_s32(*a, *b), vpaddq_s32(*c, *d));
        self.scale.apply(vaddq_s32(sums, self.bias))
    }

    /// A single pixel.
    #[inline]
    #[target_feature(enable = "neon")]
    fn one(&self, row: &[i8]) -> int32x4_t {
        let mut sums = [vdupq_n_s32(0); 4];
        let weights = self.weights.as_chunks::<16>().0.as_chunks::<4>().0;
        for (pixel, weights) in row.as_chunks().0.iter().zip(weights.iter().take(self.steps)) {
            let pixel = load_16(pixel);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                let weights = load_16(weights);
                let products = vmull_s8(vget_low_s8(pixel), vget_low_s8(weights));
                *sum = vpadalq_s16(*sum, vmlal_high_s8(products, pixel, weights));
            }
        }
        self.finish(&sums)
    }
}
