//! Depthwise convolution, int8: every channel has a window of its own.
//!
//! # Shapes
//! `input: [height, width, in_channels]`, `filter: [1, kernel_height, kernel_width,
//! out_channels]` packed as `[out_channels, taps]`, `output: [rows, out_width, out_channels]`,
//! all int8; `out_channels` a multiple of `in_channels`. `rows` may be any part of the output's
//! rows, and the input a ring of the rows that they need.
//!
//! # Numerics
//! Exact int32 sums: `|sum| <= taps * 128 * 127` for weights in `[-127, 127]`, plus the folded
//! bias, which whoever packs the model keeps below `2^31`; sums beyond that wrap. Then
//! [`Rescale`](crate::Rescale), either contract, saturating; bit-exact on every machine.
//! Distance to the real result, in steps of the output: `tflite` at most
//! `1/2 + 2^(shift - 1)` (two roundings), `fp32` at most `1/2 + 1e-4`.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for an input of another shape or a ring shorter than the
//! window, `OutputLen` for anything but whole rows inside the output, `Channels` when filter and
//! geometry disagree, `ParameterLen` for a table without one entry a channel or an empty clamp;
//! in place `OutputLen` for a window that cannot and `Scratch` without room for the ring.
//!
//! # Cost
//! `out_height * out_width * out_channels * taps` MACs. Scratch: scalar, AVX2 and AArch64 none, Armv6-M
//! and Armv7-M about `28 * out_width` bytes, twice that for stride two, Armv7E-M about `24 * out_width`
//! bytes, Helium up to 4 KiB or `64 * stride * out_width` bytes, up to 8 KiB where the map is tall; see
//! [`scratch_bytes`].
//!
//! # Source
//! Howard et al., MobileNets, section 3.1; TFLite quantization specification, DEPTHWISE_CONV_2D.

use crate::{Epilogue, Filter, Geometry, Isa, Layout, Rows, ShapeError};

#[cfg(any(armv6m, armv7m))]
pub(crate) mod armv6m;
#[cfg(armv7em)]
pub(crate) mod armv7em_dsp;
#[cfg(armv7m)]
pub(crate) mod armv7m;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
mod axes;
mod in_place;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_dotprod;
pub(crate) mod scalar;

use axes::Axes;

pub(crate) use in_place::by_rows;
pub use in_place::{can_run_in_place, in_place_scratch_bytes, prefers_in_place, ring_bytes};

/// What a depthwise convolution reads and writes. Output channel `o` reads input channel
/// `o / multiplier`, where `multiplier = out_channels / in_channels`.
#[derive(Debug)]
pub struct Operands<'a> {
    /// Input, output and window.
    pub geometry: Geometry,
    /// `[height, width, in_channels]`, whole or the rows that are needed; or `None` when `output`
    /// holds it, for a window that [can run in place](can_run_in_place).
    pub input: Option<Rows<'a>>,
    /// `[out_channels, kernel_height * kernel_width]`.
    pub filter: Filter<'a>,
    /// Bias, requantization, zero point and clamp of the output.
    pub epilogue: Epilogue<'a>,
    /// What a tap outside the input reads: the input's zero point.
    pub pad_value: i8,
    /// First output row to compute.
    pub first_row: usize,
    /// Some whole output rows, `[rows, out_width, out_channels]`. In place the whole input, whose
    /// start the whole output overwrites.
    pub output: &'a mut [i8],
    /// At least [`scratch_bytes`], in place [`in_place_scratch_bytes`], for the running cell, or it falls back to scalar.
    pub scratch: &'a mut [i8],
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
        let Operands { geometry, input, filter, epilogue, first_row, output, scratch, .. } =
            &operands;
        match input {
            Some(input) => crate::check_rows(geometry, input, *first_row, output.len())?,
            None if !can_run_in_place(geometry) || *first_row != 0 => {
                return Err(ShapeError::OutputLen);
            }
            None if Some(output.len()) != geometry.input().checked_len() => {
                return Err(ShapeError::InputLen);
            }
            None if scratch.len() < ring_bytes(geometry) => return Err(ShapeError::Scratch),
            None => {}
        }
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

cells! {
    Avx2 avx2 on target_arch = "x86_64",
    Neon neon on target_arch = "aarch64",
    NeonDotprod neon_dotprod on target_arch = "aarch64",
    Armv6m armv6m on armv6m,
    Armv7m armv7m on armv7m,
    Armv7emDsp armv7em_dsp on armv7em,
    Mve mve on mve,
}

