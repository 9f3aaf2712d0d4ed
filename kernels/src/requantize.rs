//! From an int32 accumulator back to int8: the two numerics contracts.
//!
//! `tflite` is [`Rescale::FixedPoint`], `fp32` is [`Rescale::Float`]; docs/numerics.md states
//! both and why they differ.

use crate::{Isa, ShapeError};

pub(crate) mod armv7em_dsp;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(any(armv6m, armv7m))]
pub(crate) mod no_dsp;

/// The real factor by which an accumulator is multiplied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rescale {
    /// `tflite`: a Q31 multiplier, then a power of two; both steps round.
    FixedPoint {
        /// Q31 significand, 0 or in `[2^30, 2^31)`.
        multiplier: i32,
        /// Power of two, in `[-31, 30]`.
        shift: i8,
    },
    /// `fp32`: one f32 multiply, rounded half to even.
    Float {
        /// Combined scale: finite and not negative.
        scale: f32,
    },
}

impl Rescale {
    /// `round(accumulator * factor)`, by the contract's own rounding.
    #[must_use]
    #[inline]
    pub fn apply(self, accumulator: i32) -> i32 {
        match self {
            Self::FixedPoint { multiplier, shift } if cfg!(feature = "tflite") => {
                multiply_by_quantized_multiplier(accumulator, multiplier, shift)
            }
            Self::Float { scale } if cfg!(feature = "fp32") => {
                round_half_even(accumulator as f32 * scale)
            }
            // Built without this contract; the engine refuses its blobs.
            _ => 0,
        }
    }
}

/// Per-channel factors of a weighted operation.
#[derive(Clone, Copy, Debug)]
pub enum Requantize<'a> {
    /// See [`Rescale::FixedPoint`].
    FixedPoint {
        /// One a channel.
        multiplier: &'a [i32],
        /// One a channel.
        shift: &'a [i8],
    },
    /// See [`Rescale::Float`].
    Float {
        /// One a channel.
        scale: &'a [f32],
    },
}

impl Requantize<'_> {
    /// The factor of `channel`; zero outside the table.
    #[must_use]
    #[inline]
    pub fn channel(&self, channel: usize) -> Rescale {
        match *self {
            Self::FixedPoint { multiplier, shift } => Rescale::FixedPoint {
                multiplier: multiplier.get(channel).copied().unwrap_or(0),
                shift: shift.get(channel).copied().unwrap_or(0),
            },
            Self::Float { scale } => {
                Rescale::Float { scale: scale.get(channel).copied().unwrap_or(0.0) }
            }
        }
    }

    fn holds(&self, channels: usize) -> bool {
        match *self {
            Self::FixedPoint { multiplier, shift } => {
                multiplier.len() == channels && shift.len() == channels
            }
            Self::Float { scale } => scale.len() == channels,
        }
    }
}

/// Range of an output: the fused activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
}

impl Clamp {
    /// The whole int8 range.
    pub const NONE: Self = Self { min: i8::MIN, max: i8::MAX };

    /// Saturates `value` into the range.
    #[must_use]
    #[inline]
    pub fn apply(self, value: i32) -> i8 {
        // In range by the two comparisons, so the cast keeps the value.
        #[allow(clippy::cast_possible_truncation, reason = "clamped to i8 just before")]
        let clamped = value.max(i32::from(self.min)).min(i32::from(self.max)) as i8;
        clamped
    }
}

impl Clamp {
    /// # Errors
    /// [`ShapeError::ParameterLen`] for an empty range.
    pub(crate) fn check(self) -> Result<(), ShapeError> {
        if self.min <= self.max { Ok(()) } else { Err(ShapeError::ParameterLen) }
    }
}

/// What happens to the accumulator of a weighted operation:
/// `clamp(zero_point + rescale(accumulator + bias))`.
///
/// `bias` has the input's zero point folded in: `bias[c] - zero_point * sum(weights[c])`, which
/// holds for padded taps too because padding reads the zero point.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// Folded bias, one a channel.
    pub bias: &'a [i32],
    /// Factors, one a channel.
    pub requantize: Requantize<'a>,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Range of the output.
    pub clamp: Clamp,
}

