//! AVX2: eight values at a time.

use super::Args;
use crate::isa::x86_64::{load_up_to_8_f16, store_up_to_8};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn run(args: &mut Args<'_>) {
    /// Far beyond int8; keeps the conversion in range, NaN too.
    const LIMIT: f32 = 2_097_152.0;
    let op = &mut args.0;
    let (scale, limit) = (_mm256_set1_ps(op.inverse_scale), _mm256_set1_ps(LIMIT));
    let zero_point = _mm256_set1_epi32(i32::from(op.zero_point));
    for (output, input) in op.output.chunks_mut(8).zip(op.input.chunks(8)) {
        let value = _mm256_min_ps(_mm256_mul_ps(load_up_to_8_f16(input), scale), limit);
        let value = _mm256_max_ps(value, _mm256_set1_ps(-LIMIT));
        let steps = _mm256_add_epi32(_mm256_cvtps_epi32(value), zero_point);
        // Both packs saturate.
        let (low, high) = (_mm256_castsi256_si128(steps), _mm256_extracti128_si256::<1>(steps));
        let words = _mm_packs_epi32(low, high);
        store_up_to_8(output, _mm_packs_epi16(words, words));
    }
}
