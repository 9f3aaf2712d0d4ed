//! Arithmetic on halves: eight pixels, packed side by side, times 16 channels. Up to 144 products are
//! added in halves, the sums of such blocks in f32.
//!
//! A sum beyond the halves is computed again in f32. That depends on the values of its own output
//! alone, and so do all other bits: tiles may begin anywhere.

use crate::isa::aarch64::fp16::{
    BLOCK, Finish, Raw, Tiles, load, pack, store, tile_1x32, tiles_8x8, tiles_8x16,
};
use crate::isa::lanes::{self, fused, splat};
use crate::tile_f16::lanes::bias;
use crate::tile_f16::{HALF_TILE, LANES_LAYOUT, packed_len};
use crate::{ClampF16, EpilogueF16, F16, Filter, after, after_mut, copy};
use core::arch::aarch64::{float16x8_t, vmaxq_f16, vminq_f16};

/// The scratch as halves, and how many whole tiles of pixels it has room for.
pub(crate) fn tiles(scratch: &mut [i8], depth: usize) -> (&mut [F16], usize) {
    let halves = bytemuck::pod_align_to_mut::<i8, F16>(scratch).1;
    let count = halves.len().checked_div(packed_len(depth)).unwrap_or(0);
    (halves, count)
}

/// Packs `count` pixels, which lie in `pixels` every `pitch` halves, for [`Job::strip`].
#[target_feature(enable = "fp16")]
pub(crate) fn pack_strip(
    pixels: &[F16],
    pitch: usize,
    depth: usize,
    count: usize,
    to: &mut [F16],
) -> Option<()> {
    let (groups, rest) = (depth / 8, depth % 8);
    let tiles = to.chunks_exact_mut(packed_len(depth).max(1)).take(count.div_ceil(HALF_TILE));
    for (tile, to) in tiles.enumerate() {
        let first = tile * HALF_TILE;
        let (pixels, count) = (after(pixels, first * pitch), (count - first).min(HALF_TILE));
        pack(pixels, pitch, count, groups, to)?;
        if rest != 0 {
            let last = after_mut(to, groups * 8 * HALF_TILE).chunks_exact_mut(8);
            for (to, pixel) in last.zip(pixels.chunks(pitch.max(1)).take(count)) {
                copy(to, pixel.get(groups * 8..depth)?);
            }
        }
    }
    Some(())
}

/// The range of an output as halves. Bounds that were rounded clamp rounded sums as the real bounds clamp
/// sums that are rounded afterwards.
#[inline]
#[target_feature(enable = "fp16")]
pub(crate) fn range(clamp: ClampF16) -> [[F16; 8]; 2] {
    [clamp.min, clamp.max].map(|bound| {
        let mut halves = [F16::default(); 8];
        lanes::store(&mut halves, splat(bound));
        halves
    })
}

/// Sums within the range of an output.
#[inline]
#[target_feature(enable = "fp16")]
pub(crate) fn clamped(sums: float16x8_t, [min, max]: &[[F16; 8]; 2]) -> float16x8_t {
    vminq_f16(vmaxq_f16(sums, load(min)), load(max))
}

/// The values of sums that left the range of the halves become those that `again` computes.
#[inline]
pub(crate) fn replaced(values: &mut [F16; 8], sums: &[F16; 8], again: impl Fn() -> [F16; 8]) {
    if sums.iter().all(|sum| sum.is_finite()) {
        return;
    }
    for ((value, again), sum) in values.iter_mut().zip(again()).zip(sums) {
        if !sum.is_finite() {
            *value = again;
        }
    }
}

/// A filter and what happens to its sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    filter: Filter<'a, F16>,
    epilogue: EpilogueF16<'a>,
}

/// Some pixels that were packed together, or a single one.
#[derive(Clone, Copy)]
struct Packed<'a> {
    values: &'a [F16],
    /// From a group of eight steps to the next.
    pitch: usize,
}

impl<'a> Job<'a> {
    /// `None` for another layout.
    pub(crate) fn new(filter: Filter<'a, F16>, epilogue: EpilogueF16<'a>) -> Option<Self> {
        (filter.layout() == LANES_LAYOUT).then_some(Self { filter, epilogue })
    }

    /// All channels of as many pixels as `output` holds, which [`pack_strip`] has packed.
    #[target_feature(enable = "fp16")]
    pub(crate) fn strip(&self, pixels: &[F16], output: &mut [F16]) -> Option<()> {
        let channels = self.filter.channels();
        let count = output.len().checked_div(channels)?;
        // A single one at the end has tiles of its own.
        let single = count % HALF_TILE == 1;
        let many = count - usize::from(single);
        let (whole, last) = output.split_at_mut(many * channels);
        let mut channel = 0;
        while channel < channels {
            if channel + 8 < channels {
                self.panels::<2>(pixels, channel, whole, |work, raw| tiles_8x16(work, raw))?;
            } else {
                self.panels::<1>(pixels, channel, whole, |work, raw| tiles_8x8(work, raw))?;
            }
            channel += 16;
        }
        if single {
            let values = after(pixels, many / HALF_TILE * packed_len(self.filter.depth()));
            self.pixel(Packed { values, pitch: 8 * HALF_TILE }, last)?;
        }
        Some(())
    }

    /// All channels of a single pixel, whose row goes on to a multiple of eight halves.
    #[target_feature(enable = "fp16")]
    pub(crate) fn vector(&self, values: &[F16], output: &mut [F16]) -> Option<()> {
        self.pixel(Packed { values, pitch: 8 }, output)
    }

