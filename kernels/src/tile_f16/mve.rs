//! Helium: six pixels by four channels, sums in six vectors; single pixels by four channels.

use crate::isa::mve::half::{Pixels, Weights, clear, is_exact, tile_1, tile_6, widen};
use crate::tile_f16::{ARMV7EM_LAYOUT, MVE_TILE};
use crate::{EpilogueF16, F16, Filter};
use core::ops::Range;

/// A tile of pixels times a filter.
pub(crate) struct Tiles<'a> {
    weights: &'a [Weights],
    epilogue: EpilogueF16<'a>,
    depth: usize,
    /// Steps of the pixels in f32, an even number, side by side.
    steps: &'a mut [f32],
}

impl<'a> Tiles<'a> {
    /// `None` when layout, alignment, scratch or numbers are none for these tiles. `pixels` is how many
    /// to have room for.
    pub(crate) fn new(
        filter: &Filter<'a, F16>,
        epilogue: EpilogueF16<'a>,
        scratch: &'a mut [i8],
        pixels: usize,
    ) -> Option<Self> {
        if filter.layout() != ARMV7EM_LAYOUT || !is_exact(&epilogue) {
            return None;
        }
        let weights = bytemuck::try_cast_slice(filter.data()).ok()?;
        let depth = filter.depth();
        let len = depth.checked_next_multiple_of(2)?.checked_mul(pixels)?;
        let steps = bytemuck::pod_align_to_mut::<i8, f32>(scratch).1.get_mut(..len)?;
        // The step that makes the depth even is no pixel's.
        steps.get_mut(depth * pixels..)?.fill(0.0);
        Some(Self { weights, epilogue, depth, steps })
    }

    /// As many pixels as `output` holds, up to six, which `gather` lays out.
    pub(crate) fn run(&mut self, gather: impl FnOnce(&mut Steps<'_>), output: &mut [F16]) {
        let count = output.len().checked_div(self.epilogue.bias.len()).unwrap_or(0);
        if count == 1 {
            let len = self.depth.next_multiple_of(2);
            let values = self.steps.get_mut(..len).unwrap_or(&mut []);
            if let Some(odd) = values.get_mut(self.depth) {
                *odd = 0.0;
            }
            gather(&mut Steps { values, pitch: 1, count });
            tile_1(self.weights, values.as_chunks().0, &self.epilogue, output);
        } else {
            let count = count.min(MVE_TILE);
            gather(&mut Steps { values: self.steps, pitch: MVE_TILE, count });
            tile_6(self.weights, self.steps.as_chunks().0, &self.epilogue, output);
        }
    }
}

/// The steps of a few pixels: all first ones, all second ones and so on.
pub(crate) struct Steps<'a> {
    values: &'a mut [f32],
    pitch: usize,
    pub(crate) count: usize,
}

impl Steps<'_> {
    /// Steps from `first` on of the pixels from `pixel` on.
    #[inline]
    pub(crate) fn put(&mut self, first: usize, pixel: usize, pixels: Pixels<'_>) {
        let to = self.values.get_mut(first * self.pitch + pixel..).unwrap_or(&mut []);
        widen(pixels, to, self.pitch);
    }

    /// Zeros to `len` steps from `first` on of these pixels.
    pub(crate) fn clear(&mut self, first: usize, len: usize, pixels: Range<usize>) {
        for pixel in pixels {
            let to = self.values.get_mut(first * self.pitch + pixel..).unwrap_or(&mut []);
            clear(to, len, self.pitch);
        }
    }
}
