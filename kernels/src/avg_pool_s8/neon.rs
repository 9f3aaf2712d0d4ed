//! AArch64: eight channels at a time through all taps of a window, divided in f32.

use super::{Args, Operands};
use crate::isa::aarch64::{Columns, load_up_to_8, store_up_to_8};
use crate::requantize::neon::Narrow;
use crate::{after, pieces_mut};
use core::arch::aarch64::*;

/// Same bits as scalar.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let shape = op.geometry.output();
    let narrow = Narrow::new(0, op.clamp);
    let output = core::mem::take(&mut op.output);
    for (y, row) in pieces_mut(output, shape.row_len()).enumerate() {
        for (x, pixel) in pieces_mut(row, shape.channels).enumerate() {
            for (block, output) in pixel.chunks_mut(8).enumerate() {
                let means = means(op, [op.first_row + y, x, 8 * block]);
                store_up_to_8(output, narrow.apply_8(means));
            }
        }
    }
}

/// The means of eight channels, anything in lanes beyond the last channel.
#[inline]
#[target_feature(enable = "neon")]
fn means(op: &Operands<'_>, [y, x, channel]: [usize; 3]) -> [int32x4_t; 2] {
    let geometry = &op.geometry;
    let (rows, columns) = (geometry.rows_inside(y), geometry.columns_inside(x));
    let count = i32::try_from(rows.len() * columns.len()).unwrap_or(1);
    let channels = geometry.input().channels;
    let mut sums = [vdupq_n_s32(0); 2];
    for ky in rows {
        let row = geometry.row(y, ky);
        let row = op.input.row(row).unwrap_or(&[]);
        let first = geometry.column(x, columns.start).unsigned_abs() * channels + channel;
        let step = geometry.window().dilation_width * channels;
        let values = after(row, first);
        if let Some(values) = Columns::new([values], step, columns.len()) {
            let mut column = 0;
            while let Some(values) = values.run::<1>(column) {
                let [values] = values.get::<0>();
                add(&mut sums, values);
                column += 1;
            }
        } else {
            for column in 0..columns.len() {
                add(&mut sums, load_up_to_8(after(values, column * step)));
            }
        }
    }
    [rounded_mean(sums[0], count), rounded_mean(sums[1], count)]
}

#[inline]
#[target_feature(enable = "neon")]
fn add([low, high]: &mut [int32x4_t; 2], values: int8x8_t) {
    let values = vmovl_s8(values);
    *low = vaddw_s16(*low, vget_low_s16(values));
    *high = vaddw_high_s16(*high, values);
}

/// [`super::rounded_mean`]. Sums of a window stay below 2^24 and means below 2^8, so f32 holds
/// the former exactly and its quotient never rounds up to the next integer: that is at least
/// `1 / count > 2^-16` away, a unit in the last place at most 2^-17.
#[inline]
#[target_feature(enable = "neon")]
fn rounded_mean(sum: int32x4_t, count: i32) -> int32x4_t {
    let (half, negative) = (vdupq_n_s32(count / 2), vshrq_n_s32::<31>(sum));
    // Half the count with the sign of the sum.
    let half = vsubq_s32(veorq_s32(half, negative), negative);
    let nudged = vcvtq_f32_s32(vaddq_s32(sum, half));
    vcvtq_s32_f32(vdivq_f32(nudged, vdupq_n_f32(count as f32)))
}
