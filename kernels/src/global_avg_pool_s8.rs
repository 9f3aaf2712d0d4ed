//! Global average pooling (GAP), int8: `output[c] = zero_point + rescale(sum(input[.., c]) + bias)`.
//!
//! # Shapes
//! `input: [pixels, channels]`, `output: [channels]`, int8.
//!
//! # Numerics
//! `|sum| <= pixels * 128`, exact below `2^24` pixels. One [`Rescale`]: `tflite` at most
//! `1/2 + 2^(shift - 1)` steps from the real mean, `fp32` at most `1/2 + 1e-4`.
//!
//! # Errors
//! From [`Args::new`]: `OutputLen` for no channels, `InputLen` for anything but whole pixels,
//! `ParameterLen` for an empty clamp.
//!
//! # Cost
//! `pixels * channels` additions; no scratch.
//!
//! # Source
//! Lin et al., Network In Network, section 3.2; TFLite quantization specification, MEAN.

use crate::{Clamp, Rescale, ShapeError};

#[cfg(armv7em)]
pub(crate) mod armv7em_dsp;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

/// What global average pooling reads and writes. The factor contains `1 / pixels`.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[pixels, channels]`.
    pub input: &'a [i8],
    /// `-pixels * zero_point` of the input.
    pub bias: i32,
    /// `input_scale / (pixels * output_scale)`.
    pub rescale: Rescale,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Range of the output.
    pub clamp: Clamp,
    /// `[channels]`.
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
        let Operands { input, output, clamp, .. } = &operands;
        if output.is_empty() {
            return Err(ShapeError::OutputLen);
        }
        if input.is_empty() || input.len() % output.len() != 0 {
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
