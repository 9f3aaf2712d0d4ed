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
    let [w0, w1, w2, w3, w4, w5, w6, w7, w8] = weights.each_ref().map(|weights| load_8(weights));
    let (columns, zero) = ([[w0, w3, w6], [w1, w4, w7], [w2, w5, w8]], vdup_n_s8(0));
    let [a, b, c] = columns.map(|[a, b, c]| quads([a, b, c, zero]));
    let [d, e, f] = columns.map(|[a, b, c]| quads([zero, a, b, c]));
    [[a[0], a[1], b[0], b[1], c[0], c[1]], [d[0], d[1], e[0], e[1], f[0], f[1]]]
}

/// Four rows of channel 0, of channel 1 and so on to channel 7.
#[inline]
#[target_feature(enable = "neon")]
fn quads(rows: [int8x8_t; 4]) -> [int8x16_t; 2] {
    let [a, b, c, d] = rows.map(|row| vcombine_s8(row, row));
    let upper = vreinterpretq_s16_s8(vzip1q_s8(a, b));
    let lower = vreinterpretq_s16_s8(vzip1q_s8(c, d));
    [vreinterpretq_s8_s16(vzip1q_s16(upper, lower)), vreinterpretq_s8_s16(vzip2q_s16(upper, lower))]
}
