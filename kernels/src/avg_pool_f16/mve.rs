//! Helium: four channels at a time through all taps of a window.

use super::Args;
use crate::isa::mve::half::add_pixels;
use crate::pieces_mut;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, channels) = (op.geometry, op.geometry.output().channels);
    let distance = channels * geometry.window().dilation_width;
    for (y, row) in pieces_mut(op.output, geometry.output().row_len()).enumerate() {
        let y = op.first_row + y;
        let rows = geometry.rows_inside(y);
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            let columns = geometry.columns_inside(x);
            let left = geometry.column(x, columns.start).unsigned_abs() * channels;
            // At most 255 * 255 taps, which f32 counts exactly.
            let taps = (rows.len() * columns.len()) as f32;
            for (block, output) in pixel.chunks_mut(4).enumerate() {
                let mut sums = [0.0; 4];
                let sums = sums.get_mut(..output.len()).unwrap_or(&mut []);
                for ky in rows.clone() {
                    let row = op.input.row(geometry.row(y, ky)).unwrap_or(&[]);
                    let values = row.get(left + 4 * block..).unwrap_or(&[]);
                    add_pixels(values, distance, columns.len(), sums);
                }
                for (output, &mut sum) in output.iter_mut().zip(sums) {
                    *output = op.clamp.apply(sum / taps);
                }
            }
        }
    }
}
