//! From int8 to f16: `(input - zero_point) * scale`.
//!
//! # Shapes
//! `input: [len]`, int8; `output: [len]`, f16.
//!
//! # Numerics
//! One f32 multiply, rounded to the nearest half: at most half a unit in the last place, and 2^-24
//! of the result, from the real product. Saturates at 65504. The same bits on every machine.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for slices of different lengths.
//!
//! # Cost
//! A multiplication a value; no scratch.
//!
//! # Source
//! ONNX, DequantizeLinear.

use crate::{F16, ShapeError};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
pub(crate) mod scalar;

/// What it reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// The stored values.
    pub input: &'a [i8],
    /// Real value of one step of the input.
    pub scale: f32,
    /// Zero point of the input.
    pub zero_point: i8,
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
