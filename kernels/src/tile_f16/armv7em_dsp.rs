//! Armv7E-M with an FPU: four pixels by four channels, sums in sixteen registers; single pixels by
//! four channels.

use crate::isa::armv7em::half::{tile_1, tile_4};
use crate::tile_f16::{ARMV7EM_LAYOUT, ARMV7EM_TILE};
use crate::{EpilogueF16, F16, Filter};

/// A tile of pixels times a filter.
pub(crate) struct Tiles<'a> {
    /// Panels of `blocks` steps: a pair of each of four channels.
    weights: &'a [[u32; 4]],
    epilogue: EpilogueF16<'a>,
    channels: usize,
    blocks: usize,
    /// Pairs of each pixel, side by side.
    pairs: &'a mut [u32],
}

impl<'a> Tiles<'a> {
    /// `None` when layout, alignment or scratch is another's. `pixels` is how many to have room for.
    pub(crate) fn new(
        filter: &Filter<'a, F16>,
        epilogue: EpilogueF16<'a>,
        scratch: &'a mut [i8],
        pixels: usize,
    ) -> Option<Self> {
        if filter.layout() != ARMV7EM_LAYOUT {
            return None;
        }
        let weights = bytemuck::try_cast_slice(filter.data()).ok()?;
        let blocks = filter.depth().div_ceil(2);
        let words = bytemuck::pod_align_to_mut::<i8, u32>(scratch).1;
        let pairs = words.get_mut(..blocks.checked_mul(pixels)?)?;
        Some(Self { weights, epilogue, channels: filter.channels(), blocks, pairs })
    }

    /// Four pixels, one after the other. `gather(index, put)` gives the values of a pixel in order, zeros
    /// in the padding, by calling `put(step, values)`.
    pub(crate) fn four(
        &mut self,
        mut gather: impl FnMut(usize, &mut dyn FnMut(usize, &[F16])),
        output: &mut [F16],
    ) {
        self.pairs.fill(0);
        let halves: &mut [F16] = bytemuck::cast_slice_mut(self.pairs);
        for pixel in 0..ARMV7EM_TILE {
            gather(pixel, &mut |first, values| {
                // Step `s` of a pixel lies in pair `s / 2` of its block.
                for (step, &value) in (first..).zip(values) {
                    let place = (step / 2 * ARMV7EM_TILE + pixel) * 2 + step % 2;
                    if let Some(place) = halves.get_mut(place) {
                        *place = value;
                    }
                }
            });
        }
        let (pixels, _) = self.pairs.as_chunks();
        for (panel, weights) in self.weights.chunks_exact(self.blocks.max(1)).enumerate() {
            let sums = tile_4(pixels, weights);
            for (output, sums) in output.chunks_mut(self.channels.max(1)).zip(sums) {
                store(&self.epilogue, 4 * panel, sums, output);
            }
        }
    }

    /// A single pixel; see [`four`](Self::four).
    pub(crate) fn one(
        &mut self,
        gather: impl FnOnce(&mut dyn FnMut(usize, &[F16])),
        output: &mut [F16],
    ) {
        let Some(pairs) = self.pairs.get_mut(..self.blocks) else { return };
        pairs.fill(0);
        let halves: &mut [F16] = bytemuck::cast_slice_mut(pairs);
        gather(&mut |first, values| {
            let places = halves.get_mut(first..).unwrap_or(&mut []);
            for (place, &value) in places.iter_mut().zip(values) {
                *place = value;
            }
        });
        for (panel, weights) in self.weights.chunks_exact(self.blocks.max(1)).enumerate() {
            store(&self.epilogue, 4 * panel, tile_1(pairs, weights), output);
        }
    }
}

/// Four channels of a pixel from `first` on, those that it has.
pub(crate) fn store(epilogue: &EpilogueF16<'_>, first: usize, sums: [f32; 4], pixel: &mut [F16]) {
    let channels = pixel.iter_mut().enumerate().skip(first);
    for ((channel, output), sum) in channels.zip(sums) {
        *output = epilogue.apply(channel, sum);
    }
}
