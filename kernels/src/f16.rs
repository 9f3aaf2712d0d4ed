//! IEEE 754 half precision: the numbers, their clamp and their epilogue.

use crate::{Filter, Layout, ShapeError};
use bytemuck::{Pod, Zeroable};

/// A half precision number as it lies in memory: one sign bit, five of exponent, ten of fraction.
/// It only stores; arithmetic is in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct F16(u16);

/// What the exponent grows by on the way to f32: 127 - 15.
#[cfg(any(test, not(armv7em_f16)))]
const REBIAS: u32 = 112 << 23;

impl F16 {
    /// The largest finite number.
    pub const MAX: f32 = 65504.0;

    /// The number with these bits.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    #[inline]
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// Whether it is neither infinite nor NaN.
    #[must_use]
    #[inline]
    pub const fn is_finite(self) -> bool {
        self.0 & 0x7c00 != 0x7c00
    }

    /// The same number in f32; exact.
    #[must_use]
    #[inline]
    pub fn to_f32(self) -> f32 {
        #[cfg(armv7em_f16)]
        return crate::isa::armv7em::half::widen(self.0);
        #[cfg(not(armv7em_f16))]
        self.widened()
    }

    /// The nearest half, ties to even; infinite from 65520 on, subnormal below 2^-14.
    #[must_use]
    #[inline]
    pub fn from_f32(value: f32) -> Self {
        #[cfg(armv7em_f16)]
        return Self(crate::isa::armv7em::half::narrow(value));
        #[cfg(not(armv7em_f16))]
        Self::narrowed(value)
    }

    /// [`to_f32`](Self::to_f32) by integers.
    #[cfg(any(test, not(armv7em_f16)))]
    fn widened(self) -> f32 {
        /// Value of the lowest bit of a subnormal.
        const UNIT: f32 = 1.0 / (1 << 24) as f32;
        let magnitude = self.0 & 0x7fff;
        let wide = u32::from(magnitude) << 13;
        let bits = match magnitude >> 10 {
            0 => (f32::from(magnitude) * UNIT).to_bits(),
            31 => wide | 0x7f80_0000,
            _ => wide + REBIAS,
        };
        f32::from_bits(bits | u32::from(self.0 & 0x8000) << 16)
    }

    /// [`from_f32`](Self::from_f32) by integers.
    #[cfg(any(test, not(armv7em_f16)))]
    fn narrowed(value: f32) -> Self {
        const OVERFLOW: u32 = 0x4780_0000; // 65536
        const SMALLEST_NORMAL: u32 = 0x3880_0000; // 2^-14
        let magnitude = value.to_bits() & 0x7fff_ffff;
        let half = if magnitude > 0x7f80_0000 {
            0x7e00
        } else if magnitude >= OVERFLOW {
            0x7c00
        } else if magnitude >= SMALLEST_NORMAL {
            // Half a unit less one, and one where the last bit that stays is odd; a carry goes
            // into the exponent, where it belongs.
            let rebiased = magnitude - REBIAS;
            (rebiased + 0x0fff + (rebiased >> 13 & 1)) >> 13
        } else {
            // The last place of a half is the last place of an f32 from 0.5 on.
            (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5_f32.to_bits()
        };
        #[allow(clippy::cast_possible_truncation, reason = "15 bits, and the sign")]
        Self(half as u16 | (value.to_bits() >> 16) as u16 & 0x8000)
    }
}

/// Range of an output: the fused activation, in real numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClampF16 {
    /// Smallest output.
    pub min: f32,
    /// Largest output.
    pub max: f32,
}

impl ClampF16 {
    /// All finite halves: outputs saturate, none becomes infinite or NaN.
    pub const NONE: Self = Self { min: -F16::MAX, max: F16::MAX };

    /// `min(max(value, self.min), self.max)`, rounded to the nearest half; NaN becomes `self.min`.
    #[must_use]
    #[inline]
    pub fn apply(self, value: f32) -> F16 {
        let raised = if value > self.min { value } else { self.min };
        F16::from_f32(if raised < self.max { raised } else { self.max })
    }

    /// # Errors
    /// [`ShapeError::ParameterLen`] for a range that is empty or reaches beyond the finite halves.
    pub fn check(self) -> Result<(), ShapeError> {
        let sound = -F16::MAX <= self.min && self.min <= self.max && self.max <= F16::MAX;
        if sound { Ok(()) } else { Err(ShapeError::ParameterLen) }
    }
}

