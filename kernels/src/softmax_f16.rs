//! Softmax, f16: `exp(beta * (input - max)) / sum`.
//!
//! # Shapes
//! `input`, `output`: `[rows, depth]`, f16; every row by itself.
//!
//! # Numerics
//! In f32: the exponential is a polynomial of degree 6 around 0 times a power of two, within 2^-21 of
//! the real one, and 0 for exponents below -86; the sum goes from left to right. The output is the
//! nearest half to a quotient that is within `(depth + 16) * 2^-24 + 2^-21 + beta * |difference| * 2^-23`
//! of the real probability, relative. The same bits on every machine.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for anything but whole rows, `OutputLen` for another length,
//! `ParameterLen` for a `beta` that is not finite or negative.
//!
//! # Cost
//! Two exponentials of about a dozen operations a value; no scratch.
//!
//! # Source
//! Cody and Waite, Software Manual for the Elementary Functions, chapter 6: the reduction.

use crate::{F16, ShapeError};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
pub(crate) mod scalar;

/// What softmax reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[rows, depth]`.
    pub input: &'a [F16],
    /// Values of a row.
    pub depth: usize,
    /// Factor of the exponents, usually 1.
    pub beta: f32,
    /// `[rows, depth]`.
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
        let Operands { input, depth, beta, output } = &operands;
        if *depth == 0 || input.len() % depth != 0 {
            return Err(ShapeError::InputLen);
        }
        if input.len() != output.len() {
            return Err(ShapeError::OutputLen);
        }
        if !(beta.is_finite() && *beta >= 0.0) {
            return Err(ShapeError::ParameterLen);
        }
        Ok(Self(operands))
    }
}

/// Below it, exponentials count as zero: far below the smallest half.
const SMALLEST: f32 = -86.0;
/// Added to a small number, it leaves the nearest integer in the lowest bits.
const MAGIC: f32 = 12_582_912.0;
/// `ln 2` in two parts, of which the first has few bits: its multiples are exact.
const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
/// The series of the exponential, the highest power first.
const SERIES: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

cells! {
    Avx2 lanes on target_arch = "x86_64",
    Neon lanes on target_arch = "aarch64",
}
