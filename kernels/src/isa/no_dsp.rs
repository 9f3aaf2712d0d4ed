//! What Armv6-M and Armv7-M have in common: a word holds a step of two pixels, `x0 + (x1 << 16)`, so
//! that one product with a weight is two. Cortex-M0, M0+ and M3.
//!
//! Neither core has SIMD, and none is needed. Two steps of a channel add up to between `-2 * 128 * 127`
//! and `2 * 128 * 128` in either half of a word; with 0x7f80 more that fits 16 unsigned bits, and nothing
//! is carried from one half into the other. So all such words are added up, and their upper halves once
//! more by themselves: the latter are the sums of the second pixel, and what the former have beyond them
//! are those of the first. `SMLAL` would add up more steps at a time, but takes up to seven cycles.

#![allow(unsafe_code, reason = "the leaves of an instruction set")]

pub(crate) mod depthwise;

use depthwise::Band;

/// A step of two pairs of pixels.
pub(crate) type Step = [i32; 2];

/// What follows the sums of a channel: `[2 * bias, multiplier, rounding, shift to the right]`; or where
/// its four sums go.
pub(crate) type Factors = [i32; 4];

/// What is added to both halves of a pair of steps.
const HALF_BIAS: u32 = 0x7f80;
/// Pairs of steps in a turn of the innermost loop.
const TURN: usize = 8;

/// The loops of a core.
pub(crate) trait Core {
    /// What is added to every upper word of a product on the way, so that the rounding in [`Factors`] is
    /// less by it.
    const UPPER_OFFSET: i32;

    /// Packs `steps` steps of four pixels.
    ///
    /// # Safety
    /// So many behind every pointer.
    unsafe extern "C" fn pack(sources: &[*const i8; 4], to: *mut Step, steps: usize);

    /// Multiplies all channels of a strip and rescales them as `tflite` does, adds the zero point and
    /// saturates to int8: `(upper(x * multiplier) + rounding - [x < 0]) >> shift`, where `x` is the
    /// doubled sum and `upper` the rounded upper word.
    ///
    /// # Safety
    /// A strip as [`Strips::run`] makes it, and its weights.
    unsafe extern "C" fn multiply(strip: &mut Strip, weights: *const i8);

    /// Copies four bytes each of `columns > 0` pixels, `stride` bytes apart.
    ///
    /// # Safety
    /// So many columns behind either pointer.
    unsafe extern "C" fn copy_columns(from: *const i8, stride: usize, to: *mut i32, columns: usize);

    /// Multiplies and rescales the windows of a row.
    ///
    /// # Safety
    /// A band as its own methods make it.
    unsafe extern "C" fn depthwise(band: &mut Band);
}

/// Four pixels times some channels, as the assembly reads it.
#[repr(C)]
pub(crate) struct Strip {
    /// Where the next channel of each pixel goes.
    outputs: [*mut i8; 4],
    /// What the sums start with.
    sums: [u32; 4],
    bias: u32,
    pixels: *const Step,
    /// Where the innermost loop is entered; filled by the assembly.
    entry: usize,
    factors: *mut Factors,
    factors_end: *mut Factors,
    pixels_end: *const Step,
    /// Whether sums are rescaled; else they replace the factors.
    rescales: usize,
    /// Whether all four pixels are the same one.
    is_single: usize,
    /// Pairs of steps by which the first turn of the innermost loop is short.
    skip: usize,
}

/// Strips that share their channels.
pub(crate) struct Strips<'a> {
    strip: Strip,
    pixels: &'a mut [Step],
    weights: &'a [i8],
    factors: &'a mut [Factors],
}

/// Pixels of a strip.
pub(crate) const PIXELS: usize = 4;

/// What the sums of `steps` steps have too much.
pub(crate) fn sums_bias(steps: usize) -> i32 {
    #[allow(clippy::cast_possible_truncation, reason = "sums wrap as well")]
    let pairs = (steps / 2) as u32;
    pairs.wrapping_mul(HALF_BIAS).cast_signed()
}