/// What happens to the sum of a weighted operation: `clamp(sum + bias)`.
#[derive(Clone, Copy, Debug)]
pub struct EpilogueF16<'a> {
    /// One a channel.
    pub bias: &'a [f32],
    /// Range of the output.
    pub clamp: ClampF16,
}

impl EpilogueF16<'_> {
    /// The output of `channel` for its sum of products.
    #[must_use]
    #[inline]
    pub fn apply(&self, channel: usize, sum: f32) -> F16 {
        self.clamp.apply(sum + self.bias.get(channel).copied().unwrap_or(0.0))
    }

    /// # Errors
    /// [`ShapeError::ParameterLen`] without one bias a channel, [`ShapeError::Layout`] for a filter
    /// in the woven layout, which is made for int8.
    pub(crate) fn check(&self, filter: &Filter<'_, F16>) -> Result<(), ShapeError> {
        self.clamp.check()?;
        if filter.layout() == Layout::WOVEN {
            return Err(ShapeError::Layout);
        }
        if self.bias.len() == filter.channels() { Ok(()) } else { Err(ShapeError::ParameterLen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The real value of a finite half, from its fields.
    fn real(half: F16) -> f64 {
        let (exponent, fraction) = (half.0 >> 10 & 31, f64::from(half.0 & 0x3ff));
        let magnitude = if exponent == 0 {
            fraction / f64::from(1 << 24)
        } else {
            let power = f64::from_bits((u64::from(exponent) + 1023 - 15) << 52);
            (1.0 + fraction / 1024.0) * power
        };
        if half.0 & 0x8000 == 0 { magnitude } else { -magnitude }
    }

    #[test]
    fn every_half_widens_exactly_and_comes_back() {
        for bits in 0..=u16::MAX {
            let half = F16(bits);
            let wide = half.to_f32();
            assert_eq!(wide.to_bits(), half.widened().to_bits());
            if half.is_finite() {
                assert_eq!(f64::from(wide), real(half), "{bits:#06x}");
                assert_eq!(F16::from_f32(wide), half, "{bits:#06x}");
            } else {
                assert_eq!(wide.is_nan(), bits & 0x3ff != 0, "{bits:#06x}");
                assert!(!F16::from_f32(wide).is_finite());
            }
        }
    }

    /// Around the middle between any two neighbours, and the middle itself.
    #[test]
    fn narrowing_takes_the_nearest_and_ties_the_even_one() {
        for bits in 0..0x7bff_u16 {
            let (below, above) = (F16(bits), F16(bits + 1));
            // Halves have 11 bits, so that their middle is exact in f32.
            let middle = (below.to_f32() + above.to_f32()) / 2.0;
            let even = if bits & 1 == 0 { below } else { above };
            assert_eq!(F16::from_f32(middle), even, "{bits:#06x}");
            assert_eq!(F16::from_f32(middle.next_down()), below, "{bits:#06x}");
            assert_eq!(F16::from_f32(middle.next_up()), above, "{bits:#06x}");
            assert_eq!(F16::from_f32(-middle.next_up()), F16(above.0 | 0x8000));
            assert_eq!(F16::from_f32(middle), F16::narrowed(middle));
        }
        assert_eq!(F16::from_f32(65519.99), F16(0x7bff));
        for beyond in [65520.0, 1e9, f32::MAX, f32::INFINITY] {
            assert_eq!(F16::from_f32(beyond), F16(0x7c00));
            assert_eq!(F16::from_f32(-beyond), F16(0xfc00));
        }
        assert_eq!(F16::from_f32(f32::MIN_POSITIVE), F16(0));
        assert_eq!(F16::from_f32(-1e-40), F16(0x8000));
    }

    #[test]
    fn clamping_ends_infinities_and_nan() {
        let apply = |value| ClampF16::NONE.apply(value).to_f32();
        assert_eq!(apply(1e30), F16::MAX);
        assert_eq!(apply(f32::NEG_INFINITY), -F16::MAX);
        assert_eq!(apply(f32::NAN), -F16::MAX);
        assert!(ClampF16 { min: 0.0, max: 6.0 }.check().is_ok());
        for (min, max) in [(1.0, 0.0), (f32::NAN, 0.0), (0.0, 65520.0), (f32::NEG_INFINITY, 0.0)] {
            assert_eq!(ClampF16 { min, max }.check(), Err(ShapeError::ParameterLen));
        }
    }
}
