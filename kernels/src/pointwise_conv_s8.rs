//! 1x1 convolution with stride one, int8: a matrix product over pixels.

use crate::{Epilogue, Filter, Isa, Layout, ShapeError, tile_s8};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub(crate) mod scalar;

/// What a pointwise convolution reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// `[pixels, in_channels]`.
    pub input: &'a [i8],
    /// `[out_channels, in_channels]`.
    pub filter: Filter<'a>,
    /// Bias, requantization, zero point and clamp of the output.
    pub epilogue: Epilogue<'a>,
    /// `[pixels, out_channels]`.
    pub output: &'a mut [i8],
    /// At least [`scratch_bytes`] for the running cell, or it falls back to scalar.
    pub scratch: &'a mut [i8],
}

/// [`Operands`] whose lengths were checked.
#[derive(Debug)]
pub struct Args<'a>(Operands<'a>);

impl<'a> Args<'a> {
    /// # Errors
    /// [`ShapeError`] naming the operand that does not fit.
    pub fn new(operands: Operands<'a>) -> Result<Self, ShapeError> {
        let Operands { input, filter, epilogue, output, .. } = &operands;
        if filter.depth() == 0 || filter.channels() == 0 {
            return Err(ShapeError::Channels);
        }
        if input.len() % filter.depth() != 0 {
            return Err(ShapeError::InputLen);
        }
        if (input.len() / filter.depth()).checked_mul(filter.channels()) != Some(output.len()) {
            return Err(ShapeError::OutputLen);
        }
        epilogue.check(filter.channels())?;
        Ok(Self(operands))
    }
}

/// The signature of a cell.
pub type Run = fn(&mut Args<'_>);

/// The layout that the cell of `isa` reads without unpacking.
#[must_use]
pub const fn layout(isa: Isa, channels: usize, depth: usize) -> Layout {
    let _ = (channels, depth);
    tile_s8::layout(isa)
}

/// Scratch that the cell of `isa` wants.
#[must_use]
pub const fn scratch_bytes(isa: Isa, channels: usize, depth: usize) -> usize {
    tile_s8::scratch_bytes(isa, channels, depth)
}
