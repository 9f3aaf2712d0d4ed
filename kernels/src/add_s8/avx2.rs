//! AVX2: 32 values at a time, widened to int32.

use super::{Args, Sum};
use crate::Rescale;
use crate::isa::x86_64::{load_8, store_32};
use crate::requantize::avx2::{Factors, Narrow, float, rescale};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    match args.0.sum {
        Sum::FixedPoint { .. } => add::<false>(args),
        Sum::Linear { .. } => add::<true>(args),
    }
}

#[target_feature(enable = "avx2")]
fn add<const LINEAR: bool>(args: &mut Args<'_>) {
    let op = &mut args.0;
    let sum = Vector::<LINEAR>::new(op.sum);
    let narrow = Narrow::new(op.zero_point, op.clamp);
    let (outputs, tail) = op.output.as_chunks_mut::<32>();
    let (rhs, rhs_tail) = op.rhs.as_chunks::<32>();
    let (lhs, lhs_tail) = op.lhs.unwrap_or(&[]).as_chunks::<32>();
    if op.lhs.is_some() {
        for ((output, lhs), rhs) in outputs.iter_mut().zip(lhs).zip(rhs) {
            store_32(output, narrow.apply(sum.apply(lhs, rhs)));
        }
    } else {
        for (output, rhs) in outputs.iter_mut().zip(rhs) {
            let sums = sum.apply(output, rhs);
            store_32(output, narrow.apply(sums));
        }
    }
    if tail.is_empty() {
        return;
    }
    // The rest as one more block, filled up.
    let (mut left, mut right, mut bytes) = ([0; 32], [0; 32], [0; 32]);
    fill(&mut left, if op.lhs.is_some() { lhs_tail } else { &*tail });
    fill(&mut right, rhs_tail);
    store_32(&mut bytes, narrow.apply(sum.apply(&left, &right)));
    fill(tail, &bytes);
}

fn fill(to: &mut [i8], from: &[i8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// The numbers of [`Sum`], spread over registers.
struct Vector<const LINEAR: bool> {
    /// Offset, or multiplier, of each input.
    inputs: [__m256i; 2],
    factors: [Factors; 2],
    /// Whose factor is exactly a half: TFLite scales the input of the larger scale so.
    half: [bool; 2],
    /// Left shift of the inputs, or right shift of the sum.
    shift: __m128i,
    bias: __m256i,
    output: Factors,
}

impl<const LINEAR: bool> Vector<LINEAR> {
    #[target_feature(enable = "avx2")]
    fn new(sum: Sum) -> Self {
        let zero = Rescale::FixedPoint { multiplier: 0, shift: 0 };
        match sum {
            Sum::FixedPoint {
                offset: [offset0, offset1],
                multiplier: [multiplier0, multiplier1],
                shift: [shift0, shift1],
                left_shift,
                output_multiplier,
                output_shift,
            } => {
                let factor0 = Rescale::FixedPoint { multiplier: multiplier0, shift: shift0 };
                let factor1 = Rescale::FixedPoint { multiplier: multiplier1, shift: shift1 };
                let output =
                    Rescale::FixedPoint { multiplier: output_multiplier, shift: output_shift };
                Self {
                    inputs: [_mm256_set1_epi32(offset0), _mm256_set1_epi32(offset1)],
                    factors: [Factors::splat(factor0), Factors::splat(factor1)],
                    half: [factor0 == HALF, factor1 == HALF],
                    shift: _mm_cvtsi32_si128(i32::from(left_shift & 31)),
                    bias: _mm256_setzero_si256(),
                    output: Factors::splat(output),
                }
            }
            Sum::Linear { multiplier: [multiplier0, multiplier1], bias, shift } => Self {
                inputs: [_mm256_set1_epi32(multiplier0), _mm256_set1_epi32(multiplier1)],
                factors: [Factors::splat(zero), Factors::splat(zero)],
                half: [false; 2],
                shift: _mm_cvtsi32_si128(i32::from(shift & 31)),
                bias: _mm256_set1_epi32(bias),
                output: Factors::splat(zero),
            },
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn apply(&self, lhs: &[i8; 32], rhs: &[i8; 32]) -> [__m256i; 4] {
        if LINEAR {
            let (mut sums, rhs) = (widen(lhs), widen(rhs));
            for (sum, rhs) in sums.iter_mut().zip(rhs) {
                let lhs = _mm256_add_epi32(self.bias, _mm256_mullo_epi32(*sum, self.inputs[0]));
                let both = _mm256_add_epi32(lhs, _mm256_mullo_epi32(rhs, self.inputs[1]));
                *sum = _mm256_sra_epi32(both, self.shift);
            }
            return sums;
        }
        let (mut sums, rhs) = (self.scaled::<0>(lhs), self.scaled::<1>(rhs));
        for (sum, rhs) in sums.iter_mut().zip(rhs) {
            *sum = _mm256_add_epi32(*sum, rhs);
        }
        rescale!(&self.output, sums);
        sums
    }

    /// Input `I` at the common scale.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn scaled<const I: usize>(&self, input: &[i8; 32]) -> [__m256i; 4] {
        let mut values = widen(input);
        for value in &mut values {
            *value = _mm256_add_epi32(*value, self.inputs[I]);
            *value = _mm256_sll_epi32(*value, self.shift);
        }
        if self.half[I] {
            for value in &mut values {
                // Rounded up, without the carry that adding one first might lose.
                let odd = _mm256_and_si256(*value, _mm256_set1_epi32(1));
                *value = _mm256_add_epi32(_mm256_srai_epi32::<1>(*value), odd);
            }
        } else {
            rescale!(&self.factors[I], values);
        }
        values
    }
}

const HALF: Rescale = Rescale::FixedPoint { multiplier: 1 << 30, shift: 0 };

#[inline]
#[target_feature(enable = "avx2")]
fn widen(values: &[i8; 32]) -> [__m256i; 4] {
    let mut widened = [_mm256_setzero_si256(); 4];
    for (to, from) in widened.iter_mut().zip(values.as_chunks::<8>().0) {
        *to = _mm256_cvtepi8_epi32(load_8(from));
    }
    widened
}
