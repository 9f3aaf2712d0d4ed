//! Average pooling, int8: the mean of the taps inside the input, ties away from zero.
//!
//! # Shapes
//! `input: [height, width, channels]`, `output: [rows, out_width, channels]`, int8, of one scale
//! and zero point. `rows` may be any part of the output's rows, and the input a ring of the rows
//! that they need.
//!
//! # Numerics
//! `(sum + count / 2) / count` for a positive sum, `(sum - count / 2) / count` otherwise, division
//! towards zero, the same in both contracts; at most half a step from the real mean. `count` is
//! the number of taps inside the input, `|sum| <= 255 * 255 * 128 < 2^24`.
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
//! TFLite quantization specification, AVERAGE_POOL_2D.

use crate::{Clamp, Geometry, Rows, ShapeError};

#[cfg(armv7em)]
pub(crate) mod armv7em_dsp;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(any(armv6m, armv7m))]
pub(crate) mod no_dsp;
pub(crate) mod scalar;

/// What average pooling reads and writes; input and output share scale and zero point.
#[derive(Debug)]
pub struct Operands<'a> {
    /// Input, output and window.
    pub geometry: Geometry,
    /// `[height, width, channels]`, whole or the rows that are needed.
    pub input: Rows<'a>,
    /// Range of the output.
    pub clamp: Clamp,
    /// First output row to compute.
    pub first_row: usize,
    /// Some whole output rows, `[rows, out_width, channels]`.
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
        let Operands { geometry, input, clamp, first_row, output } = &operands;
        crate::check_rows(geometry, input, *first_row, output.len())?;
        if geometry.input().channels != geometry.output().channels {
            return Err(ShapeError::Channels);
        }
        clamp.check()?;
        Ok(Self(operands))
    }
}

/// `round(sum / count)`, ties away from zero; 0 for a count of 0.
#[must_use]
#[inline]
pub(crate) fn rounded_mean(sum: i32, count: i32) -> i32 {
    let half = count / 2;
    let nudged = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
    nudged.checked_div(count).unwrap_or(0)
}

cells! {
    Avx2 avx2 on target_arch = "x86_64",
    Neon neon on target_arch = "aarch64",
    Armv6m no_dsp on armv6m,
    Armv7m no_dsp on armv7m,
    Armv7emDsp armv7em_dsp on armv7em,
    Mve mve on mve,
}
