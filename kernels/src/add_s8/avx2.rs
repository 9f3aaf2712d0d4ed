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
            store_32(output, narrow.apply(sum.apply_32(lhs, rhs)));
        }
    } else {
        for (output, rhs) in outputs.iter_mut().zip(rhs) {
            let sums = sum.apply_32(output, rhs);
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
    store_32(&mut bytes, narrow.apply(sum.apply_32(&left, &right)));
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
    /// Left shift of the inputs, or right shift of the sum.
    shift: __m128i,
    bias: __m256i,
    output: Factors,
}

impl<const LINEAR: bool> Vector<LINEAR> {
    #[target_feature(enable = "avx2")]
    fn new(sum: Sum) -> Self {
        let factors = |multiplier, shift| Factors::splat(Rescale::FixedPoint { multiplier, shift });
        match sum {
            Sum::FixedPoint {
                offset: [offset0, offset1],
                multiplier: [multiplier0, multiplier1],
                shift: [shift0, shift1],
                left_shift,
                output_multiplier,
                output_shift,
            } => Self {
                inputs: [_mm256_set1_epi32(offset0), _mm256_set1_epi32(offset1)],
                factors: [factors(multiplier0, shift0), factors(multiplier1, shift1)],
                shift: _mm_cvtsi32_si128(i32::from(left_shift & 31)),
                bias: _mm256_setzero_si256(),
                output: factors(output_multiplier, output_shift),
            },
            Sum::Linear { multiplier: [multiplier0, multiplier1], bias, shift } => Self {
                inputs: [_mm256_set1_epi32(multiplier0), _mm256_set1_epi32(multiplier1)],
                factors: [factors(0, 0), factors(0, 0)],
                shift: _mm_cvtsi32_si128(i32::from(shift & 31)),
                bias: _mm256_set1_epi32(bias),
                output: factors(0, 0),
            },
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn apply_32(&self, lhs: &[i8; 32], rhs: &[i8; 32]) -> [__m256i; 4] {
        let mut sums = [_mm256_setzero_si256(); 4];
        let (lhs, rhs) = (lhs.as_chunks::<8>().0, rhs.as_chunks::<8>().0);
        for ((sum, lhs), rhs) in sums.iter_mut().zip(lhs).zip(rhs) {
            *sum = self.apply(_mm256_cvtepi8_epi32(load_8(lhs)), _mm256_cvtepi8_epi32(load_8(rhs)));
        }
        sums
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn apply(&self, lhs: __m256i, rhs: __m256i) -> __m256i {
        let [input0, input1] = self.inputs;
        if LINEAR {
            let sum = _mm256_add_epi32(self.bias, _mm256_mullo_epi32(lhs, input0));
            let sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(rhs, input1));
            return _mm256_sra_epi32(sum, self.shift);
        }
        let [factors0, factors1] = self.factors;
        let lhs = _mm256_sll_epi32(_mm256_add_epi32(lhs, input0), self.shift);
        let rhs = _mm256_sll_epi32(_mm256_add_epi32(rhs, input1), self.shift);
        let (mut lhs, mut rhs) = ([lhs], [rhs]);
        rescale!(&factors0, lhs);
        rescale!(&factors1, rhs);
        let mut sum = [_mm256_add_epi32(lhs[0], rhs[0])];
        rescale!(&self.output, sum);
        sum[0]
    }
}
