//! Padding, int8, around a map.
//!
//! # Shapes
//! `input: [height, width, channels]`, `output: [top + height + bottom, left + width + right,
//! channels]`, int8, of one scale and zero point.
//!
//! # Numerics
//! Exact: copies.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` and `OutputLen` for slices that do not hold their shapes,
//! `Channels` when their number changes, `Extent` for an output too small for input and padding.
//!
//! # Cost
//! A write a value; no scratch. Windows pad without it: only padding that no operation can take
//! over needs this family.
//!
//! # Source
//! TFLite quantization specification, PAD.

use crate::{Shape, ShapeError};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub(crate) mod scalar;

/// What padding reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[height, width, channels]`.
    pub input: &'a [i8],
    /// Shape of the input.
    pub input_shape: Shape,
    /// Shape of the output; what exceeds the input below and to the right is padding.
    pub output_shape: Shape,
    /// Rows above the input.
    pub top: usize,
    /// Columns left of the input.
    pub left: usize,
    /// The padding: the zero point.
    pub value: i8,
    /// `[top + height + bottom, left + width + right, channels]`.
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
        let Operands { input, input_shape, output_shape, top, left, output, .. } = &operands;
        if input_shape.checked_len() != Some(input.len()) {
            return Err(ShapeError::InputLen);
        }
        if output_shape.checked_len() != Some(output.len()) {
            return Err(ShapeError::OutputLen);
        }
        if input_shape.channels != output_shape.channels {
            return Err(ShapeError::Channels);
        }
        if top.saturating_add(input_shape.height) > output_shape.height
            || left.saturating_add(input_shape.width) > output_shape.width
        {
            return Err(ShapeError::Extent);
        }
        Ok(Self(operands))
    }
}

cells! {
    Avx2 avx2 on target_arch = "x86_64",
}
