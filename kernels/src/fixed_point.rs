//! The fixed-point functions of the TFLite softmax: Q0.31 unless a name says otherwise, every
//! product rounded as [`mul`] does.

use crate::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul as mul};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;

/// One in Q0.31, as near as it gets.
const ONE: i32 = i32::MAX;

/// `exp(x)` for `x <= 0` in Q5.26.
///
/// The fraction below a quarter goes through a polynomial; every bit above it that is set
/// multiplies by `exp(-2^k)`.
#[must_use]
#[inline]
pub(crate) fn exp_on_negative_values(x: i32) -> i32 {
    if x == 0 {
        return ONE;
    }
    let fraction = (x & (QUARTER - 1)) - QUARTER;
    let remainder = fraction.wrapping_sub(x);
    let start = exp_between_negative_quarter_and_zero(fraction << 5);
    EXP_OF_NEGATIVE_POWERS.iter().fold(start, |product, &(bit, factor)| {
        if remainder & bit != 0 { mul(product, factor) } else { product }
    })
}

/// A quarter in Q5.26.
const QUARTER: i32 = 1 << 24;

/// Bit of `2^k` in Q5.26 and `exp(-2^k)`, for k from -2 to 4.
const EXP_OF_NEGATIVE_POWERS: [(i32, i32); 7] = [
    (1 << 24, 1_672_461_947),
    (1 << 25, 1_302_514_674),
    (1 << 26, 790_015_084),
    (1 << 27, 290_630_308),
    (1 << 28, 39_332_535),
    (1 << 29, 720_401),
    (1 << 30, 242),
];

/// `exp(-1/8)`.
const EXP_OF_NEGATIVE_EIGHTH: i32 = 1_895_147_668;
/// `1/3`.
const THIRD: i32 = 715_827_883;
/// `1/8`.
const EIGHTH: i32 = 1 << 28;

/// `exp(a)` for `a` in `[-1/4, 0)`: the Taylor polynomial of degree 4 around -1/8.
#[inline]
fn exp_between_negative_quarter_and_zero(a: i32) -> i32 {
    let x = a.wrapping_add(EIGHTH);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4_over_4 = rounding_divide_by_pot(mul(x2, x2), 2);
    let tail = rounding_divide_by_pot(mul(x4_over_4.wrapping_add(x3), THIRD).wrapping_add(x2), 1);
    EXP_OF_NEGATIVE_EIGHTH.wrapping_add(mul(EXP_OF_NEGATIVE_EIGHTH, x.wrapping_add(tail)))
}

/// `1 / (1 + x)` for `x` in `[0, 1)`: three Newton steps on half the denominator.
#[must_use]
#[inline]
fn one_over_one_plus_x(x: i32) -> i32 {
    // Both in Q2.29.
    const FORTY_EIGHT_17THS: i32 = 1_515_870_810;
    const NEGATIVE_THIRTY_TWO_17THS: i32 = -1_010_580_540;
    const ONE_Q2: i32 = 1 << 29;
    let half = rounding_half_sum(x, ONE);
    let mut y = FORTY_EIGHT_17THS.wrapping_add(mul(half, NEGATIVE_THIRTY_TWO_17THS));
    for _ in 0..3 {
        let error = ONE_Q2.wrapping_sub(mul(half, y));
        y = y.wrapping_add(saturating_shl(mul(y, error), 2));
    }
    // Half the denominator was inverted: read the Q2.29 as Q1.30.
    saturating_shl(y, 1)
}

/// `1 / sum` of a positive `sum` in Q12.19, as a significand in `(1/2, 1]` and the power of two
/// by which it has to be divided.
#[must_use]
#[inline]
pub(crate) fn reciprocal(sum: i32) -> (i32, i32) {
    let headroom = sum.leading_zeros();
    let fraction = sum.wrapping_shl(headroom).wrapping_add(i32::MIN);
    (one_over_one_plus_x(fraction), 12 - headroom.cast_signed())
}

/// `(a + b) / 2`, ties away from zero.
#[inline]
fn rounding_half_sum(a: i32, b: i32) -> i32 {
    let sum = i64::from(a) + i64::from(b);
    let rounded = (sum + if sum >= 0 { 1 } else { -1 }) / 2;
    #[allow(clippy::cast_possible_truncation, reason = "the mean of two i32")]
    let mean = rounded as i32;
    mean
}

/// `x * 2^bits`, saturated.
#[inline]
fn saturating_shl(x: i32, bits: u32) -> i32 {
    x.saturating_mul(1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q31(x: i32) -> f64 {
        f64::from(x) / 2_147_483_648.0
    }

    #[test]
    fn exp_is_near_the_real_one() {
        for step in 0..4000 {
            let x = -step * 530_000;
            let real = (f64::from(x) / 67_108_864.0).exp();
            assert!((q31(exp_on_negative_values(x)) - real).abs() < 2e-7, "exp of {x}");
        }
    }

    #[test]
    fn reciprocal_is_near_the_real_one() {
        for sum in (1 << 19..1 << 30).step_by(777_777) {
            let (significand, bits) = reciprocal(sum);
            let real = 524_288.0 / f64::from(sum);
            let ours = q31(significand) / f64::from(1 << bits);
            assert!((ours / real - 1.0).abs() < 1e-7, "reciprocal of {sum}");
        }
    }
}
