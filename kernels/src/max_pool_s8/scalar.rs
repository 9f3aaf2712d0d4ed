//! The specification.

use super::Args;
use crate::pieces_mut;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, window) = (&op.geometry, op.geometry.window());
    let (row_len, channels) = (geometry.output().row_len(), geometry.output().channels);
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            pixel.fill(i8::MIN);
            for ky in 0..window.kernel_height {
                for kx in 0..window.kernel_width {
                    let tap = geometry.tap(&op.input, op.first_row + y, x, ky, kx);
                    for (output, value) in pixel.iter_mut().zip(tap.unwrap_or(&[])) {
                        *output = (*output).max(*value);
                    }
                }
            }
            for output in pixel {
                *output = op.clamp.apply(i32::from(*output));
            }
        }
    }
}
