//! The specification: one accumulator an output, taps in memory order.

use super::Args;
use crate::pieces_mut;

/// Runs on every machine and reads every layout.
#[inline(never)] // Where it is a fallback, no other cell carries its frame.
pub(crate) fn run(args: &mut Args<'_>) {
    let Some(input) = args.0.input else {
        return super::by_rows(args, run);
    };
    let op = &mut args.0;
    let (geometry, window) = (&op.geometry, op.geometry.window());
    let outputs = geometry.output().channels;
    let row_len = geometry.output().row_len();
    let multiplier = outputs.checked_div(geometry.input().channels).unwrap_or(1);
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        for (x, pixel) in pieces_mut(row, outputs).enumerate() {
            // Output channels in groups of `multiplier` that read the same input channel.
            for (input_channel, group) in pixel.chunks_mut(multiplier.max(1)).enumerate() {
                for (member, output) in group.iter_mut().enumerate() {
                    let channel = input_channel * multiplier + member;
                    let mut accumulator = 0_i32;
                    let mut step = 0;
                    for ky in 0..window.kernel_height {
                        for kx in 0..window.kernel_width {
                            let value = geometry
                                .tap(&input, op.first_row + y, x, ky, kx)
                                .and_then(|tap| tap.get(input_channel))
                                .unwrap_or(&op.pad_value);
                            let weight = op.filter.at(channel, step);
                            accumulator = accumulator.wrapping_add(i32::from(*value) * weight);
                            step += 1;
                        }
                    }
                    *output = op.epilogue.apply(channel, accumulator);
                }
            }
        }
    }
}
