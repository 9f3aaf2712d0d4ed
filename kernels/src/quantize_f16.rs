//! From f16 to int8: `round(input / scale) + zero_point`.
//!
//! # Shapes
//! `input: [len]`, f16; `output: [len]`, int8.
//!
//! # Numerics
//! One f32 multiply by `1 / scale`, rounded half to even, saturated: at most 1/2 + 1e-4 steps from
//! the real quotient. NaN becomes the largest value. The same bits on every machine.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for slices of different lengths.
//!
//! # Cost
//! A multiplication a value; no scratch.
//!
//! # Source
//! ONNX, QuantizeLinear.

use crate::{F16, ShapeError};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
pub(crate) mod scalar;

/// What it reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// The real values.
    pub input: &'a [F16],
    /// `1 / scale` of the output.
    pub inverse_scale: f32,
    /// Zero point of the output.
    pub zero_point: i8,
    /// As long as the input.
    pub output: &'a mut [i8],
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
        if operands.input.len() != operands.output.len() {
            return Err(ShapeError::InputLen);
        }
        Ok(Self(operands))
    }
}

cells! {
    Avx2 lanes on target_arch = "x86_64",
    Neon lanes on target_arch = "aarch64",
}
