//! The specification: one accumulator an output, taps in memory order.

use super::Args;

/// Runs on every machine and reads every layout.
pub fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, window) = (op.geometry, op.geometry.window());
    let channels = geometry.output().channels;
    if channels == 0 || geometry.output().width == 0 {
        return;
    }
    for (row, output) in op.output.chunks_exact_mut(geometry.output().row_len()).enumerate() {
        let top = geometry.first_row(op.first_row + row);
        for (x, pixel) in output.chunks_exact_mut(channels).enumerate() {
            let left = geometry.first_column(x);
            for (channel, output) in pixel.iter_mut().enumerate() {
                let mut accumulator = 0_i32;
                let mut step = 0;
                for ky in 0..window.kernel_height {
                    for kx in 0..window.kernel_width {
                        let tap = op.input.pixel(
                            top + (ky * window.dilation_height).cast_signed(),
                            left + (kx * window.dilation_width).cast_signed(),
                        );
                        for index in 0..geometry.input().channels {
                            let value = tap.and_then(|tap| tap.get(index)).unwrap_or(&op.pad_value);
                            let weight = op.filter.at(channel, step);
                            accumulator =
                                accumulator.wrapping_add(i32::from(*value) * i32::from(weight));
                            step += 1;
                        }
                    }
                }
                *output = op.epilogue.apply(channel, accumulator);
            }
        }
    }
}
