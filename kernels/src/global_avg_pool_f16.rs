//! Global average pooling, f16: the mean over all pixels.
//!
//! # Shapes
//! `input: [pixels, channels]`, `output: [channels]`, f16.
//!
//! # Numerics
//! The sum in f32 from the first pixel to the last, divided, clamped, rounded to the nearest half: at
//! most half a unit in the last place and `(pixels + 1) * 2^-24 * sum(|values|) / pixels` from the
//! real mean. The same bits on every machine.
//!
//! # Errors
//! From [`Args::new`]: `OutputLen` for no channels, `InputLen` for anything but whole pixels,
//! `ParameterLen` for an empty clamp.
//!
//! # Cost
//! `pixels * channels` additions; no scratch.
//!
//! # Source
//! ONNX, GlobalAveragePool.

use crate::{ClampF16, F16, ShapeError};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
#[cfg(mve)]
pub(crate) mod mve;
pub(crate) mod scalar;

/// What global average pooling reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[pixels, channels]`.
    pub input: &'a [F16],
    /// Range of the output.
    pub clamp: ClampF16,
    /// `[channels]`.
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
        if output.is_empty() {
            return Err(ShapeError::OutputLen);
        }
        if input.is_empty() || input.len() % output.len() != 0 {
            return Err(ShapeError::InputLen);
        }
        clamp.check()?;
        Ok(Self(operands))
    }

    /// Pixels of the input; beyond 2^24 rounded, on every machine alike.
    fn pixels(&self) -> f32 {
        self.0.input.len().checked_div(self.0.output.len()).unwrap_or(1) as f32
    }
}

cells! {
    Avx2 lanes on target_arch = "x86_64",
    Neon lanes on target_arch = "aarch64",
    Mve mve on mve,
}
