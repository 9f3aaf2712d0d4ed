//! The specification.

use super::Args;
use crate::pieces_mut;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, window) = (op.geometry, op.geometry.window());
    let (row_len, channels) = (geometry.output().row_len(), geometry.output().channels);
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            for (channel, output) in pixel.iter_mut().enumerate() {
                let mut largest = f32::NEG_INFINITY;
                for ky in 0..window.kernel_height {
                    for kx in 0..window.kernel_width {
                        let tap = geometry.tap(&op.input, op.first_row + y, x, ky, kx);
                        if let Some(value) = tap.and_then(|tap| tap.get(channel)) {
                            let value = value.to_f32();
                            largest = if value > largest { value } else { largest };
                        }
                    }
                }
                *output = op.clamp.apply(largest);
            }
        }
    }
}
