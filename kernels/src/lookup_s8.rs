//! Any element-wise function, int8, by table: `output = table[input + 128]`.
//!
//! # Shapes
//! `input`, `output`: `[len]`, int8; `table: [256]`. In place when `input` is `None`.
//!
//! # Numerics
//! Exact: whoever fills the table rounds.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for slices of different lengths.
//!
//! # Cost
//! A load a value; no scratch.
//!
//! # Source
//! TFLite quantization specification, LOGISTIC and TANH; hard swish likewise.

use crate::ShapeError;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

/// What it reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// The input, or `None` when `output` holds it: the work is then done in place.
    pub input: Option<&'a [i8]>,
    /// The function at -128, -127, .., 127.
    pub table: &'a [i8; 256],
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
        let Operands { input, output, .. } = &operands;
        if input.is_some_and(|input| input.len() != output.len()) {
            return Err(ShapeError::InputLen);
        }
        Ok(Self(operands))
    }
}

cells! {
    Avx2 avx2 on target_arch = "x86_64",
    Neon neon on target_arch = "aarch64",
}
