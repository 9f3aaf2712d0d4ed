//! Helium: two pixels by four channels at a time (`VMLADAVA`), sums in eight general registers.
//!
//! A vector of depth steps is 14 instructions for 128 products; what follows the sums of a group of
//! four channels is done for both pixels, a channel a lane.

use crate::isa::mve::elementwise;
use crate::isa::mve::factors::{Fixed, Float};
use crate::isa::mve::strip::{Group, Outputs, Pixels, strip_fixed, strip_float, strip_sums};
use crate::requantize::mve::{fixed_factors, is_tame};
use crate::tile_s8::{MVE_GROUPS, MVE_LAYOUT};
use crate::{Clamp, Epilogue, Filter, Requantize};

/// Products of pixels with a filter, channel panel by channel panel.
pub(crate) struct Tiles<'a> {
    weights: &'a [i8],
    epilogue: Epilogue<'a>,
    channels: usize,
    depth: usize,
    groups: &'a mut [Group],
    rest: &'a mut [i8],
}

/// Clamps the whole output when it is done: the assembly saturates to int8, and narrower ranges
/// are rare.
pub(crate) fn clamp(output: &mut [i8], clamp: Clamp) {
    if clamp != Clamp::NONE {
        elementwise::clamp(output, clamp.min, clamp.max);
    }
}

/// What follows the sums.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Fixed,
    Float,
    /// Any factor: sums go through memory and scalar code.
    Sums,
}

/// One panel of up to [`MVE_GROUPS`] groups, ready for pixels.
pub(crate) struct Panel<'t> {
    weights: &'t [i8],
    groups: &'t [Group],
    epilogue: Epilogue<'t>,
    first: usize,
    channels: usize,
    depth: usize,
    pitch: usize,
    path: Path,
}

impl<'a> Tiles<'a> {
    /// `None` when the layout is another's or there is too little scratch.
    pub(crate) fn new(
        filter: &Filter<'a>,
        epilogue: Epilogue<'a>,
        scratch: &'a mut [i8],
    ) -> Option<Self> {
        if filter.layout() != MVE_LAYOUT {
            return None;
        }
        let (channels, depth) = (filter.channels(), filter.depth());
        let start = scratch.as_ptr().align_offset(align_of::<Group>());
        let bytes = channels.div_ceil(4).min(MVE_GROUPS) * size_of::<Group>();
        let (groups, rest) = scratch.get_mut(start..)?.split_at_mut_checked(bytes)?;
        let groups = bytemuck::try_cast_slice_mut(groups).ok()?;
        Some(Self { weights: filter.data(), epilogue, channels, depth, groups, rest })
    }

    /// Prepares the panel whose first channel is `first`, and lends the scratch that is left;
    /// `None` behind the last one.
    pub(crate) fn panel(&mut self, first: usize) -> Option<(Panel<'_>, &mut [i8])> {
        let channels = self.channels.checked_sub(first)?.min(4 * self.groups.len());
        if channels == 0 {
            return None;
        }
        let weights = self.weights.get(first * super::mve_pitch(self.depth)..)?;
        let path = self.prepare(first, channels);
        let panel = Panel {
            weights,
            groups: self.groups,
            epilogue: self.epilogue,
            first,
            channels,
            depth: self.depth,
            pitch: self.channels,
            path,
        };
        Some((panel, self.rest))
    }

    /// Lays out what follows the sums of a panel, and finds out how it may be computed.
    fn prepare(&mut self, first: usize, channels: usize) -> Path {
        let Epilogue { bias, requantize, zero_point, .. } = self.epilogue;
        let bias = bias.get(first..).unwrap_or(&[]);
        match requantize {
            Requantize::FixedPoint { multiplier, shift } if cfg!(feature = "tflite") => {
                let multiplier = multiplier.get(first..).unwrap_or(&[]);
                let shift = shift.get(first..).unwrap_or(&[]);
                if (Fixed { bias, multiplier, shift, zero_point }).group(self.groups) {
                    return Path::Fixed;
                }
                for (index, ((&bias, &multiplier), &shift)) in
                    bias.iter().zip(multiplier).zip(shift).take(channels).enumerate()
                {
                    if is_tame(multiplier, shift) {
                        continue;
                    }
                    let channel = (bias, multiplier, shift);
                    match fixed_factors(channel, zero_point, self.depth) {
                        Some(factors) => self.put(index, factors),
                        None => return Path::Sums,
                    }
                }
                Path::Fixed
            }
            Requantize::Float { scale } if cfg!(feature = "fp32") => {
                let scale = scale.get(first..).unwrap_or(&[]);
                Float { bias, scale }.group(self.groups);
                Path::Float
            }
            _ => Path::Sums,
        }
    }

