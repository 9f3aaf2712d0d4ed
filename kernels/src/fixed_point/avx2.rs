//! The vector twin of `exp_on_negative_values`, eight values at a time.

use super::{EIGHTH, EXP_OF_NEGATIVE_EIGHTH, EXP_OF_NEGATIVE_POWERS, ONE, QUARTER, THIRD};
use crate::requantize::avx2::{rounding_divide_by_pot, rounding_doubling_high_mul as mul};
use core::arch::x86_64::*;

/// [`super::exp_on_negative_values`], lane by lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn exp_on_negative_values(x: __m256i) -> __m256i {
    let zero = _mm256_setzero_si256();
    let fraction = _mm256_and_si256(x, _mm256_set1_epi32(QUARTER - 1));
    let fraction = _mm256_sub_epi32(fraction, _mm256_set1_epi32(QUARTER));
    let remainder = _mm256_sub_epi32(fraction, x);
    let mut product = exp_between_negative_quarter_and_zero(_mm256_slli_epi32::<5>(fraction));
    for (bit, factor) in EXP_OF_NEGATIVE_POWERS {
        let unset = _mm256_and_si256(remainder, _mm256_set1_epi32(bit));
        let unset = _mm256_cmpeq_epi32(unset, zero);
        let multiplied = mul(product, _mm256_set1_epi32(factor));
        product = _mm256_blendv_epi8(multiplied, product, unset);
    }
    _mm256_blendv_epi8(product, _mm256_set1_epi32(ONE), _mm256_cmpeq_epi32(x, zero))
}

#[inline]
#[target_feature(enable = "avx2")]
fn exp_between_negative_quarter_and_zero(a: __m256i) -> __m256i {
    let x = _mm256_add_epi32(a, _mm256_set1_epi32(EIGHTH));
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4_over_4 = divide_by_pot::<2>(mul(x2, x2));
    let tail = mul(_mm256_add_epi32(x4_over_4, x3), _mm256_set1_epi32(THIRD));
    let tail = divide_by_pot::<1>(_mm256_add_epi32(tail, x2));
    let constant = _mm256_set1_epi32(EXP_OF_NEGATIVE_EIGHTH);
    _mm256_add_epi32(constant, mul(constant, _mm256_add_epi32(x, tail)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn divide_by_pot<const EXPONENT: i32>(value: __m256i) -> __m256i {
    let (exponent, mask) = (_mm256_set1_epi32(EXPONENT), _mm256_set1_epi32((1 << EXPONENT) - 1));
    rounding_divide_by_pot(value, exponent, mask)
}
