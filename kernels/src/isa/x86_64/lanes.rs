//! Eight f32 in a register, halves in memory: the leaves of the f16 cells.

use crate::F16;
use crate::isa::x86_64::{self, load_f32x8};
use core::arch::x86_64::*;

/// The register.
pub(crate) type Lanes = __m256;

/// Eight times `value`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn splat(value: f32) -> Lanes {
    _mm256_set1_ps(value)
}

/// `a + b`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn add(a: Lanes, b: Lanes) -> Lanes {
    _mm256_add_ps(a, b)
}

/// `a - b`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn sub(a: Lanes, b: Lanes) -> Lanes {
    _mm256_sub_ps(a, b)
}

/// `a * b`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn mul(a: Lanes, b: Lanes) -> Lanes {
    _mm256_mul_ps(a, b)
}

/// `a / b`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn div(a: Lanes, b: Lanes) -> Lanes {
    _mm256_div_ps(a, b)
}

/// `a * b + sum`, rounded once.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn fused(a: Lanes, b: Lanes, sum: Lanes) -> Lanes {
    _mm256_fmadd_ps(a, b, sum)
}

/// `if a > b { a } else { b }`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn max(a: Lanes, b: Lanes) -> Lanes {
    _mm256_max_ps(a, b)
}

/// `if a < b { a } else { b }`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn min(a: Lanes, b: Lanes) -> Lanes {
    _mm256_min_ps(a, b)
}

/// `if x >= limit { value } else { 0.0 }`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn where_at_least(x: Lanes, limit: Lanes, value: Lanes) -> Lanes {
    _mm256_and_ps(value, _mm256_cmp_ps::<_CMP_GE_OQ>(x, limit))
}

/// Adds the integer at the bottom of `shifted` to the exponent of `value`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn add_exponent(value: Lanes, shifted: Lanes) -> Lanes {
    let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), exponent))
}

/// Eight halves, widened.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn load(halves: &[F16; 8]) -> Lanes {
    // SAFETY: the array holds the 16 bytes that are read; no alignment is asked.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(halves.as_ptr().cast()) })
}

/// Narrowed to the nearest halves.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn store(halves: &mut [F16; 8], values: Lanes) {
    let narrow = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(values);
    // SAFETY: the array holds the 16 bytes that are written; no alignment is asked.
    unsafe { _mm_storeu_si128(halves.as_mut_ptr().cast(), narrow) }
}

/// Eight f32.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn load_f32(values: &[f32; 8]) -> Lanes {
    load_f32x8(values)
}

/// Eight f32.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn store_f32(values: &mut [f32; 8], lanes: Lanes) {
    // SAFETY: the array holds the 32 bytes that are written; no alignment is asked.
    unsafe { _mm256_storeu_ps(values.as_mut_ptr(), lanes) }
}

/// Up to eight int8 less `zero_point`, zeros less it above.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn load_up_to_8_i8(bytes: &[i8], zero_point: i8) -> Lanes {
    let steps = _mm256_cvtepi8_epi32(x86_64::load_up_to_8(bytes));
    _mm256_cvtepi32_ps(_mm256_sub_epi32(steps, _mm256_set1_epi32(i32::from(zero_point))))
}

/// As many of the values as `bytes` takes, rounded with ties to even, plus `zero_point`, saturated. They
/// lie far within int32.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn store_up_to_8_i8(bytes: &mut [i8], values: Lanes, zero_point: i8) {
    let zero_point = _mm256_set1_epi32(i32::from(zero_point));
    let steps = _mm256_add_epi32(_mm256_cvtps_epi32(values), zero_point);
    // Both packs saturate.
    let (low, high) = (_mm256_castsi256_si128(steps), _mm256_extracti128_si256::<1>(steps));
    let words = _mm_packs_epi32(low, high);
    x86_64::store_up_to_8(bytes, _mm_packs_epi16(words, words));
}
