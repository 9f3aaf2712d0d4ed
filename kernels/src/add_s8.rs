//! Element-wise addition, int8, of two maps with different scales.
//!
//! # Shapes
//! `lhs`, `rhs`, `output`: `[len]`, int8. In place when `lhs` is `None`.
//!
//! # Numerics
//! `tflite`: the TFLite reference, three roundings; at most `1/2 + 2^(output_shift - 1) + 1e-3`
//! steps from the real sum. `fp32`: one arithmetic shift, at most half a step from the sum with
//! the given multipliers; equal to XNNPACK, which saturates the shifted sum to int16 first: a sum
//! that this changes lies beyond int8 with every zero point, so it ends at the same bound.
//! Sums that exceed int32 wrap; no multiplier of a real layer makes one.
//!
//! # Errors
//! From [`Args::new`]: `InputLen` for slices of different lengths, `ParameterLen` for an empty
//! clamp.
//!
//! # Cost
//! `len` additions; no scratch.
//!
//! # Source
//! TFLite quantization specification, ADD; XNNPACK's `qs8-vadd`.

use crate::{Clamp, ShapeError};

#[cfg(armv7em)]
pub(crate) mod armv7em_dsp;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

/// The two contracts of addition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sum {
    /// `tflite`: both inputs are shifted left, rescaled to a common scale and summed; the sum is
    /// rescaled.
    FixedPoint {
        /// `-zero_point` of each input.
        offset: [i32; 2],
        /// Q31 multiplier of each input.
        multiplier: [i32; 2],
        /// Power of two of each input, in `[-31, 0]`.
        shift: [i8; 2],
        /// Bits by which inputs are shifted left first.
        left_shift: u8,
        /// Q31 multiplier of the sum.
        output_multiplier: i32,
        /// Power of two of the sum, in `[-31, 0]`.
        output_shift: i8,
    },
    /// `fp32`: `(bias + a * multiplier[0] + b * multiplier[1]) >> shift`; the bias holds both
    /// zero points and the rounding half.
    Linear {
        /// Multiplier of each input.
        multiplier: [i32; 2],
        /// Zero points and rounding.
        bias: i32,
        /// Right shift, in `[0, 31]`.
        shift: u8,
    },
}

/// What an addition reads and writes.
#[derive(Debug)]
pub struct Operands<'a> {
    /// The first input, or `None` when `output` holds it: the sum is then made in place.
    pub lhs: Option<&'a [i8]>,
    /// The second input.
    pub rhs: &'a [i8],
    /// The contract and its numbers.
    pub sum: Sum,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Range of the output.
    pub clamp: Clamp,
    /// As long as the inputs.
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
        let Operands { lhs, rhs, output, clamp, .. } = &operands;
        if rhs.len() != output.len() || lhs.is_some_and(|lhs| lhs.len() != output.len()) {
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
