//! Helium: sixteen channels at a time, whose sums fill four vectors.

use super::{Args, rounded_mean};
use crate::isa::mve::elementwise::add_columns;
use crate::pieces_mut;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, window) = (op.geometry, op.geometry.window());
    let (row_len, channels) = (geometry.output().row_len(), geometry.output().channels);
    if !channels.is_multiple_of(16) {
        return super::armv7em_dsp::run(args);
    }
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        let rows = geometry.rows_inside(op.first_row + y);
        let top = geometry.first_row(op.first_row + y);
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            let columns = geometry.columns_inside(x);
            let count = i32::try_from(rows.len() * columns.len()).unwrap_or(0);
            let left = geometry.column(x, columns.start);
            let left = left.max(0).unsigned_abs() * channels;
            for (block, output) in pixel.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                let mut sums = [0; 16];
                for ky in rows.clone() {
                    let row = op.input.row(top + (ky * window.dilation_height).cast_signed());
                    let from = row.and_then(|row| row.get(left + 16 * block..)).unwrap_or(&[]);
                    let pitch = channels * window.dilation_width;
                    add_columns(from, pitch, columns.len(), &mut sums);
                }
                *output = sums.map(|sum| op.clamp.apply(rounded_mean(sum, count)));
            }
        }
    }
}
