//! Average pooling, f16: the mean of the taps inside the input.
//!
//! # Shapes
//! `input: [height, width, channels]`, `output: [rows, out_width, channels]`, f16. `rows` may be any
//! part of the output's rows, and the input a ring of the rows that they need.
//!
//! # Numerics
//! The sum in f32 from left to right, divided, clamped, rounded to the nearest half: at most half a
//! unit in the last place and `(count + 1) * 2^-24 * sum(|taps|) / count` from the real mean, where
//! `count` is the number of taps inside the input. The same bits on every machine.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for an input of another shape or a ring shorter than the
//! window, `OutputLen` for anything but whole rows inside the output, `Channels` when their
//! number changes, `ParameterLen` for an empty clamp.
//!
//! # Cost
//! `out_height * out_width * channels * taps` additions; no scratch.
//!
//! # Source
//! ONNX, AveragePool with `count_include_pad` 0.

use crate::{ClampF16, F16, Geometry, Rows, ShapeError};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
#[cfg(mve)]
pub(crate) mod mve;
pub(crate) mod scalar;

/// What average pooling reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// Input, output and window.
    pub geometry: Geometry,
    /// `[height, width, channels]`, whole or the rows that are needed.
    pub input: Rows<'a, F16>,
    /// Range of the output.
    pub clamp: ClampF16,
    /// First output row to compute.
    pub first_row: usize,
    /// Some whole output rows, `[rows, out_width, channels]`.
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
        let Operands { geometry, input, clamp, first_row, output } = &operands;
        crate::check_rows(geometry, input, *first_row, output.len())?;
        if geometry.input().channels != geometry.output().channels {
            return Err(ShapeError::Channels);
        }
        clamp.check()?;
        Ok(Self(operands))
    }
}

cells! {
    Avx2 lanes on target_arch = "x86_64",
    Neon lanes on target_arch = "aarch64",
    Mve mve on mve,
}
