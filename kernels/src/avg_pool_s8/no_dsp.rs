//! Armv6-M and Armv7-M: a tap looked up once for 32 channels.

use super::{Args, rounded_mean};
use crate::pieces_mut;

/// Channels whose sums are made at once.
const CHANNELS: usize = 32;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let geometry = &op.geometry;
    let (row_len, channels) = (geometry.output().row_len(), geometry.output().channels);
    for (y, row) in (op.first_row..).zip(pieces_mut(op.output, row_len)) {
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            for (part, outputs) in pixel.chunks_mut(CHANNELS).enumerate() {
                let (mut sums, mut count) = ([0_i32; CHANNELS], 0_i32);
                for ky in geometry.rows_inside(y) {
                    for kx in geometry.columns_inside(x) {
                        let tap = geometry.tap(&op.input, y, x, ky, kx).unwrap_or(&[]);
                        let values = tap.get(CHANNELS * part..).unwrap_or(&[]);
                        for (sum, &value) in sums.iter_mut().zip(values) {
                            *sum = sum.wrapping_add(i32::from(value));
                        }
                        count = count.wrapping_add(1);
                    }
                }
                for (output, sum) in outputs.iter_mut().zip(sums) {
                    *output = op.clamp.apply(rounded_mean(sum, count));
                }
            }
        }
    }
}
