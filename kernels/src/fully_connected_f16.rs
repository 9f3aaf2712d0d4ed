//! Fully connected layer, f16: a matrix-vector product.
//!
//! # Shapes
//! `input: [depth]`, `filter: [channels, depth]`, `output: [channels]`, all f16; `bias: [channels]`,
//! f32. Weights are finite.
//!
//! # Numerics
//! Products of halves are exact in f32; they are added from left to right in f32, the bias last,
//! clamped, and rounded to the nearest half. The same bits on every machine. Distance to the real
//! result: half a unit in the last place (at most `|result| / 2048`, or 2^-25) and
//! `(depth + 1) * 2^-24 * (sum(|products|) + |bias|)`. Results beyond 65504 saturate.
//!
//! [`Isa::NeonFp16`] adds up to 144 products in halves, the sums of such blocks in f32, and has bits of
//! its own: `9/8 * (min(depth, 144) + 2) * 2^-11 * (sum(|products|) + |bias|) + (depth + 1) * 2^-25` in place
//! of the second term. A sum that leaves the halves on the way is computed in f32.
//!
//! # Errors
//! From [`Args::new`]: `Channels` for an empty filter, `InputLen` and `OutputLen` for slices of
//! other lengths, `ParameterLen` without one bias a channel or for an empty clamp, `Layout` for the
//! woven layout.
//!
//! # Cost
//! `depth * channels` MACs. Scratch: scalar none; AVX2, AArch64 and Helium the input in f32, `4 * depth` bytes.
//!
//! # Source
//! Micikevicius et al., Mixed Precision Training, section 3.3.

use crate::{EpilogueF16, F16, Filter, Isa, Layout, ShapeError, tile_f16};

#[cfg(armv7em_f16)]
pub(crate) mod armv7em_dsp;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_fp16;
pub(crate) mod scalar;

/// What a fully connected layer reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[depth]`.
    pub input: &'a [F16],
    /// `[channels, depth]`.
    pub filter: Filter<'a, F16>,
    /// Bias and clamp of the output.
    pub epilogue: EpilogueF16<'a>,
    /// `[channels]`.
    pub output: &'a mut [F16],
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
        epilogue.check(filter)?;
        Ok(Self(operands))
    }
}

cells! {
    Avx2 lanes on target_arch = "x86_64",
    Neon lanes on target_arch = "aarch64",
    NeonFp16 neon_fp16 on target_arch = "aarch64",
    Armv7emDsp armv7em_dsp on armv7em_f16,
    Mve mve on mve,
}

/// The layout that the cell of `isa` reads without unpacking.
#[must_use]
pub const fn layout(isa: Isa, channels: usize, depth: usize) -> Layout {
    let _ = (channels, depth);
    tile_f16::layout(isa)
}

/// Scratch that the cell of `isa` wants.
#[must_use]
pub const fn scratch_bytes(isa: Isa, channels: usize, depth: usize) -> usize {
    let _ = channels;
    tile_f16::vector_scratch_bytes(isa, depth)
}