    fn put(&mut self, index: usize, factors: [i32; 4]) {
        let Some(group) = self.groups.get_mut(index / 4) else { return };
        for (to, factor) in group.iter_mut().zip(factors) {
            to[index % 4] = factor;
        }
    }
}

impl Panel<'_> {
    /// Where the next panel starts.
    pub(crate) const fn end(&self) -> usize {
        self.first + self.channels
    }

    /// The panel's channels of `count` pixels, `pitch` bytes apart. `output` starts with the first
    /// pixel's first channel of all.
    pub(crate) fn run(&self, bytes: &[i8], pitch: usize, count: usize, output: &mut [i8]) {
        let even = count & !1;
        self.run_pixels(Pixels { bytes, depth: self.depth, pitch, count: even }, output);
        if even < count {
            let bytes = bytes.get(even * pitch..).unwrap_or(&[]);
            let output = output.get_mut(even * self.pitch..).unwrap_or(&mut []);
            self.run_pixels(Pixels { bytes, depth: self.depth, pitch, count: 1 }, output);
        }
    }

    /// An even number of pixels, or one.
    fn run_pixels(&self, pixels: Pixels<'_>, output: &mut [i8]) {
        let output = output.get_mut(self.first..).unwrap_or(&mut []);
        if self.path == Path::Sums && cfg!(feature = "fallback") {
            return self.run_sums(pixels, output);
        }
        let (whole, rest) = (self.channels / 4, self.channels % 4);
        self.strip(0, whole, pixels, Outputs { bytes: output, pitch: self.pitch });
        if rest == 0 {
            return;
        }
        for pixel in 0..pixels.count {
            let mut last = [0; 4];
            let bytes = pixels.bytes.get(pixel * pixels.pitch..).unwrap_or(&[]);
            let pixel_of = Pixels { bytes, count: 1, ..pixels };
            self.strip(whole, 1, pixel_of, Outputs { bytes: &mut last, pitch: 0 });
            let to = output.iter_mut().skip(pixel * self.pitch + 4 * whole);
            for (to, from) in to.zip(last.iter().take(rest)) {
                *to = *from;
            }
        }
    }

    fn strip(&self, first: usize, count: usize, pixels: Pixels<'_>, outputs: Outputs<'_>) {
        let weights = self.weights.get(4 * first * super::mve_pitch(self.depth)..);
        let groups = self.groups.get(first..).and_then(|groups| groups.get(..count));
        let (Some(weights), Some(groups)) = (weights, groups) else { return };
        match self.path {
            Path::Fixed if cfg!(feature = "tflite") => {
                strip_fixed(weights, groups, pixels, outputs);
            }
            Path::Float if cfg!(feature = "fp32") => {
                strip_float(weights, groups, self.epilogue.zero_point, pixels, outputs);
            }
            _ => {}
        }
    }

    fn run_sums(&self, pixels: Pixels<'_>, output: &mut [i8]) {
        for pixel in 0..pixels.count {
            let bytes = pixels.bytes.get(pixel * pixels.pitch..).unwrap_or(&[]);
            let output = output.get_mut(pixel * self.pitch..).unwrap_or(&mut []);
            for first in (0..self.channels).step_by(4) {
                let mut sums = [0; 4];
                let weights = self.weights.get(first * super::mve_pitch(self.depth)..);
                strip_sums(weights.unwrap_or(&[]), Pixels { bytes, ..pixels }, &mut sums);
                let to = output.get_mut(first..).unwrap_or(&mut []).iter_mut();
                for (to, (channel, sum)) in to.zip((first..self.channels).zip(sums)) {
                    *to = self.epilogue.apply(self.first + channel, sum);
                }
            }
        }
    }
}