/// The layout that the cell of `isa` reads without unpacking.
#[must_use]
pub const fn layout(isa: Isa, geometry: &Geometry) -> Layout {
    let _ = geometry;
    match isa {
        Isa::Scalar | Isa::Armv7emDsp | Isa::Mve => Layout::PLAIN,
        Isa::Avx2 | Isa::Neon | Isa::NeonDotprod | Isa::NeonI8mm | Isa::NeonFp16 => EIGHTS,
        Isa::Armv6m | Isa::Armv7m => NO_DSP_LAYOUT,
    }
}

/// Four channels side by side, tap after tap.
pub(crate) const NO_DSP_LAYOUT: Layout = match Layout::new(4, 1) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Eight channels side by side, tap after tap, so that taps can be paired at will.
pub(crate) const EIGHTS: Layout = match Layout::new(8, 1) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Scratch that the cell of `isa` wants.
#[must_use]
pub const fn scratch_bytes(isa: Isa, geometry: &Geometry) -> usize {
    match isa {
        Isa::Scalar | Isa::Avx2 => 0,
        Isa::Neon | Isa::NeonDotprod | Isa::NeonI8mm | Isa::NeonFp16 => 0,
        // Rows of planes of four channels.
        Isa::Armv7emDsp if armv7em_has_planes(geometry) => {
            let axes = Axes::new(geometry);
            let row = axes.plane_words().saturating_mul(16);
            row.saturating_mul(axes.plane_rows())
        }
        Isa::Mve if armv7em_has_planes(geometry) => {
            let axes = Axes::of_columns(geometry);
            axes.columns().saturating_mul(64).saturating_mul(axes.steps())
        }
        Isa::Armv6m | Isa::Armv7m if no_dsp_has_rows(geometry) => no_dsp_row(geometry)
            .saturating_mul(3)
            .saturating_add(no_dsp_sums(geometry))
            .saturating_mul(4),
        Isa::Armv6m | Isa::Armv7m | Isa::Armv7emDsp | Isa::Mve => 0,
    }
}

/// Whether the cells for Armv6-M and Armv7-M are written for this window: as the others for Cortex-M,
/// channels in fours.
pub(crate) const fn no_dsp_has_rows(geometry: &Geometry) -> bool {
    armv7em_has_planes(geometry) && geometry.input().channels.is_multiple_of(4)
}

/// Words of a padded row of four channels.
pub(crate) const fn no_dsp_row(geometry: &Geometry) -> usize {
    no_dsp_columns(geometry.output().width, geometry.window().stride_width)
}

/// Columns that whole blocks of four windows see, `step` columns from one to the next.
pub(crate) const fn no_dsp_columns(width: usize, step: usize) -> usize {
    let windows = width.next_multiple_of(4);
    windows.saturating_sub(1).saturating_mul(step).saturating_add(3)
}

/// Sums of a row of four channels, whole blocks: for factors that no assembly takes.
pub(crate) const fn no_dsp_sums(geometry: &Geometry) -> usize {
    geometry.output().width.next_multiple_of(4).saturating_mul(4)
}

/// Whether the other cells for Cortex-M are written for this window: 3x3, each channel by itself.
pub(crate) const fn armv7em_has_planes(geometry: &Geometry) -> bool {
    geometry.window().is_plain_3x3()
        && geometry.window().stride_width <= 2
        && geometry.input().channels == geometry.output().channels
}

/// Whether all rows of input and output are there, which swapped axes take.
#[cfg(armv7em)]
fn is_whole(op: &Operands<'_>) -> bool {
    op.input.is_none_or(|input| input.slots() >= op.geometry.input().height)
        && Some(op.output.len()) >= op.geometry.output().checked_len()
}

/// Whether the cell of a microcontroller computes this without scalar code, given `scratch` bytes on a
/// word's boundary: without feature `fallback` there is none. True for every other instruction set.
#[must_use]
pub fn is_taken(
    isa: Isa,
    geometry: &Geometry,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    scratch: usize,
) -> bool {
    !isa.may_lack_scalar()
        || armv7em_has_planes(geometry)
            && filter.layout() == Layout::PLAIN
            && scratch >= scratch_bytes(isa, geometry)
            && epilogue.is_exact(isa, geometry.window().taps())
}