impl<'a> Strips<'a> {
    /// As many channels as there are `factors`, and an even number of steps in `pixels` and for each
    /// channel; or, unless it rescales, what takes their sums. `None` when there are fewer weights than
    /// that takes.
    pub(crate) fn new(
        pixels: &'a mut [Step],
        weights: &'a [i8],
        factors: &'a mut [Factors],
        rescales: bool,
    ) -> Option<Self> {
        let pairs = pixels.len() / 2;
        let weights = weights.get(..factors.len().checked_mul(2 * pairs)?)?;
        if weights.is_empty() {
            return None;
        }
        let null = core::ptr::null_mut();
        let strip = Strip {
            outputs: [null; PIXELS],
            sums: [0; 4],
            bias: HALF_BIAS << 16 | HALF_BIAS,
            pixels: null.cast(),
            entry: 0,
            factors: null.cast(),
            factors_end: null.cast(),
            pixels_end: null.cast(),
            rescales: rescales.into(),
            is_single: 0,
            skip: pairs.wrapping_neg() % TURN,
        };
        Some(Self { strip, pixels, weights, factors })
    }

    /// Where the next strip's pixels go.
    pub(crate) const fn pixels(&mut self) -> &mut [Step] {
        self.pixels
    }

    /// The sums of the last strip, unless it was rescaled: those of a channel by pixel, [`sums_bias`] too
    /// large.
    pub(crate) const fn sums(&self) -> &[Factors] {
        self.factors
    }

    /// Multiplies `count` pixels, the last of which fills the others' places. Their outputs start
    /// `stride` bytes apart in `output`; nothing happens when they do not fit.
    pub(crate) fn run<C: Core>(&mut self, output: &mut [i8], stride: usize, count: usize) {
        let Some(last) = count.min(PIXELS).checked_sub(1) else { return };
        let end = last.checked_mul(stride).and_then(|last| last.checked_add(self.factors.len()));
        if self.strip.rescales != 0 && end.is_none_or(|end| end > output.len()) {
            return;
        }
        let strip = &mut self.strip;
        let output = output.as_mut_ptr();
        let place = |number: usize| output.wrapping_add(number.min(last) * stride);
        strip.outputs = [place(0), place(1), place(2), place(3)];
        let (factors, pixels) = (self.factors.as_mut_ptr_range(), self.pixels.as_ptr());
        (strip.factors, strip.factors_end) = (factors.start, factors.end);
        strip.pixels = pixels;
        strip.pixels_end = pixels.wrapping_add(self.pixels.len() & !1);
        strip.is_single = usize::from(last == 0);
        // Twice the pixel makes 0x10001 times the sum, of which 0xffff0001 times is the sum.
        let single = sums_bias(self.pixels.len()).cast_unsigned().wrapping_mul(0x1_0001);
        strip.sums = [if last == 0 { single } else { 0 }, 0, 0, 0];
        // SAFETY: `new` has checked pixels and weights, and every pixel has room for all channels.
        unsafe { C::multiply(strip, self.weights.as_ptr()) }
    }
}

/// Packs four pixels from the starts of `sources` until one of them or `to` ends.
#[inline(never)]
pub(crate) fn pack<C: Core>(sources: [&[i8]; PIXELS], to: &mut [Step]) {
    let steps = sources.iter().fold(to.len(), |steps, source| steps.min(source.len()));
    if steps > 0 {
        // SAFETY: all of them hold so many steps.
        unsafe { C::pack(&sources.map(<[i8]>::as_ptr), to.as_mut_ptr(), steps) }
    }
}

/// [`pack`] of `count` pixels that start `stride` bytes apart, the last of which fills the others'
/// places. Does nothing when they are not all there.
#[inline(never)]
pub(crate) fn pack_pixels<C: Core>(from: &[i8], stride: usize, count: usize, to: &mut [Step]) {
    let Some(last) = count.min(PIXELS).checked_sub(1) else { return };
    let end = last.checked_mul(stride).and_then(|last| last.checked_add(to.len()));
    if !to.is_empty() && end.is_some_and(|end| end <= from.len()) {
        let place = |number: usize| from.as_ptr().wrapping_add(number.min(last) * stride);
        let sources = [place(0), place(1), place(2), place(3)];
        // SAFETY: the last one ends within `from`.
        unsafe { C::pack(&sources, to.as_mut_ptr(), to.len()) }
    }
}
