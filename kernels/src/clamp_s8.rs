//! Activation clamp, int8: `min(max(input, min), max)`.
//!
//! # Shapes
//! `input`, `output`: `[len]`, int8, of one scale and zero point. In place when `input` is `None`.
//!
//! # Numerics
//! Exact.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for slices of different lengths, `ParameterLen` for an empty
//! clamp.
//!
//! # Cost
//! Two comparisons a value; no scratch. Weighted families clamp in their epilogue for nothing.
//!
//! # Source
//! TFLite, RELU, RELU6 and RELU_N1_TO_1 with equal input and output scales.

use crate::{Clamp, ShapeError};

#[cfg(armv7em)]
pub(crate) mod armv7em_dsp;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

/// What it reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// The input, or `None` when `output` holds it: the work is then done in place.
    pub input: Option<&'a [i8]>,
    /// Range of the output.
    pub clamp: Clamp,
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
        let Operands { input, output, clamp } = &operands;
        if input.is_some_and(|input| input.len() != output.len()) {
            return Err(ShapeError::InputLen);
        }
        clamp.check()?;
        Ok(Self(operands))
    }
}

cells! {
    Avx2 avx2 on target_arch = "x86_64",
    Neon neon on target_arch = "aarch64",
    Armv7emDsp armv7em_dsp on armv7em,
    Mve mve on mve,
}
