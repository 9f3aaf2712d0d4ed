//! AArch64 with `SDOT`: the three rows of a column, side by side for every channel, in one
//! instruction.

use super::Args;
use super::neon::{Add, Column, Sums, Taps, run_with};
use crate::isa::aarch64::sdot;
use core::arch::aarch64::*;

/// Same bits as scalar, which also takes over when the layout is another's.
#[target_feature(enable = "dotprod")]
pub(crate) fn run(args: &mut Args<'_>) {
    run_with::<true>(args);
}

/// Four rows of channel 0, of channel 1 and so on to channel 7.
type Quads = [int8x16_t; 2];

/// Three products of a channel in an instruction. Weights from a column's first row on have a
/// zero at its end, those from the second at its start.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn dots(weights: [int8x8_t; 9]) -> Taps<impl Column<Quads>, impl Add<Quads>> {
    let [w0, w1, w2, w3, w4, w5, w6, w7, w8] = weights;
    let (columns, zero) = ([[w0, w3, w6], [w1, w4, w7], [w2, w5, w8]], vdup_n_s8(0));
    let weights = [
        columns.map(|[a, b, c]| quads([a, b, c, zero])),
        columns.map(|[a, b, c]| quads([zero, a, b, c])),
    ];
    let add = move |Sums([mut low, mut high]): Sums, columns: [Quads; 3], row: usize| {
        for (column, weights) in columns.iter().zip(&weights[row]) {
            low = sdot(low, column[0], weights[0]);
            high = sdot(high, column[1], weights[1]);
        }
        Sums([low, high])
    };
    Taps { column: |rows| quads(rows), add }
}

#[inline]
#[target_feature(enable = "neon")]
fn quads(rows: [int8x8_t; 4]) -> Quads {
    let [a, b, c, d] = rows.map(|row| vcombine_s8(row, row));
    let upper = vreinterpretq_s16_s8(vzip1q_s8(a, b));
    let lower = vreinterpretq_s16_s8(vzip1q_s8(c, d));
    [vreinterpretq_s8_s16(vzip1q_s16(upper, lower)), vreinterpretq_s8_s16(vzip2q_s16(upper, lower))]
}
