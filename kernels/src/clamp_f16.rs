//! Activation clamp, f16: `min(max(input, min), max)`.
//!
//! # Shapes
//! `input`, `output`: `[len]`, f16. In place when `input` is `None`.
//!
//! # Numerics
//! The bounds are f32 and rounded to halves when they are stored; everything else is exact. NaN
//! becomes the lower bound.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for slices of different lengths, `ParameterLen` for an empty
//! clamp.
//!
//! # Cost
//! Two comparisons a value; no scratch. Weighted families clamp in their epilogue for nothing.
//!
//! # Source
//! ONNX, Clip.

use crate::{ClampF16, F16, ShapeError};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
pub(crate) mod scalar;

/// What it reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// The input, or `None` when `output` holds it: the work is then done in place.
    pub input: Option<&'a [F16]>,
    /// Range of the output.
    pub clamp: ClampF16,
    /// As long as the input.
    pub output: &'a mut [F16],
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
        let Operands { input, output, clamp } = &operands;
        if input.is_some_and(|input| input.len() != output.len()) {
            return Err(ShapeError::InputLen);
        }
        clamp.check()?;
        Ok(Self(operands))
    }
}

cells! {
    Avx2 lanes on target_arch = "x86_64",
    Neon lanes on target_arch = "aarch64",
}
