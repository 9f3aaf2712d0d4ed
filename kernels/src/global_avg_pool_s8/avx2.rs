//! AVX2: 32 channels at a time down all pixels, eight for the rest.

use super::Args;
use crate::after;
use crate::isa::x86_64::{load_8, load_up_to_8, store_32, store_up_to_8};
use crate::requantize::avx2::{Factors, Narrow, float, rescale};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let channels = op.output.len().max(1);
    let factors = Factors::splat(op.rescale);
    let narrow = Narrow::new(op.zero_point, op.clamp);
    let start = _mm256_set1_epi32(op.bias);
    let (blocks, rest) = op.output.as_chunks_mut::<32>();
    let mut channel = 0;
    for block in blocks {
        let mut sums = [start; 4];
        for pixel in op.input.chunks_exact(channels) {
            let Some(values) = after(pixel, channel).first_chunk::<32>() else { return };
            for (sum, values) in sums.iter_mut().zip(values.as_chunks::<8>().0) {
                *sum = _mm256_add_epi32(*sum, _mm256_cvtepi8_epi32(load_8(values)));
            }
        }
        rescale!(&factors, sums);
        store_32(block, narrow.apply(sums));
        channel += 32;
    }
    for block in rest.chunks_mut(8) {
        let mut sums = [start];
        for pixel in op.input.chunks_exact(channels) {
            let values = load_up_to_8(after(pixel, channel));
            sums[0] = _mm256_add_epi32(sums[0], _mm256_cvtepi8_epi32(values));
        }
        rescale!(&factors, sums);
        store_up_to_8(block, narrow.apply_8(sums[0]));
        channel += 8;
    }
}
