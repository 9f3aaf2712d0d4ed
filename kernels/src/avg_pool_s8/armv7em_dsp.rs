//! Armv7E-M: four channels at a time, summed in halves of words (`SXTAB16`).

use super::{Args, rounded_mean};
use crate::isa::armv7em::sum_columns;
use crate::pieces_mut;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, window) = (&op.geometry, op.geometry.window());
    let (row_len, channels) = (geometry.output().row_len(), geometry.output().channels);
    if !channels.is_multiple_of(4) {
        return super::scalar::run(args);
    }
    let (shape, slots) = (op.input.shape(), op.input.slots());
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        let (rows, top) = (geometry.rows_inside(op.first_row + y), op.first_row + y);
        let top = geometry.first_row(top);
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            let columns = geometry.columns_inside(x);
            let count = rows.len() * columns.len();
            let left = geometry.column(x, columns.start);
            let left = left.max(0).unsigned_abs() * channels;
            // Whole rows of the input are one, as at the end of a network.
            let whole = columns.len() == shape.width && slots >= shape.height;
            let (rows, columns) = if whole && window.dilation_height == 1 {
                (rows.start..rows.start + 1, count)
            } else {
                (rows.clone(), columns.len())
            };
            let count = i32::try_from(count).unwrap_or(0);
            for (four, output) in pixel.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let mut sums = [0; 4];
                for ky in rows.clone() {
                    let row = top + (ky * window.dilation_height).cast_signed();
                    let from = op.input.row_onwards(row);
                    let from = from.and_then(|row| row.get(left + 4 * four..)).unwrap_or(&[]);
                    let stride = channels * window.dilation_width;
                    for (sum, row) in sums.iter_mut().zip(sum_columns(from, stride, columns)) {
                        *sum += row;
                    }
                }
                *output = sums.map(|sum| op.clamp.apply(rounded_mean(sum, count)));
            }
        }
    }
}
