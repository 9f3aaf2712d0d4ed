//! AVX2: eight values at a time.

use super::Args;
use crate::ClampF16;
use crate::isa::x86_64::{load_up_to_8, store_up_to_8_f16};
use crate::tile_f16::avx2_f16c::clamped;
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (scale, zero_point) = (op.scale, _mm256_set1_epi32(i32::from(op.zero_point)));
    for (output, input) in op.output.chunks_mut(8).zip(op.input.chunks(8)) {
        let steps = _mm256_sub_epi32(_mm256_cvtepi8_epi32(load_up_to_8(input)), zero_point);
        let value = _mm256_mul_ps(_mm256_cvtepi32_ps(steps), _mm256_set1_ps(scale));
        store_up_to_8_f16(output, clamped(value, ClampF16::NONE));
    }
}
