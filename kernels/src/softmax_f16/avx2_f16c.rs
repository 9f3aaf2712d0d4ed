//! AVX2: eight exponentials at a time, summed one by one in scalar's order.

use super::{Args, LN_2, MAGIC, SERIES, SMALLEST};
use crate::isa::x86_64::{load_up_to_8_f16, store_f32x8, store_up_to_8_f16};
use crate::tile_f16::avx2_f16c::clamped;
use crate::{ClampF16, F16, pieces, pieces_mut};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let probability = ClampF16 { min: 0.0, max: 1.0 };
    for (input, output) in pieces(op.input, op.depth).zip(pieces_mut(op.output, op.depth)) {
        let mut largest = f32::NEG_INFINITY;
        for value in input {
            let value = value.to_f32();
            largest = if value > largest { value } else { largest };
        }
        let mut sum = 0.0;
        for block in input.chunks(8) {
            let mut exps = [0.0; 8];
            store_f32x8(&mut exps, exp(block, largest, op.beta));
            for (exp, _) in exps.iter().zip(block) {
                sum += exp;
            }
        }
        let sum = _mm256_set1_ps(sum);
        for (block, output) in input.chunks(8).zip(output.chunks_mut(8)) {
            let quotient = _mm256_div_ps(exp(block, largest, op.beta), sum);
            store_up_to_8_f16(output, clamped(quotient, probability));
        }
    }
}

/// [`super::scalar::exp`] of up to eight differences to `largest` times `beta`: the same operations
/// in the same order, none of them fused.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn exp(block: &[F16], largest: f32, beta: f32) -> __m256 {
    let difference = _mm256_sub_ps(load_up_to_8_f16(block), _mm256_set1_ps(largest));
    let x = _mm256_mul_ps(difference, _mm256_set1_ps(beta));
    let in_range = _mm256_cmp_ps::<_CMP_GE_OQ>(x, _mm256_set1_ps(SMALLEST));
    let magic = _mm256_set1_ps(MAGIC);
    let log2 = _mm256_mul_ps(x, _mm256_set1_ps(core::f32::consts::LOG2_E));
    let shifted = _mm256_add_ps(log2, magic);
    let power = _mm256_sub_ps(shifted, magic);
    let mut rest = x;
    for part in LN_2 {
        rest = _mm256_sub_ps(rest, _mm256_mul_ps(power, _mm256_set1_ps(part)));
    }
    let mut series = _mm256_setzero_ps();
    for factor in SERIES {
        series = _mm256_add_ps(_mm256_mul_ps(series, rest), _mm256_set1_ps(factor));
    }
    let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
    let scaled = _mm256_add_epi32(_mm256_castps_si256(series), exponent);
    _mm256_and_ps(_mm256_castsi256_ps(scaled), in_range)
}
