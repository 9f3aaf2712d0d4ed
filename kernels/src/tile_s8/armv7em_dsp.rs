//! Armv7E-M: two pixels by four channels at a time (`SMLAD`), sums in eight registers.
//!
//! A word of the woven filter multiplies an even and an odd channel at once; one `SXTB16` more
//! takes them apart, so that an inner step is 12 instructions for 16 products.

use crate::isa::armv7em::window::WindowRows;
use crate::isa::armv7em::{
    FixedGroup, Outputs, Pixels, Products, Steps, Sums, Weights, Windows, strip_fixed, strip_sums,
    widen, widen_over,
};
#[cfg(target_abi = "eabihf")]
use crate::isa::armv7em::{FloatGroup, MAGIC, strip_float};
use crate::requantize::armv7em_dsp::fixed_factors;
use crate::tile_s8::{ARMV7EM_EXACT_BLOCKS as EXACT_BLOCKS, ARMV7EM_GROUPS};
use crate::{Clamp, Epilogue, Filter, Layout, Requantize, clamp_s8};

/// Products of pixels with a filter, channel panel by channel panel.
pub(crate) struct Tiles<'a> {
    weights: &'a [Weights],
    epilogue: Epilogue<'a>,
    channels: usize,
    depth: usize,
    blocks: usize,
    words: &'a mut [u32],
    groups: &'a mut [FixedGroup],
}

/// Clamps the whole output when it is done: the assembly saturates to int8, and narrower ranges
/// are rare.
pub(crate) fn clamp(output: &mut [i8], clamp: Clamp) {
    if clamp != Clamp::NONE {
        clamp_s8::armv7em_dsp::in_place(output, clamp);
    }
}

/// What follows the sums.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Fixed,
    #[cfg(target_abi = "eabihf")]
    Float,
    /// Any depth and any factor: sums go through memory and scalar code.
    Sums,
}

/// One panel of up to [`ARMV7EM_GROUPS`] groups, ready for pixels.
pub(crate) struct Panel<'t, 'a> {
    tiles: &'t mut Tiles<'a>,
    weights: &'a [Weights],
    first: usize,
    channels: usize,
    path: Path,
}

impl<'a> Tiles<'a> {
    /// `None` when layout, alignment or scratch is another's.
    pub(crate) fn new(
        filter: &Filter<'a>,
        epilogue: Epilogue<'a>,
        scratch: &'a mut [i8],
    ) -> Option<Self> {
        if filter.layout() != Layout::WOVEN {
            return None;
        }
        let weights = bytemuck::try_cast_slice(filter.data()).ok()?;
        let (channels, depth) = (filter.channels(), filter.depth());
        let (blocks, groups) = (depth.div_ceil(4), channels.div_ceil(4).min(ARMV7EM_GROUPS));
        let words = bytemuck::pod_align_to_mut::<i8, u32>(scratch).1;
        let (words, rest) = words.split_at_mut_checked(5 * blocks)?;
        let groups = bytemuck::pod_align_to_mut::<_, FixedGroup>(rest).1.get_mut(..groups)?;
        Some(Self { weights, epilogue, channels, depth, blocks, words, groups })
    }

    /// Prepares the panel whose first channel is `first`; `None` behind the last one.
    pub(crate) fn panel(&mut self, first: usize) -> Option<Panel<'_, 'a>> {
        let channels = self.channels.checked_sub(first)?.min(4 * self.groups.len());
        if channels == 0 {
            return None;
        }
        let weights = self.weights.get(first / 4 * self.blocks..)?;
        let path = self.prepare(first, channels);
        Some(Panel { tiles: self, weights, first, channels, path })
    }