impl Epilogue<'_> {
    /// The output of `channel` for a raw accumulator. Sums wrap, as they do in every vector
    /// register.
    #[must_use]
    #[inline(never)] // One copy of it for all scalar cells: once an output is not often.
    pub fn apply(&self, channel: usize, accumulator: i32) -> i8 {
        let bias = self.bias.get(channel).copied().unwrap_or(0);
        let scaled = self.requantize.channel(channel).apply(accumulator.wrapping_add(bias));
        self.clamp.apply(scaled.saturating_add(i32::from(self.zero_point)))
    }

    /// # Errors
    /// [`ShapeError::ParameterLen`] unless every table has `channels` entries.
    pub(crate) fn check(&self, channels: usize) -> Result<(), ShapeError> {
        self.clamp.check()?;
        if self.bias.len() == channels && self.requantize.holds(channels) {
            Ok(())
        } else {
            Err(ShapeError::ParameterLen)
        }
    }

    /// Whether the assembly of a microcontroller computes this exactly for every sum of `depth`
    /// products.
    pub(crate) fn is_exact(&self, isa: Isa, depth: usize) -> bool {
        let Requantize::FixedPoint { multiplier, shift } = self.requantize else {
            // Floats take an FPU.
            return cfg!(any(not(armv7em), target_abi = "eabihf"));
        };
        let fixed_factors = match isa {
            Isa::Armv7emDsp => armv7em_dsp::fixed_factors,
            Isa::Mve => mve::fixed_factors,
            _ => return true,
        };
        cfg!(feature = "tflite")
            && self.bias.iter().zip(multiplier).zip(shift).all(|((&bias, &multiplier), &shift)| {
                fixed_factors((bias, multiplier, shift), self.zero_point, depth).is_some()
            })
    }
}

/// `round(value * multiplier * 2^(shift - 31))` with a rounding after each of the two steps, as
/// the TFLite reference kernels and CMSIS-NN do it.
#[must_use]
#[inline]
pub fn multiply_by_quantized_multiplier(value: i32, multiplier: i32, shift: i8) -> i32 {
    let shift = i32::from(shift);
    let (left, right) = (shift.max(0).unsigned_abs(), (-shift).max(0).unsigned_abs());
    let shifted = value.wrapping_shl(left);
    rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier), right)
}

/// `round(a * b / 2^31)`, ties towards positive infinity; saturates only for
/// `i32::MIN * i32::MIN`.
#[must_use]
#[inline]
pub fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    #[allow(clippy::cast_possible_truncation, reason = "the quotient of 62 bits by 31 fits")]
    let high = ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32;
    high
}

/// `round(value / 2^exponent)`, ties away from zero.
#[must_use]
#[inline]
pub fn rounding_divide_by_pot(value: i32, exponent: u32) -> i32 {
    let exponent = exponent.min(31);
    #[allow(clippy::cast_possible_wrap, reason = "a mask of at most 31 ones")]
    let mask = ((1_u32 << exponent) - 1) as i32;
    let remainder = value & mask;
    let threshold = (mask >> 1) + i32::from(value < 0);
    (value >> exponent) + i32::from(remainder > threshold)
}

/// Rounds half to even without a library: inside `|x| < 2^22` adding `1.5 * 2^23` pushes the
/// fraction out of the significand. Larger values saturate there, far beyond int8.
#[must_use]
#[inline]
pub fn round_half_even(value: f32) -> i32 {
    const LIMIT: f32 = 2_097_152.0;
    const MAGIC: f32 = 12_582_912.0;
    // Not `clamp`: this order also gives NaN, which no checked scale makes, one value everywhere.
    let below = if value < LIMIT { value } else { LIMIT };
    let limited = if below > -LIMIT { below } else { -LIMIT };
    #[allow(clippy::cast_possible_wrap, reason = "bit patterns of two floats near 2^23")]
    let rounded = ((limited + MAGIC).to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32);
    rounded
}

/// Entries `start..start + N`, `missing` for those beyond the end.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
fn chunk<T: Copy, const N: usize>(table: &[T], start: usize, missing: T) -> [T; N] {
    let rest = table.get(start..).unwrap_or(&[]);
    match rest.first_chunk() {
        Some(chunk) => *chunk,
        None => {
            let mut chunk = [missing; N];
            for (to, from) in chunk.iter_mut().zip(rest) {
                *to = *from;
            }
            chunk
        }
    }
}
