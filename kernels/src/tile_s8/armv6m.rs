//! Armv6-M and Armv7-M: two pixels by four channels at a time.

use super::ARMV6M_LAYOUT;
use crate::isa::armv6m::{Core, multiply};
use crate::requantize::armv6m::finish;
use crate::{Epilogue, Filter};

/// Products of pixels with a filter.
pub(crate) struct Tiles<'a> {
    /// Four channels of a step in a word.
    weights: &'a [i32],
    epilogue: Epilogue<'a>,
    channels: usize,
    depth: usize,
}

impl<'a> Tiles<'a> {
    /// `None` when the layout is another's, or the weights lie beside the words.
    pub(crate) fn new(filter: &Filter<'a>, epilogue: Epilogue<'a>) -> Option<Self> {
        let (channels, depth) = (filter.channels(), filter.depth());
        let weights = bytemuck::try_cast_slice(filter.data()).ok();
        let weights = weights.filter(|_| filter.layout() == ARMV6M_LAYOUT)?;
        Some(Self { weights, epilogue, channels, depth })
    }

    /// All channels of one pixel after the other.
    pub(crate) fn run<C: Core>(&self, input: &[i8], output: &mut [i8]) {
        let (depth, channels) = (self.depth.max(1), self.channels.max(1));
        let mut outputs = output.chunks_mut((2 * channels).max(1));
        for pixels in input.chunks((2 * depth).max(1)) {
            let (first, second) = pixels.split_at(depth.min(pixels.len()));
            self.run_pair::<C>(first, second, outputs.next().unwrap_or(&mut []));
        }
    }

    /// All channels of two pixels; of one when `second` is empty.
    fn run_pair<C: Core>(&self, first: &[i8], second: &[i8], output: &mut [i8]) {
        let to_second = self.channels.min(output.len());
        let Some((one, two)) = output.split_at_mut_checked(to_second) else { return };
        let mut channel = 0;
        while channel < self.channels {
            let start = channel / 4 * self.depth;
            let weights = self.weights.get(start..).and_then(|w| w.get(..self.depth));
            let mut sums = [[0; 4]; 2];
            let partner = if second.is_empty() { first } else { second };
            multiply::<C>(first, partner, weights.unwrap_or(&[]), &mut sums);
            let outputs = [
                one.get_mut(channel..).unwrap_or(&mut []),
                two.get_mut(channel..).unwrap_or(&mut []),
            ];
            finish::<C>(&self.epilogue, channel, sums, outputs);
            channel += 4;
        }
    }
}