    /// Lays out what follows the sums of a panel, and finds out how it may be computed.
    fn prepare(&mut self, first: usize, channels: usize) -> Path {
        if self.blocks > EXACT_BLOCKS {
            return Path::Sums;
        }
        let Epilogue { bias, requantize, zero_point, .. } = self.epilogue;
        let bias = bias.get(first..).unwrap_or(&[]);
        match requantize {
            Requantize::FixedPoint { multiplier, shift } if cfg!(feature = "tflite") => {
                let multiplier = multiplier.get(first..).unwrap_or(&[]);
                let shift = shift.get(first..).unwrap_or(&[]);
                let mut tame = true;
                let factors = bias.iter().zip(multiplier).zip(shift).take(channels);
                for (to, ((&bias, &multiplier), &shift)) in
                    self.groups.iter_mut().flatten().zip(factors)
                {
                    let factors = (bias, multiplier, shift);
                    let fixed = fixed_factors(factors, zero_point, 4 * self.blocks);
                    tame &= fixed.is_some();
                    *to = fixed.unwrap_or_default();
                }
                if tame { Path::Fixed } else { Path::Sums }
            }
            #[cfg(target_abi = "eabihf")]
            Requantize::Float { scale } if cfg!(feature = "fp32") => {
                let scale = scale.get(first..).unwrap_or(&[]);
                let bits = MAGIC.to_bits().cast_signed() - i32::from(zero_point);
                let groups: &mut [FloatGroup] = bytemuck::cast_slice_mut(self.groups);
                for (index, group) in groups.iter_mut().enumerate().take(channels.div_ceil(4)) {
                    let bias = |k: usize| bias.get(4 * index + k).copied().unwrap_or(0);
                    let scale = |k: usize| scale.get(4 * index + k).copied().unwrap_or(0.0);
                    let (even, next) = (bias(0), bias(2));
                    group.start = [even, even, next, next, even, even, next, next];
                    group.odd = [bias(1), bias(3)];
                    group.bits = bits;
                    group.scale = [scale(0), scale(1), scale(2), scale(3)];
                }
                Path::Float
            }
            _ => Path::Sums,
        }
    }
}

impl Panel<'_, '_> {
    /// Where the next panel starts.
    pub(crate) const fn end(&self) -> usize {
        self.first + self.channels
    }

    /// The two buffers for a pixel's bytes. They lie in the way of what widening writes.
    pub(crate) fn bytes(&mut self) -> (&mut [i8], &mut [i8]) {
        let start = 3 * self.tiles.blocks;
        let bytes = self.tiles.words.get_mut(start..).unwrap_or(&mut []);
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(bytes);
        bytes.split_at_mut(bytes.len() / 2)
    }

    /// Widens what [`bytes`](Self::bytes) holds.
    pub(crate) fn widen_bytes(&mut self) {
        widen_over(self.tiles.words);
    }

    /// Widens parts of two pixels from depth step `4 * block` on: a whole number of blocks.
    #[inline]
    fn widen(&mut self, block: usize, blocks: usize, first: &[i8], second: &[i8]) {
        let to = self.tiles.words.get_mut(4 * block..).and_then(|to| to.get_mut(..4 * blocks));
        if let Some(to) = to {
            widen(first, second, to);
        }
    }

    /// Widens two whole pixels.
    pub(crate) fn widen_pixels(&mut self, first: &[i8], second: &[i8]) {
        let (blocks, rest) = (self.tiles.depth / 4, self.tiles.depth % 4);
        self.widen(0, blocks, first, second);
        if rest > 0 {
            let [mut a, mut b] = [[0; 4]; 2];
            for (to, from) in a.iter_mut().zip(first.iter().skip(4 * blocks)) {
                *to = *from;
            }
            for (to, from) in b.iter_mut().zip(second.iter().skip(4 * blocks)) {
                *to = *from;
            }
            self.widen(blocks, 1, &a, &b);
        }
    }

    /// The panel's channels of all `pixels`, one after the other in `input`.
    pub(crate) fn run_pixels(&mut self, input: &[i8], output: &mut [i8]) {
        let (depth, channels) = (self.tiles.depth.max(1), self.tiles.channels.max(1));
        let mut done = 0;
        if depth.is_multiple_of(4) && self.channels.is_multiple_of(4) && self.path != Path::Sums {
            done = (input.len() / depth) & !1;
            let output = output.get_mut(self.first..).unwrap_or(&mut []);
            self.strip(0, self.channels / 4, Pixels::Whole(input), output, channels);
        }
        let input = input.get(done * depth..).unwrap_or(&[]);
        let output = output.get_mut(done * channels..).unwrap_or(&mut []);
        // Not zipped: a zip of chunks divides by their length, which only inlining proves not zero.
        let mut outputs = output.chunks_mut((2 * channels).max(1));
        for input in input.chunks((2 * depth).max(1)) {
            let output = outputs.next().unwrap_or(&mut []);
            let (pixel, second) = input.split_at(depth.min(input.len()));
            let second = if second.is_empty() { None } else { Some(second) };
            self.widen_pixels(pixel, second.unwrap_or(pixel));
            self.run(second.map(|_| channels), output);
        }
    }

