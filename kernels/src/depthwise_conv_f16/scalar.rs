//! The specification: one sum an output, taps in memory order.

use super::Args;
use crate::pieces_mut;

/// Runs on every machine and reads every layout.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, window) = (op.geometry, op.geometry.window());
    let outputs = geometry.output().channels;
    let row_len = geometry.output().row_len();
    let multiplier = outputs.checked_div(geometry.input().channels).unwrap_or(1);
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        for (x, pixel) in pieces_mut(row, outputs).enumerate() {
            // Output channels in groups of `multiplier` that read the same input channel.
            for (input_channel, group) in pixel.chunks_mut(multiplier.max(1)).enumerate() {
                for (member, output) in group.iter_mut().enumerate() {
                    let channel = input_channel * multiplier + member;
                    let mut sum = 0.0;
                    let mut step = 0;
                    for ky in 0..window.kernel_height {
                        for kx in 0..window.kernel_width {
                            let tap = geometry.tap(&op.input, op.first_row + y, x, ky, kx);
                            if let Some(value) = tap.and_then(|tap| tap.get(input_channel)) {
                                sum += value.to_f32() * op.filter.at(channel, step);
                            }
                            step += 1;
                        }
                    }
                    *output = op.epilogue.apply(channel, sum);
                }
            }
        }
    }
}
