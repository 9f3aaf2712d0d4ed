//! Depthwise convolution, int8: every channel has a window of its own.

use crate::{Epilogue, Filter, Geometry, Isa, Layout, Rows, ShapeError};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub(crate) mod scalar;

/// What a depthwise convolution reads and writes. Output channel `o` reads input channel
/// `o / multiplier`, where `multiplier = out_channels / in_channels`.
#[derive(Debug)]
pub struct Operands<'a> {
    /// Input, output and window.
    pub geometry: Geometry,
    /// `[height, width, in_channels]`, whole or the rows that are needed.
    pub input: Rows<'a>,
    /// `[out_channels, kernel_height * kernel_width]`.
    pub filter: Filter<'a>,
    /// Bias, requantization, zero point and clamp of the output.
    pub epilogue: Epilogue<'a>,
    /// What a tap outside the input reads: the input's zero point.
    pub pad_value: i8,
    /// First output row to compute.
    pub first_row: usize,
    /// Some whole output rows, `[rows, out_width, out_channels]`.
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
        let Operands { geometry, input, filter, epilogue, first_row, output, .. } = &operands;
        crate::check_rows(geometry, input, *first_row, output.len())?;
        let (inputs, outputs) = (geometry.input().channels, geometry.output().channels);
        if inputs == 0
            || outputs % inputs != 0
            || filter.channels() != outputs
            || filter.depth() != geometry.window().taps()
        {
            return Err(ShapeError::Channels);
        }
        epilogue.check(outputs)?;
        Ok(Self(operands))
    }
}

/// The signature of a cell.
pub type Run = fn(&mut Args<'_>);

/// The layout that the cell of `isa` reads without unpacking.
#[must_use]
pub const fn layout(isa: Isa, geometry: &Geometry) -> Layout {
    let _ = geometry;
    match isa {
        Isa::Scalar => Layout::PLAIN,
        Isa::Avx2 => AVX2_LAYOUT,
    }
}

/// Eight channels side by side, tap after tap, so that taps can be paired at will.
pub(crate) const AVX2_LAYOUT: Layout = match Layout::new(8, 1) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Scratch that the cell of `isa` wants: none.
#[must_use]
pub const fn scratch_bytes(isa: Isa, geometry: &Geometry) -> usize {
    let _ = (isa, geometry);
    0
}
