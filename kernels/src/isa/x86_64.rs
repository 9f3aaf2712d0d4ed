//! Leaves of x86-64: loads and stores on arrays whose length is in their type. Everything else
//! that the cells need from `core::arch` is safe already.
#![allow(unsafe_code, reason = "the one home of raw loads and stores on x86-64")]

pub(crate) mod lanes;

use crate::copy;
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

/// Sixteen bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_16(bytes: &mut [i8; 16], vector: __m128i) {
    // SAFETY: the array holds the 16 bytes that are written; no alignment is asked.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), vector) }
}

/// Thirty-two bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_32(bytes: &mut [i8; 32], vector: __m256i) {
    // SAFETY: the array holds the 32 bytes that are written; no alignment is asked.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
}

/// Sixteen bytes as int16.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn widen_16(bytes: &[i8; 16], values: &mut [i16; 16]) {
    let vector = _mm256_cvtepi8_epi16(load_16(bytes));
    // SAFETY: the array holds the 32 bytes that are written; no alignment is asked.
    unsafe { _mm256_storeu_si256(values.as_mut_ptr().cast(), vector) }
}

/// Groups of eight bytes, `stride` apart, that all lie in a slice: one check for many loads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a> {
    bytes: &'a [i8],
    stride: usize,
    count: usize,
}

impl<'a> Strided<'a> {
    /// `None` when the last of `count` groups ends outside `bytes`.
    pub(crate) fn new(bytes: &'a [i8], stride: usize, count: usize) -> Option<Self> {
        let end = count.checked_sub(1)?.checked_mul(stride)?.checked_add(8)?;
        (end <= bytes.len()).then_some(Self { bytes, stride, count })
    }

    /// Groups `first..first + N`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn load<const N: usize>(&self, first: usize) -> Option<[__m128i; N]> {
        if self.count.checked_sub(first)? < N {
            return None;
        }
        let mut vectors = [_mm_setzero_si128(); N];
        // A sum a group, since multiplications would queue up.
        let mut offset = first * self.stride;
        for vector in &mut vectors {
            // SAFETY: a group before `count`, so `new` has checked that it lies in `bytes`.
            let from = unsafe { self.bytes.as_ptr().add(offset) };
            // SAFETY: the whole group lies in `bytes`; no alignment is asked.
            *vector = unsafe { _mm_loadl_epi64(from.cast()) };
            offset = offset.wrapping_add(self.stride);
        }
        Some(vectors)
    }
}

/// [`Strided`] for stores.
#[derive(Debug)]
pub(crate) struct StridedMut<'a> {
    bytes: &'a mut [i8],
    stride: usize,
    count: usize,
}

impl<'a> StridedMut<'a> {
    /// `None` when the last of `count` groups ends outside `bytes`.
    pub(crate) fn new(bytes: &'a mut [i8], stride: usize, count: usize) -> Option<Self> {
        Strided::new(bytes, stride, count)?;
        Some(Self { bytes, stride, count })
    }

    /// Group `index`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn store(&mut self, index: usize, vector: __m128i) -> Option<()> {
        if index >= self.count {
            return None;
        }
        // SAFETY: a group before `count`, so `new` has checked that it lies in `bytes`.
        let to = unsafe { self.bytes.as_mut_ptr().add(index * self.stride) };
        // SAFETY: the whole group lies in `bytes`; no alignment is asked.
        unsafe { _mm_storel_epi64(to.cast(), vector) };
        Some(())
    }

    /// Groups `first..first + 4` from the four quarters of `vector`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn store_4(&mut self, first: usize, vector: __m256i) -> Option<()> {
        if self.count.checked_sub(first)? < 4 {
            return None;
        }
        let (low, high) = (_mm256_castsi256_si128(vector), _mm256_extracti128_si256::<1>(vector));
        let quarters = [low, _mm_unpackhi_epi64(low, low), high, _mm_unpackhi_epi64(high, high)];
        let mut offset = first * self.stride;
        for quarter in quarters {
            // SAFETY: a group before `count`, so `new` has checked that it lies in `bytes`.
            let to = unsafe { self.bytes.as_mut_ptr().add(offset) };
            // SAFETY: the whole group lies in `bytes`; no alignment is asked.
            unsafe { _mm_storel_epi64(to.cast(), quarter) };
            offset = offset.wrapping_add(self.stride);
        }
        Some(())
    }
}

/// Up to eight bytes, zeros above.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_up_to_8(bytes: &[i8]) -> __m128i {
    if let Some(bytes) = bytes.first_chunk() {
        return load_8(bytes);
    }
    let mut padded = [0; 8];
    copy(&mut padded, bytes);
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
    copy(bytes, &padded);
}

/// As many of the sixteen bytes as `bytes` takes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_up_to_16(bytes: &mut [i8], vector: __m128i) {
    if let Some(bytes) = bytes.first_chunk_mut() {
        return store_16(bytes, vector);
    }
    let mut padded = [0; 16];
    store_16(&mut padded, vector);
    copy(bytes, &padded);
}

/// As many of the 32 bytes as `bytes` takes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_up_to_32(bytes: &mut [i8], vector: __m256i) {
    if let Some(bytes) = bytes.first_chunk_mut() {
        return store_32(bytes, vector);
    }
    let mut padded = [0; 32];
    store_32(&mut padded, vector);
    copy(bytes, &padded);
}
