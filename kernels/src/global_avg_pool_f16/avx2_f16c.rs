//! AVX2: eight channels at a time down all pixels.

use super::Args;
use crate::isa::x86_64::{load_f16x8, load_up_to_8_f16, store_up_to_8_f16};
use crate::tile_f16::avx2_f16c::clamped;
use crate::{after, pieces};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn run(args: &mut Args<'_>) {
    let (pixels, op) = (_mm256_set1_ps(args.pixels()), &mut args.0);
    let channels = op.output.len();
    for (block, output) in op.output.chunks_mut(8).enumerate() {
        let mut sum = _mm256_setzero_ps();
        for pixel in pieces(op.input, channels) {
            let pixel = after(pixel, 8 * block);
            let values = match pixel.first_chunk() {
                Some(pixel) => load_f16x8(pixel),
                None => load_up_to_8_f16(pixel),
            };
            sum = _mm256_add_ps(sum, values);
        }
        store_up_to_8_f16(output, clamped(_mm256_div_ps(sum, pixels), op.clamp));
    }
}
