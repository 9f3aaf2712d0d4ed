//! Maximum pooling, int8, over the taps inside the input.

use crate::{Clamp, Geometry, Rows, ShapeError};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub(crate) mod scalar;

/// What maximum pooling reads and writes; input and output share scale and zero point.
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

/// The signature of a cell.
pub type Run = fn(&mut Args<'_>);
