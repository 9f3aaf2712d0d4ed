//! AVX2: 32 values at a time.

use super::Args;
use crate::isa::x86_64::{load_32, store_32};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (clamp, input) = (op.clamp, op.input);
    let (min, max) = (_mm256_set1_epi8(clamp.min), _mm256_set1_epi8(clamp.max));
    let (blocks, tail) = op.output.as_chunks_mut::<32>();
    match input.map(|input| input.as_chunks::<32>()) {
        Some((input, rest)) => {
            for (output, input) in blocks.iter_mut().zip(input) {
                let values = load_32(input);
                store_32(output, _mm256_min_epi8(_mm256_max_epi8(values, min), max));
            }
            for (output, &value) in tail.iter_mut().zip(rest) {
                *output = clamp.apply(i32::from(value));
            }
        }
        None => {
            for block in blocks {
                let values = load_32(block);
                store_32(block, _mm256_min_epi8(_mm256_max_epi8(values, min), max));
            }
            for value in tail {
                *value = clamp.apply(i32::from(*value));
            }
        }
    }
}
