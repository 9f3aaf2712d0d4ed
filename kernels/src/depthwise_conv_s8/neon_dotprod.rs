//! AArch64 with `SDOT`: the three rows of a column, side by side for every channel, in one
//! instruction.

use super::Args;
use super::neon::run_with;
use crate::isa::aarch64::load_8;
use core::arch::aarch64::*;

/// Same bits as scalar, which also takes over when the layout is another's.
#[target_feature(enable = "dotprod")]
pub(crate) fn run(args: &mut Args<'_>) {
    run_with::<true>(args);
}

/// The weights of each column, channel by channel: from its first row on with a zero at the end, and
/// from its second row on with a zero at the start.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn dots(weights: &[[i8; 8]; 9]) -> [[int8x16_t; 6]; 2] {
    // Two copies side by side, of which the lower one counts.
    let twice = |tap: &[i8; 8]| vcombine_s8(load_8(tap), load_8(tap));
    let zero = vdupq_n_s8(0);
    let [mut first, mut second] = [[zero; 6]; 2];
    let columns = first.as_chunks_mut::<2>().0.iter_mut().zip(second.as_chunks_mut::<2>().0);
    let [upper, middle, lower] = weights.as_chunks::<3>().0 else { return [first, second] };
    for ((((first, second), a), b), c) in columns.zip(upper).zip(middle).zip(lower) {
        let (a, b, c) = (twice(a), twice(b), twice(c));
        *first = quads(a, b, c, zero);
        *second = quads(zero, a, b, c);
    }
    [first, second]
}

/// Four rows of channel 0, of channel 1 and so on to channel 7.
#[inline]
#[target_feature(enable = "neon")]
fn quads(a: int8x16_t, b: int8x16_t, c: int8x16_t, d: int8x16_t) -> [int8x16_t; 2] {
    let upper = vreinterpretq_s16_s8(vzip1q_s8(a, b));
    let lower = vreinterpretq_s16_s8(vzip1q_s8(c, d));
    [vreinterpretq_s8_s16(vzip1q_s16(upper, lower)), vreinterpretq_s8_s16(vzip2q_s16(upper, lower))]
}
