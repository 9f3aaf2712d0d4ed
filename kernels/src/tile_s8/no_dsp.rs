//! Armv6-M and Armv7-M: four pixels at a time, one channel after the other.

use super::{NO_DSP_CHANNELS, NO_DSP_LAYOUT, no_dsp_steps};
use crate::isa::no_dsp::{Core, Factors, PIXELS, Step, Strips, pack_pixels, sums_bias};
use crate::requantize::no_dsp::{clamp, prepare};
use crate::{Epilogue, Filter};

/// Products of pixels with a filter.
pub(crate) struct Tiles<'a> {
    weights: &'a [i8],
    epilogue: Epilogue<'a>,
    channels: usize,
    depth: usize,
    pixels: &'a mut [Step],
    factors: &'a mut [Factors],
}

impl<'a> Tiles<'a> {
    /// `None` when layout or scratch is another's. What is left of the scratch comes with it.
    pub(crate) fn new(
        filter: &Filter<'a>,
        epilogue: Epilogue<'a>,
        scratch: &'a mut [i8],
    ) -> Option<(Self, &'a mut [i8])> {
        let (channels, depth) = (filter.channels(), filter.depth());
        let pixels_bytes = no_dsp_steps(depth).checked_mul(size_of::<Step>())?;
        let (pixels, rest) = scratch.split_at_mut_checked(pixels_bytes)?;
        let (factors, rest) =
            rest.split_at_mut_checked(size_of::<Factors>() * channels.min(NO_DSP_CHANNELS))?;
        let pixels = bytemuck::try_cast_slice_mut(pixels).ok()?;
        let factors = bytemuck::try_cast_slice_mut(factors).ok()?;
        let weights = filter.data();
        let tiles = Self { weights, epilogue, channels, depth, pixels, factors };
        (filter.layout() == NO_DSP_LAYOUT).then_some((tiles, rest))
    }

    /// All channels of the pixels of `output`. `pack` is given the number of a pixel and how many there are
    /// from it on, packs them into the steps, and the last one again where they are fewer than four.
    pub(crate) fn run<C: Core>(
        &mut self,
        output: &mut [i8],
        mut pack: impl FnMut(usize, usize, &mut [Step]),
    ) {
        let (row, channels) = (self.pixels.len(), self.channels.max(1));
        // The last step may be one of padding, which nothing else is written to.
        if let Some(last) = self.pixels.last_mut() {
            *last = [0; 2];
        }
        let mut first = 0;
        while first < channels {
            let count = (channels - first).min(NO_DSP_CHANNELS);
            let factors = self.factors.get_mut(..count).unwrap_or(&mut []);
            let rescales = prepare::<C>(&self.epilogue, first, row, sums_bias(row), factors);
            let weights = self.weights.get(first * row..).unwrap_or(&[]);
            let strips = Strips::new(self.pixels, weights, factors, rescales);
            let Some(mut strips) = strips else { return };
            let mut pixel = 0;
            for output in output.chunks_mut((PIXELS * channels).max(1)) {
                let pixels = output.len() / channels;
                let steps = strips.pixels().get_mut(..self.depth).unwrap_or(&mut []);
                pack(pixel, pixels, steps);
                let to = output.get_mut(first..).unwrap_or(&mut []);
                strips.run::<C>(to, channels, pixels);
                if !rescales {
                    let sums = (strips.sums(), sums_bias(row));
                    rescale(&self.epilogue, first, sums, to, channels);
                }
                pixel += pixels;
            }
            first += count;
        }
        clamp(output, self.epilogue.clamp);
    }

    /// [`run`](Self::run) on pixels that lie one after the other.
    #[inline(never)]
    pub(crate) fn run_pixels<C: Core>(&mut self, input: &[i8], output: &mut [i8]) {
        let depth = self.depth;
        self.run::<C>(output, |first, count, steps| {
            pack_pixels::<C>(input.get(first * depth..).unwrap_or(&[]), depth, count, steps);
        });
    }
}

/// Outputs of `sums`, whose first channel is `first`, of the pixels in `output`.
fn rescale(
    epilogue: &Epilogue<'_>,
    first: usize,
    (sums, excess): (&[Factors], i32),
    output: &mut [i8],
    channels: usize,
) {
    for (number, pixel) in output.chunks_mut(channels.max(1)).enumerate() {
        for ((channel, to), sums) in (first..).zip(pixel).zip(sums) {
            let sum = sums.get(number).copied().unwrap_or(0);
            *to = epilogue.apply(channel, sum.wrapping_sub(excess));
        }
    }
}
