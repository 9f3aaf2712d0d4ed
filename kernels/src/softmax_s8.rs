//! Softmax, int8, in fixed point; the output has scale 1/256 and zero point -128.
//!
//! # Shapes
//! `input`, `output`: `[rows, depth]`, int8; every row by itself.
//!
//! # Numerics
//! `exp(beta * scale * (input - max)) / sum` in fixed point, the same in both contracts: Q5.26
//! differences, Q0.31 exponentials, their sum in Q12.19 (exact below 4096 values a row), the
//! reciprocal by three Newton steps. At most 0.6 steps, 0.6/256, from the real probability.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for anything but whole rows, `OutputLen` for another length.
//!
//! # Cost
//! Two exponentials of about a dozen multiplications a value; no scratch.
//!
//! # Source
//! TFLite quantization specification, SOFTMAX; gemmlowp's fixed-point functions.

use crate::ShapeError;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

/// What softmax reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[rows, depth]`.
    pub input: &'a [i8],
    /// Values of a row.
    pub depth: usize,
    /// Q31 multiplier of `beta * input_scale * 2^26`.
    pub multiplier: i32,
    /// Its power of two, in `[0, 30]`.
    pub left_shift: u8,
    /// Differences to the maximum below this one count as zero probability.
    pub diff_min: i32,
    /// `[rows, depth]`.
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
        let Operands { input, depth, output, .. } = &operands;
        if *depth == 0 || input.len() % depth != 0 {
            return Err(ShapeError::InputLen);
        }
        if input.len() != output.len() {
            return Err(ShapeError::OutputLen);
        }
        Ok(Self(operands))
    }
}

cells! {
    Avx2 avx2 on target_arch = "x86_64",
    Neon neon on target_arch = "aarch64",
}
