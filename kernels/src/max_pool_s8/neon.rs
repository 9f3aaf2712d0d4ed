//! AArch64: blocks of 16 channels, four at a time, through all taps of a window.

use super::{Args, Operands};
use crate::isa::aarch64::{load_16, load_up_to_8, store_16, store_up_to_8};
use crate::{after, pieces_mut};
use core::arch::aarch64::*;

/// Same bits as scalar.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let shape = op.geometry.output();
    let output = core::mem::take(&mut op.output);
    for (y, row) in pieces_mut(output, shape.row_len()).enumerate() {
        for (x, pixel) in pieces_mut(row, shape.channels).enumerate() {
            let (y, mut channel) = (op.first_row + y, 0);
            let (fours, rest) = pixel.as_chunks_mut::<64>();
            for four in fours {
                blocks::<4>(op, [y, x, channel], four);
                channel += 64;
            }
            let (ones, rest) = rest.as_chunks_mut::<16>();
            for one in ones {
                blocks::<1>(op, [y, x, channel], one);
                channel += 16;
            }
            for rest in rest.chunks_mut(8) {
                eight(op, [y, x, channel], rest);
                channel += 8;
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn blocks<const N: usize>(op: &Operands<'_>, [y, x, channel]: [usize; 3], output: &mut [i8]) {
    let geometry = &op.geometry;
    let channels = geometry.input().channels;
    let step = geometry.window().dilation_width * channels;
    let mut largest = [vdupq_n_s8(i8::MIN); N];
    for ky in geometry.rows_inside(y) {
        let row = geometry.row(y, ky);
        let row = op.input.row(row).unwrap_or(&[]);
        let columns = geometry.columns_inside(x);
        let mut from = geometry.column(x, columns.start).unsigned_abs() * channels + channel;
        for _ in columns {
            let Some(tap) = after(row, from).as_chunks::<16>().0.first_chunk::<N>() else { break };
            for (largest, values) in largest.iter_mut().zip(tap) {
                *largest = vmaxq_s8(*largest, load_16(values));
            }
            from += step;
        }
    }
    let (min, max) = (vdupq_n_s8(op.clamp.min), vdupq_n_s8(op.clamp.max));
    for (output, largest) in output.as_chunks_mut().0.iter_mut().zip(largest) {
        store_16(output, vminq_s8(vmaxq_s8(largest, min), max));
    }
}

/// Up to eight channels.
#[inline]
#[target_feature(enable = "neon")]
fn eight(op: &Operands<'_>, [y, x, channel]: [usize; 3], output: &mut [i8]) {
    let window = op.geometry.window();
    let mut largest = vdup_n_s8(i8::MIN);
    for ky in op.geometry.rows_inside(y) {
        for kx in 0..window.kernel_width {
            if let Some(tap) = op.geometry.tap(&op.input, y, x, ky, kx) {
                largest = vmax_s8(largest, load_up_to_8(after(tap, channel)));
            }
        }
    }
    let clamped = vmax_s8(largest, vdup_n_s8(op.clamp.min));
    store_up_to_8(output, vmin_s8(clamped, vdup_n_s8(op.clamp.max)));
}
