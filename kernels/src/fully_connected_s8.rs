//! Fully connected layer, int8: a matrix-vector product.
//!
//! # Shapes
//! `input: [depth]`, `filter: [channels, depth]`, `output: [channels]`, all int8; `bias` and
//! factors: `[channels]`.
//!
//! # Numerics
//! Exact int32 sums: `|sum| <= depth * 128 * 127` for weights in `[-127, 127]`, plus the folded
//! bias, which whoever packs the model keeps below `2^31`; sums beyond that wrap. Then
//! [`Rescale`](crate::Rescale), either contract, saturating; bit-exact on every machine.
//! Distance to the real result, in steps of the output: `tflite` at most
//! `1/2 + 2^(shift - 1)` (two roundings), `fp32` at most `1/2 + 1e-4`.
//!
//! # Errors
//! From [`Args::new`]: `Channels` for an empty filter, `InputLen` and `OutputLen` for slices of
//! other lengths, `ParameterLen` for a table without one entry a channel or an empty clamp.
//!
//! # Cost
//! `depth * channels` MACs. Scratch: scalar none; AVX2 the widened input, `2 * depth` bytes,
//! Armv6-M and Armv7-M `8 * depth + 16 * channels` bytes, up to 128 of the latter,
//! AArch64 `depth`, with i8mm `4 * depth`, Armv7E-M `6 * depth + 16 * channels` bytes, Helium
//! `16 * channels` bytes.
//!
//! # Source
//! TFLite quantization specification, FULLY_CONNECTED; both roundings of `tflite` as TensorFlow
//! Lite Micro and CMSIS-NN have them (the TFLite interpreter rounds once here).

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

/// What a fully connected layer reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[depth]`.
    pub input: &'a [i8],
    /// `[channels, depth]`.
    pub filter: Filter<'a>,
    /// Bias, requantization, zero point and clamp of the output.
    pub epilogue: Epilogue<'a>,
    /// `[channels]`.
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
        if input.len() != filter.depth() {
            return Err(ShapeError::InputLen);
        }
        if output.len() != filter.channels() {
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
    tile_s8::vector_scratch_bytes(isa, channels, depth)
}

/// Whether the cell of a microcontroller computes this without scalar code, given `scratch` bytes on a
/// word's boundary: without feature `fallback` there is none. True for every other instruction set.
#[must_use]
pub fn is_taken(isa: Isa, filter: &Filter<'_>, epilogue: &Epilogue<'_>, scratch: usize) -> bool {
    let needed = scratch_bytes(isa, filter.channels(), filter.depth());
    tile_s8::is_taken(isa, filter, epilogue, scratch, needed)
}
