//! Helium: sixteen channels at a time.

use super::Args;
use crate::isa::mve::elementwise::keep_larger;
use crate::pieces_mut;
use crate::tile_s8::mve::clamp;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let geometry = op.geometry;
    let (row_len, channels) = (geometry.output().row_len(), geometry.output().channels);
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            pixel.fill(i8::MIN);
            for ky in geometry.rows_inside(op.first_row + y) {
                for kx in geometry.columns_inside(x) {
                    let tap = geometry.tap(&op.input, op.first_row + y, x, ky, kx);
                    keep_larger(pixel, tap.unwrap_or(&[]));
                }
            }
        }
    }
    clamp(op.output, op.clamp);
}
