//! 1x1 convolution with stride one, int8: a matrix product over pixels.
//!
//! # Shapes
//! `input: [pixels, in_channels]`, `filter: [out_channels, in_channels]`, `output: [pixels,
//! out_channels]`, all int8; `bias` and factors: `[out_channels]`. Any number of pixels, so a
//! row is as good as a map.
//!
//! # Numerics
//! Exact int32 sums: `|sum| <= depth * 128 * 127` for weights in `[-127, 127]`, plus the folded
//! bias, which whoever packs the model keeps below `2^31`; sums beyond that wrap. Then
//! [`Rescale`](crate::Rescale), either contract, saturating; bit-exact on every machine.
//! Distance to the real result, in steps of the output: `tflite` at most
//! `1/2 + 2^(shift - 1)` (two roundings), `fp32` at most `1/2 + 1e-4`.
//!
//! # Errors
//! From [`Args::new`]: `Channels` for an empty filter, `InputLen` for anything but whole pixels,
//! `OutputLen` for another number of pixels, `ParameterLen` for a table without one entry a
//! channel or an empty clamp.
//!
//! # Cost
//! `pixels * in_channels * out_channels` MACs. Scratch: scalar none; Armv6-M and Armv7-M
//! `8 * in_channels + 16 * out_channels` bytes, up to 128 of the latter; AVX2 a strip of
//! widened pixels, about 1 KiB up to 85 input channels and `12 * in_channels` bytes above; AArch64
//! a strip of about 16 KiB, twice with i8mm; Armv7E-M `6 * in_channels + 16 * out_channels` bytes,
//! Helium the latter part only, see [`scratch_bytes`].
//!
//! # Source
//! Howard et al., MobileNets, section 3.1; TFLite quantization specification, CONV_2D.

use crate::{Epilogue, Filter, Isa, Layout, ShapeError, tile_s8};

#[cfg(any(armv6m, armv7m))]
pub(crate) mod armv6m;
#[cfg(armv7em)]
pub(crate) mod armv7em_dsp;
#[cfg(armv7m)]
pub(crate) mod armv7m;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_dotprod;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_i8mm;
pub(crate) mod scalar;

/// What a pointwise convolution reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[pixels, in_channels]`.
    pub input: &'a [i8],
    /// `[out_channels, in_channels]`.
    pub filter: Filter<'a>,
    /// Bias, requantization, zero point and clamp of the output.
    pub epilogue: Epilogue<'a>,
    /// `[pixels, out_channels]`.
    pub output: &'a mut [i8],
    /// At least [`scratch_bytes`] for the running cell, or it falls back to scalar.
    pub scratch: &'a mut [i8],
}

/// [`Operands`] whose lengths were checked.
#[derive(Debug)]
pub struct Args<'a>(Operands<'a>);

impl<'a> Args<'a> {
    /// Checks every length once, so that cells need not.
    ///
    /// # Errors
    /// [`ShapeError`] naming the operand that does not fit.
    pub fn new(operands: Operands<'a>) -> Result<Self, ShapeError> {
        let Operands { input, filter, epilogue, output, .. } = &operands;
        if filter.depth() == 0 || filter.channels() == 0 {
            return Err(ShapeError::Channels);
        }
        if input.len() % filter.depth() != 0 {
            return Err(ShapeError::InputLen);
        }
        if (input.len() / filter.depth()).checked_mul(filter.channels()) != Some(output.len()) {
            return Err(ShapeError::OutputLen);
        }
        epilogue.check(filter.channels())?;
        Ok(Self(operands))
    }
}

cells! {
    Avx2 avx2 on target_arch = "x86_64",
    Neon neon on target_arch = "aarch64",
    NeonDotprod neon_dotprod on target_arch = "aarch64",
    NeonI8mm neon_i8mm on target_arch = "aarch64",
    Armv6m armv6m on armv6m,
    Armv7m armv7m on armv7m,
    Armv7emDsp armv7em_dsp on armv7em,
    Mve mve on mve,
}

/// The layout that the cell of `isa` reads without unpacking.
#[must_use]
pub const fn layout(isa: Isa, channels: usize, depth: usize) -> Layout {
    let _ = (channels, depth);
    tile_s8::layout(isa)
}

/// Scratch that the cell of `isa` wants.
#[must_use]
pub const fn scratch_bytes(isa: Isa, channels: usize, depth: usize) -> usize {
    match isa {
        // Pixels are read as they lie.
        Isa::Mve => tile_s8::vector_scratch_bytes(isa, channels, depth),
        _ => tile_s8::scratch_bytes(isa, channels, depth),
    }
}

/// Whether the cell of a microcontroller computes this without scalar code, given `scratch` bytes on a
/// word's boundary: without feature `fallback` there is none. True for every other instruction set.
#[must_use]
pub fn is_taken(isa: Isa, filter: &Filter<'_>, epilogue: &Epilogue<'_>, scratch: usize) -> bool {
    let needed = scratch_bytes(isa, filter.channels(), filter.depth());
    tile_s8::is_taken(isa, filter, epilogue, scratch, needed)
}
