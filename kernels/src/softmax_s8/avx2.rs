//! AVX2: the exponentials eight at a time, twice as in the scalar cell.

use super::Args;
use crate::fixed_point::avx2::exp_on_negative_values;
use crate::fixed_point::reciprocal;
use crate::isa::x86_64::{load_32, load_up_to_8, store_32, store_up_to_8};
use crate::requantize::avx2::{Narrow, rounding_divide_by_pot, rounding_doubling_high_mul};
use crate::{Clamp, pieces, pieces_mut};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let narrow = Narrow::new(i8::MIN, Clamp::NONE);
    let outputs = pieces_mut(op.output, op.depth);
    for (input, output) in pieces(op.input, op.depth).zip(outputs) {
        let row = Row {
            max: _mm256_set1_epi32(i32::from(largest(input))),
            multiplier: _mm256_set1_epi32(op.multiplier),
            left_shift: _mm_cvtsi32_si128(i32::from(op.left_shift & 31)),
            diff_min: _mm256_set1_epi32(op.diff_min),
        };
        let mut sums = _mm256_setzero_si256();
        for block in input.chunks(8) {
            let (exp, counts) = row.exp(block);
            // From Q0.31 to Q12.19.
            let (bits, mask) = (_mm256_set1_epi32(12), _mm256_set1_epi32((1 << 12) - 1));
            let term = rounding_divide_by_pot(exp, bits, mask);
            sums = _mm256_add_epi32(sums, _mm256_and_si256(term, counts));
        }
        let (scale, bits) = reciprocal(sum(sums));
        let scale = _mm256_set1_epi32(scale);
        let bits = (bits + 31 - 8).unsigned_abs().min(31);
        let mask = _mm256_set1_epi32(((1_u32 << bits) - 1).cast_signed());
        let bits = _mm256_set1_epi32(bits.cast_signed());
        for (input, output) in input.chunks(8).zip(output.chunks_mut(8)) {
            let (exp, counts) = row.exp(input);
            let quotient = rounding_doubling_high_mul(scale, exp);
            let quotient = rounding_divide_by_pot(quotient, bits, mask);
            let least = _mm256_set1_epi32(i32::MIN);
            let quotient = _mm256_blendv_epi8(least, quotient, counts);
            store_up_to_8(output, narrow.apply_8(quotient));
        }
    }
}

struct Row {
    max: __m256i,
    multiplier: __m256i,
    left_shift: __m128i,
    diff_min: __m256i,
}

impl Row {
    /// Exponentials of up to eight values, and all ones in the lanes that count.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn exp(&self, values: &[i8]) -> (__m256i, __m256i) {
        let len = _mm256_set1_epi32(i32::try_from(values.len()).unwrap_or(8));
        let values = _mm256_cvtepi8_epi32(load_up_to_8(values));
        let diff = _mm256_sub_epi32(values, self.max);
        let scaled = _mm256_sll_epi32(diff, self.left_shift);
        let scaled = rounding_doubling_high_mul(scaled, self.multiplier);
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let present = _mm256_cmpgt_epi32(len, lanes);
        let counts = _mm256_andnot_si256(_mm256_cmpgt_epi32(self.diff_min, diff), present);
        (exp_on_negative_values(scaled), counts)
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn largest(values: &[i8]) -> i8 {
    let (blocks, rest) = values.as_chunks::<32>();
    let mut largest = _mm256_set1_epi8(i8::MIN);
    for block in blocks {
        largest = _mm256_max_epi8(largest, load_32(block));
    }
    let mut lanes = [0; 32];
    store_32(&mut lanes, largest);
    lanes.iter().chain(rest).fold(i8::MIN, |largest, &value| largest.max(value))
}

/// The sum of the lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn sum(lanes: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256::<1>(lanes));
    let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
}
