//! Average pooling, int8: the mean of the taps inside the input, ties away from zero.

use crate::{Clamp, Geometry, Rows, ShapeError};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
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

/// The signature of a cell.
pub type Run = fn(&mut Args<'_>);
