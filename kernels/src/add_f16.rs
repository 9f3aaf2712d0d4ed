//! Element-wise addition, f16.
//!
//! # Shapes
//! `lhs`, `rhs`, `output`: `[len]`, f16. In place when `lhs` is `None`.
//!
//! # Numerics
//! The sum in f32, clamped, rounded to the nearest half: at most half a unit in the last place, and
//! 2^-24 of the result, from the real sum. The same bits on every machine. Saturates at 65504.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for slices of different lengths, `ParameterLen` for an empty
//! clamp.
//!
//! # Cost
//! `len` additions; no scratch.
//!
//! # Source
//! IEEE 754-2019, section 5.4.1.

use crate::{ClampF16, F16, ShapeError};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_fp16;
pub(crate) mod scalar;

/// What an addition reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// The first input, or `None` when `output` holds it: the sum is then made in place.
    pub lhs: Option<&'a [F16]>,
    /// The second input.
    pub rhs: &'a [F16],
    /// Range of the output.
    pub clamp: ClampF16,
    /// As long as the inputs.
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
        let Operands { lhs, rhs, output, clamp } = &operands;
        if rhs.len() != output.len() || lhs.is_some_and(|lhs| lhs.len() != output.len()) {
            return Err(ShapeError::InputLen);
        }
        clamp.check()?;
        Ok(Self(operands))
    }
}

cells! {
    Avx2 lanes on target_arch = "x86_64",
    Neon lanes on target_arch = "aarch64",
    Mve mve on mve,
    NeonFp16 neon_fp16 on target_arch = "aarch64",
}
