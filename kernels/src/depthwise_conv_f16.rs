//! Depthwise convolution, f16: every channel has a window of its own.
//!
//! # Shapes
//! `input: [height, width, in_channels]`, `filter: [1, kernel_height, kernel_width,
//! out_channels]` packed as `[out_channels, taps]`, `output: [rows, out_width, out_channels]`,
//! all f16; `bias: [out_channels]`, f32; `out_channels` a multiple of `in_channels`. `rows` may be
//! any part of the output's rows, and the input a ring of the rows that they need. Taps outside the
//! input read zero. Weights are finite.
//!
//! # Numerics
//! Products of halves are exact in f32; they are added from left to right in f32, the bias last,
//! clamped, and rounded to the nearest half. The same bits on every machine. Distance to the real
//! result: half a unit in the last place (at most `|result| / 2048`, or 2^-25) and
//! `(taps + 1) * 2^-24 * (sum(|products|) + |bias|)`. Results beyond 65504 saturate.
//!
//! [`Isa::NeonFp16`] adds up to 144 products in halves, the sums of such blocks in f32, and has bits of
//! its own: `9/8 * (min(taps, 144) + 2) * 2^-11 * (sum(|products|) + |bias|) + (taps + 1) * 2^-25` in place
//! of the second term. A sum that leaves the halves on the way is computed in f32.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for an input of another shape or a ring shorter than the
//! window, `OutputLen` for anything but whole rows inside the output, `Channels` when filter and
//! geometry disagree, `ParameterLen` without one bias a channel or for an empty clamp, `Layout` for
//! the woven layout.
//!
//! # Cost
//! `out_height * out_width * out_channels * taps` MACs. No scratch.
//!
//! # Source
//! Howard et al., MobileNets, section 3.1; Micikevicius et al., Mixed Precision Training, section
//! 3.3.

use crate::{EpilogueF16, F16, Filter, Geometry, Isa, Layout, Rows, ShapeError, tile_f16};

#[cfg(armv7em_f16)]
pub(crate) mod armv7em_dsp;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_fp16;
pub(crate) mod scalar;

/// What a depthwise convolution reads and writes. Output channel `o` reads input channel
/// `o / multiplier`, where `multiplier = out_channels / in_channels`.
#[derive(Debug)]
pub struct Operands<'a> {
    /// Input, output and window.
    pub geometry: Geometry,
    /// `[height, width, in_channels]`, whole or the rows that are needed.
    pub input: Rows<'a, F16>,
    /// `[out_channels, kernel_height * kernel_width]`.
    pub filter: Filter<'a, F16>,
    /// Bias and clamp of the output.
    pub epilogue: EpilogueF16<'a>,
    /// First output row to compute.
    pub first_row: usize,
    /// Some whole output rows, `[rows, out_width, out_channels]`.
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
        let Operands { geometry, input, filter, epilogue, first_row, output } = &operands;
        crate::check_rows(geometry, input, *first_row, output.len())?;
        let (inputs, outputs) = (geometry.input().channels, geometry.output().channels);
        if inputs == 0
            || outputs % inputs != 0
            || filter.channels() != outputs
            || filter.depth() != geometry.window().taps()
        {
            return Err(ShapeError::Channels);
        }
        epilogue.check(filter)?;
        Ok(Self(operands))
    }
}

cells! {
    Avx2 lanes on target_arch = "x86_64",
    Neon lanes on target_arch = "aarch64",
    NeonFp16 neon_fp16 on target_arch = "aarch64",
    Armv7emDsp armv7em_dsp on armv7em_f16,
    Mve mve on mve,
}

/// The layout that the cell of `isa` reads without unpacking.
#[must_use]
pub const fn layout(isa: Isa, geometry: &Geometry) -> Layout {
    let _ = geometry;
    match isa {
        isa if tile_f16::has_lanes(isa) => tile_f16::LANES_LAYOUT,
        isa if isa.includes(Isa::Armv7emDsp) => ARMV7EM_LAYOUT,
        _ => Layout::PLAIN,
    }
}

/// Four channels side by side, tap after tap.
pub(crate) const ARMV7EM_LAYOUT: Layout = match Layout::new(4, 1) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};
