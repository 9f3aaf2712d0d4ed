//! Leaves of x86-64: loads and stores on arrays whose length is in their type. Everything else
//! that the cells need from `core::arch` is safe already.
#![allow(unsafe_code, reason = "the one home of raw loads and stores on x86-64")]

use core::arch::x86_64::*;

/// Eight bytes into the low half.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_8(bytes: &[i8; 8]) -> __m128i {
    // SAFETY: the array holds the 8 bytes that are read; no alignment is asked.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

/// Sixteen bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_16(bytes: &[i8; 16]) -> __m128i {
    // SAFETY: the array holds the 16 bytes that are read; no alignment is asked.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Thirty-two bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_32(bytes: &[i8; 32]) -> __m256i {
    // SAFETY: the array holds the 32 bytes that are read; no alignment is asked.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Eight int32.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_i32x8(values: &[i32; 8]) -> __m256i {
    // SAFETY: the array holds the 32 bytes that are read; no alignment is asked.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

/// Eight f32.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_f32x8(values: &[f32; 8]) -> __m256 {
    // SAFETY: the array holds the 32 bytes that are read; no alignment is asked.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

/// The low eight bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_8(bytes: &mut [i8; 8], vector: __m128i) {
    // SAFETY: the array holds the 8 bytes that are written; no alignment is asked.
    unsafe { _mm_storel_epi64(bytes.as_mut_ptr().cast(), vector) }
}

/// Thirty-two bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_32(bytes: &mut [i8; 32], vector: __m256i) {
    // SAFETY: the array holds the 32 bytes that are written; no alignment is asked.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
}

/// Sixteen int16.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_i16x16(values: &mut [i16; 16], vector: __m256i) {
    // SAFETY: the array holds the 32 bytes that are written; no alignment is asked.
    unsafe { _mm256_storeu_si256(values.as_mut_ptr().cast(), vector) }
}

/// `N` times eight bytes, `stride` apart, or `None` when they do not all lie in `bytes`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_8_strided<const N: usize>(bytes: &[i8], stride: usize) -> Option<[__m128i; N]> {
    if last_of::<N>(stride)? > bytes.len() {
        return None;
    }
    let mut vectors = [_mm_setzero_si128(); N];
    for (index, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: `index < N`, so it and the 8 bytes behind it lie before `last_of`, checked above.
        let from = unsafe { bytes.as_ptr().add(index * stride) };
        // SAFETY: the same check; no alignment is asked.
        *vector = unsafe { _mm_loadl_epi64(from.cast()) };
    }
    Some(vectors)
}

/// Four times eight bytes, `stride` apart; nothing when they do not all fit into `bytes`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_8_strided(bytes: &mut [i8], stride: usize, vector: __m256i) -> Option<()> {
    if last_of::<4>(stride)? > bytes.len() {
        return None;
    }
    let (low, high) = (_mm256_castsi256_si128(vector), _mm256_extracti128_si256::<1>(vector));
    let quarters = [low, _mm_unpackhi_epi64(low, low), high, _mm_unpackhi_epi64(high, high)];
    for (index, quarter) in quarters.into_iter().enumerate() {
        // SAFETY: `index < 4`, so it and the 8 bytes behind it lie before `last_of`, checked above.
        let to = unsafe { bytes.as_mut_ptr().add(index * stride) };
        // SAFETY: the same check; no alignment is asked.
        unsafe { _mm_storel_epi64(to.cast(), quarter) };
    }
    Some(())
}

/// The end of the last of `N` groups of eight bytes.
#[inline]
fn last_of<const N: usize>(stride: usize) -> Option<usize> {
    (N - 1).checked_mul(stride)?.checked_add(8)
}

/// Up to eight bytes, zeros above.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_up_to_8(bytes: &[i8]) -> __m128i {
    if let Some(bytes) = bytes.first_chunk() {
        return load_8(bytes);
    }
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    load_8(&padded)
}

/// As many of the low eight bytes as `bytes` takes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_up_to_8(bytes: &mut [i8], vector: __m128i) {
    if let Some(bytes) = bytes.first_chunk_mut() {
        return store_8(bytes, vector);
    }
    let mut padded = [0; 8];
    store_8(&mut padded, vector);
    for (to, from) in bytes.iter_mut().zip(padded) {
        *to = from;
    }
}
