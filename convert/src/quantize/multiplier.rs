//! Real factors as Q31 multiplier and shift, the way TFLite prepares them.

/// `multiplier * 2^(shift - 31)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FixedPoint {
    /// 0, or in `[2^30, 2^31)`.
    pub multiplier: i32,
    /// In `[-31, 30]`.
    pub shift: i8,
}

/// The nearest [`FixedPoint`] of `factor`; `None` when it is negative, not finite or 2^30 and
/// more. Factors under 2^-32 become zero.
#[must_use]
pub fn quantize_multiplier(factor: f64) -> Option<FixedPoint> {
    if !factor.is_finite() || factor < 0.0 {
        return None;
    }
    if factor == 0.0 {
        return Some(FixedPoint::default());
    }
    let (significand, mut shift) = libm::frexp(factor);
    #[allow(clippy::cast_possible_truncation, reason = "a significand below 1 gives at most 2^31")]
    let mut multiplier = libm::round(significand * f64::from(1_u32 << 31)) as i64;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    if shift < -31 {
        return Some(FixedPoint::default());
    }
    let shift = i8::try_from(shift).ok().filter(|&shift| shift <= 30)?;
    Some(FixedPoint { multiplier: i32::try_from(multiplier).ok()?, shift })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(fixed: FixedPoint) -> f64 {
        f64::from(fixed.multiplier) * libm::exp2(f64::from(fixed.shift) - 31.0)
    }

    #[test]
    fn multipliers_are_within_half_a_step() {
        for factor in [1e-9, 3.3e-5, 0.001, 0.25, 0.499_999_999_99, 0.5, 0.999_999_999_9, 1.0, 7.5]
        {
            let fixed = quantize_multiplier(factor).unwrap();
            assert!((value(fixed) / factor - 1.0).abs() <= libm::exp2(-31.0), "{factor}");
            assert!(fixed.multiplier >= 1 << 30, "{factor}");
        }
    }

    #[test]
    fn what_has_no_multiplier() {
        assert_eq!(quantize_multiplier(f64::NAN), None);
        assert_eq!(quantize_multiplier(-1.0), None);
        assert_eq!(quantize_multiplier(1e12), None);
        assert_eq!(quantize_multiplier(1e-12), Some(FixedPoint::default()));
    }
}