    /// `P` panels from `channel` on: all pixels, in tiles of eight.
    #[inline]
    #[target_feature(enable = "fp16")]
    fn panels<const P: usize>(
        &self,
        pixels: &[F16],
        channel: usize,
        output: &mut [F16],
        run: impl Fn(Tiles<'_, P>, &mut Raw) -> Option<usize>,
    ) -> Option<()> {
        let (depth, channels) = (self.filter.depth(), self.filter.channels());
        let finish = self.finish::<P>(channel);
        let weights = after(self.filter.data(), channel * depth);
        let count = output.len() / channels;
        let whole = if channel + 8 * P <= channels { count / HALF_TILE } else { 0 };
        let mut raw = Raw::default();
        let mut tile = 0;
        while tile * HALF_TILE < count {
            let (first, tiles) = (tile * HALF_TILE, whole.saturating_sub(tile));
            let values = after(pixels, tile * packed_len(depth));
            let to = match tiles {
                0 => &mut [],
                _ => after_mut(output, first * channels + channel),
            };
            let work = Tiles {
                pixels: values,
                weights,
                depth,
                finish: &finish,
                output: to,
                channels,
                tiles: tiles.max(1),
            };
            let done = run(work, &mut raw)?;
            tile += done;
            if done < tiles.max(1) {
                let values = after(values, done * packed_len(depth));
                let packed = Packed { values, pitch: 8 * HALF_TILE };
                let to = after_mut(output, tile * HALF_TILE * channels);
                self.finished::<P>(&raw, packed, &finish, channel, to);
                tile += 1;
            }
        }
        Some(())
    }

    /// All channels of one pixel, in tiles of four panels.
    #[target_feature(enable = "fp16")]
    fn pixel(&self, packed: Packed<'_>, output: &mut [F16]) -> Option<()> {
        let (depth, channels) = (self.filter.depth(), self.filter.channels());
        let mut channel = 0;
        let mut raw = Raw::default();
        while channel < channels {
            // Where fewer are left, one panel takes the place of all four.
            let together = if channel + 24 < channels { 32 } else { 8 };
            let finish = self.finish::<4>(channel);
            let work = Tiles {
                pixels: packed.values,
                weights: after(self.filter.data(), channel * depth),
                depth,
                finish: &finish,
                output: &mut [],
                channels,
                tiles: 1,
            };
            tile_1x32(work, packed.pitch, if together == 32 { 8 * depth } else { 0 }, &mut raw)?;
            let end = channels.min(channel + together);
            let to = output.get_mut(..end)?;
            self.finished::<4>(&raw, packed, &finish, channel, to);
            channel += together;
        }
        Some(())
    }

    /// Clamps and stores the sums of a tile, of as many of its pixels and channels as `output` holds,
    /// where those beyond the halves are computed again.
    #[target_feature(enable = "fp16")]
    fn finished<const P: usize>(
        &self,
        raw: &Raw,
        packed: Packed<'_>,
        finish: &Finish<P>,
        channel: usize,
        output: &mut [F16],
    ) {
        let pixels = output.chunks_mut(self.filter.channels().max(1)).zip(raw.chunks_exact(P));
        for (pixel, (output, sums)) in pixels.enumerate().take(HALF_TILE) {
            for ((to, sums), channel) in
                after_mut(output, channel).chunks_mut(8).zip(sums).zip((channel..).step_by(8))
            {
                let mut values = [F16::default(); 8];
                store(&mut values, clamped(load(sums), &finish.range));
                replaced(&mut values, sums, || self.again(packed, pixel, channel));
                copy(to, &values);
            }
        }
    }

    /// Eight channels of a pixel in f32, as the scalar cell computes them.
    #[target_feature(enable = "fp16")]
    fn again(&self, packed: Packed<'_>, pixel: usize, channel: usize) -> [F16; 8] {
        let depth = self.filter.depth();
        let weights = after(self.filter.data(), channel * depth).as_chunks().0;
        let groups = after(packed.values, 8 * pixel).chunks(packed.pitch.max(1));
        let values = groups.flat_map(|group| group.get(..8).unwrap_or(group));
        let mut sum = splat(0.0);
        for (weights, value) in weights.iter().take(depth).zip(values) {
            sum = fused(splat(value.to_f32()), lanes::load(weights), sum);
        }
        let sum = lanes::add(sum, bias(self.epilogue.bias, channel));
        let mut values = [F16::default(); 8];
        lanes::store(&mut values, crate::tile_f16::lanes::clamped(sum, self.epilogue.clamp));
        values
    }

    /// What the assembly needs for `P` panels from `channel` on.
    #[inline]
    #[target_feature(enable = "fp16")]
    fn finish<const P: usize>(&self, channel: usize) -> Finish<P> {
        let mut finish = Finish::<P> { range: range(self.epilogue.clamp), ..Finish::default() };
        let one_block = self.filter.depth() <= BLOCK;
        for (index, start) in finish.start.iter_mut().enumerate().filter(|_| one_block) {
            lanes::store(start, bias(self.epilogue.bias, channel + 8 * (index % P)));
        }
        for (index, wide) in finish.wide_bias.iter_mut().enumerate() {
            lanes::store_f32(wide, bias(self.epilogue.bias, channel + 8 * index));
        }
        finish
    }
}