    /// The panel's channels of a pixel that was widened before, and of the `second` one, so many
    /// bytes behind it. `output` starts with the first pixel's first channel of all.
    pub(crate) fn run(&mut self, second: Option<usize>, output: &mut [i8]) {
        let Some(output) = output.get_mut(self.first..) else { return };
        if self.path == Path::Sums && cfg!(feature = "fallback") {
            return self.run_sums(second, output);
        }
        let (whole, rest) = (self.channels / 4, self.channels % 4);
        self.strip(0, whole, Pixels::Ready, output, second.unwrap_or(0));
        if rest > 0 {
            let mut last = [0; 8];
            self.strip(whole, 1, Pixels::Ready, &mut last, 4);
            for (start, from) in places(second).zip(last.chunks(4)) {
                let to = output.iter_mut().skip(start + 4 * whole);
                for (to, from) in to.zip(from.iter().take(rest)) {
                    *to = *from;
                }
            }
        }
    }

    /// The panel's channels of pairs of windows over `rows`, every `step` bytes from `first` on,
    /// of `len` bytes a row; false where they have to be gathered.
    pub(crate) fn run_windows(
        &mut self,
        rows: &WindowRows<'_>,
        [first, step, len]: [usize; 3],
        pairs: usize,
        output: &mut [i8],
    ) -> bool {
        if !self.channels.is_multiple_of(4) || self.path == Path::Sums {
            return false;
        }
        let channels = self.tiles.channels;
        let output = output.get_mut(self.first..).unwrap_or(&mut []);
        let windows = Pixels::Windows(Windows { rows, first, step, len, pairs });
        self.strip(0, self.channels / 4, windows, output, channels);
        true
    }

    fn strip(
        &mut self,
        group: usize,
        count: usize,
        pixels: Pixels<'_>,
        output: &mut [i8],
        stride: usize,
    ) {
        let blocks = self.tiles.blocks;
        let steps = Steps { words: &mut *self.tiles.words, blocks };
        let Some(weights) = self.weights.get(group * blocks..) else { return };
        let outputs = Some(Outputs { bytes: output, stride });
        let products = Products { steps, weights, pixels, outputs };
        match self.path {
            Path::Fixed if cfg!(feature = "tflite") => {
                let groups = self.tiles.groups.get(group..).and_then(|g| g.get(..count));
                strip_fixed(products, groups.unwrap_or(&[]));
            }
            #[cfg(target_abi = "eabihf")]
            Path::Float if cfg!(feature = "fp32") => {
                let groups: &[FloatGroup] = bytemuck::cast_slice(self.tiles.groups);
                let groups = groups.get(group..).and_then(|g| g.get(..count));
                strip_float(products, groups.unwrap_or(&[]));
            }
            _ => {}
        }
    }

    /// Depth beyond [`EXACT_BLOCKS`] in parts, and any epilogue.
    fn run_sums(&mut self, second: Option<usize>, output: &mut [i8]) {
        let blocks = self.tiles.blocks;
        let sums: &mut [Sums] = bytemuck::cast_slice_mut(self.tiles.groups);
        let groups = self.channels.div_ceil(4);
        for (group, sums) in sums.iter_mut().take(groups).enumerate() {
            *sums = [[0; 4]; 2];
            let widened = self.tiles.words.get_mut(..4 * blocks).unwrap_or(&mut []);
            for (part, words) in widened.chunks_mut(4 * EXACT_BLOCKS).enumerate() {
                let start = group * blocks + part * EXACT_BLOCKS;
                let weights = self.weights.get(start..).unwrap_or(&[]);
                let steps = Steps { blocks: words.len() / 4, words };
                strip_sums(steps, weights, core::slice::from_mut(sums));
            }
            for (start, sums) in places(second).zip(sums) {
                let to = output.get_mut(start + 4 * group..).unwrap_or(&mut []);
                let channels = (4 * group..self.channels).zip(sums);
                for (to, (channel, sum)) in to.iter_mut().zip(channels) {
                    *to = self.tiles.epilogue.apply(self.first + channel, *sum);
                }
            }
        }
    }
}

/// Where the outputs of one or two pixels start.
fn places(second: Option<usize>) -> impl Iterator<Item = usize> {
    core::iter::once(0).chain(second)
}
