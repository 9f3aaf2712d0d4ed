//! The specification: one sum an output, taps in memory order.

use super::Args;
use crate::pieces_mut;

/// Runs on every machine and reads every layout.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, window) = (op.geometry, op.geometry.window());
    let (inputs, outputs) = (geometry.input().channels, geometry.output().channels);
    let row_len = geometry.output().row_len();
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        for (x, pixel) in pieces_mut(row, outputs).enumerate() {
            for (channel, output) in pixel.iter_mut().enumerate() {
                let mut sum = 0.0;
                let mut step = 0;
                for ky in 0..window.kernel_height {
                    for kx in 0..window.kernel_width {
                        if let Some(tap) = geometry.tap(&op.input, op.first_row + y, x, ky, kx) {
                            sum = op.filter.dot(sum, channel, step, tap);
                        }
                        step += inputs;
                    }
                }
                *output = op.epilogue.apply(channel, sum);
            }
        }
    }
}
