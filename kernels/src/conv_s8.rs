//! Convolution, int8: `output[y, x, o] = epilogue(o, sum(filter[o, ky, kx, i] * input[..]))`.
//!
//! # Shapes
//! `input: [height, width, in_channels]`, `filter: [out_channels, kernel_height, kernel_width,
//! in_channels]`, `output: [rows, out_width, out_channels]`, all int8; `bias` and factors:
//! `[out_channels]`. `rows` may be any part of the output's rows, and the input a ring of the
//! rows that they need.
//!
//! # Numerics
//! Exact int32 sums: `|sum| <= depth * 128 * 127` for weights in `[-127, 127]`, plus the folded
//! bias, which whoever packs the model keeps below `2^31`; sums beyond that wrap. Then
//! [`Rescale`](crate::Rescale), either contract, saturating; bit-exact on every machine.
//! Distance to the real result, in steps of the output: `tflite` at most
//! `1/2 + 2^(shift - 1)` (two roundings), `fp32` at most `1/2 + 1e-4`.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for an input of another shape or a ring shorter than the
//! window, `OutputLen` for anything but whole rows inside the output, `Channels` when filter and
//! geometry disagree, `ParameterLen` for a table without one entry a channel or an empty clamp.
//!
//! # Cost
//! `out_height * out_width * out_channels * kernel_height * kernel_width * in_channels` MACs.
//! Scratch: scalar none; AVX2 three to thirty widened windows of `2 * depth` bytes;
//! AArch64 a strip of windows, about 16 KiB, twice with i8mm, or the padded rows under a few rows of
//! outputs where those are more; Armv6-M and Armv7-M four windows of `2 * depth` bytes, 16 bytes a
//! channel and a pixel;
//! Armv7E-M two windows, widened and as bytes, and 16 bytes a channel; Helium two to 64 windows of
//! `depth` bytes and 16 bytes a channel; see [`scratch_bytes`].
//!
//! # Source
//! Jacob et al., Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference, section 2; TFLite quantization specification, CONV_2D.

use crate::{Epilogue, Filter, Geometry, Isa, Layout, Rows, ShapeError, tile_s8};

#[cfg(any(armv6m, armv7m))]
pub(crate) mod armv6m;
#[cfg(armv7em)]
pub(crate) mod armv7em_dsp;
#[cfg(armv7m)]
pub(crate) mod armv7m;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_dotprod;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_i8mm;
#[cfg(target_arch = "aarch64")]
mod neon_rows;
pub(crate) mod scalar;

/// What a convolution reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// Input, output and window.
    pub geometry: Geometry,
    /// `[height, width, in_channels]`, whole or the rows that are needed.
    pub input: Rows<'a>,
    /// `[out_channels, kernel_height * kernel_width * in_channels]`.
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
    /// Checks every length once, so that cells need not.
    ///
    /// # Errors
    /// [`ShapeError`] naming the operand that does not fit.
    pub fn new(operands: Operands<'a>) -> Result<Self, ShapeError> {
        let Operands { geometry, input, filter, epilogue, first_row, output, .. } = &operands;
        crate::check_rows(geometry, input, *first_row, output.len())?;
        let depth = geometry.window().taps().checked_mul(geometry.input().channels);
        if depth != Some(filter.depth()) || filter.channels() != geometry.output().channels {
            return Err(ShapeError::Channels);
        }
        epilogue.check(filter.channels())?;
        Ok(Self(operands))
    }
}

cells! {
    Avx2 avx2 on target_arch = "x86_64",
    Neon neon on target_arch = "aarch64",
    NeonDotprod neon_dotprod on target_arch = "aarch64",
    NeonI8mm neon_i8mm on target_arch = "aarch64",
    Armv6m armv6m on armv6m,
    Armv7m armv7m on armv7m,
    Armv7emDsp armv7em_dsp on armv7em,
    Mve mve on mve,
}

/// The layout that the cell of `isa` reads without unpacking.
#[must_use]
pub const fn layout(isa: Isa, geometry: &Geometry) -> Layout {
    let _ = geometry;
    tile_s8::layout(isa)
}

/// Scratch that the cell of `isa` wants for `geometry`.
#[must_use]
pub const fn scratch_bytes(isa: Isa, geometry: &Geometry) -> usize {
    let depth = geometry.window().taps().saturating_mul(geometry.input().channels);
    let tiles = tile_s8::scratch_bytes(isa, geometry.output().channels, depth);
    let pair = match isa {
        Isa::Neon | Isa::NeonDotprod | Isa::NeonFp16 => 1,
        Isa::NeonI8mm => 2,
        // And a pixel of padding.
        Isa::Armv6m | Isa::Armv7m => return tiles.saturating_add(geometry.input().channels),
        _ => return tiles,
    };
    if !geometry.input().channels.is_multiple_of(16) {
        return tiles;
    }
    let (height, window) = (geometry.output().height.saturating_sub(1), geometry.window());
    let more = if height < PADDED_ROWS { height } else { PADDED_ROWS - 1 };
    let rows = more.saturating_mul(window.stride_height).saturating_add(window.kernel_height);
    let [row, pitch] = padded_row_bytes(geometry, pair);
    let rows = rows.saturating_mul(pitch).saturating_add((pair - 1) * row);
    if rows > tiles { rows } else { tiles }
}

/// Output rows whose windows lie in the scratch, unless its usual length has room for more.
const PADDED_ROWS: usize = 4;

/// Bytes of a row of the input with its padding, and of one that holds every pixel beside the one that
/// a window further on reads: `pair` is 2, or 1 for the row itself.
pub(crate) const fn padded_row_bytes(geometry: &Geometry, pair: usize) -> [usize; 2] {
    let (window, channels) = (geometry.window(), geometry.input().channels);
    let step = window.stride_width.saturating_mul(channels);
    let last = geometry.output().width.saturating_sub(1).saturating_mul(step);
    let row = last.saturating_add(window.kernel_width.saturating_mul(channels));
    [row, row.saturating_sub((pair - 1).saturating_mul(step)).saturating_mul(pair)]
}

/// The most rows of a window that the cells for Cortex-M take.
pub(crate) const CORTEX_M_ROWS: usize = 16;

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
    (!isa.may_lack_scalar() || geometry.window().kernel_height <= CORTEX_M_ROWS)
        && tile_s8::is_taken(isa, filter, epilogue, scratch, scratch_bytes(isa, geometry))
}
