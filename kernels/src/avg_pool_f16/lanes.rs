//! Blocks of 32 channels through all taps of a window.

use super::{Args, Operands};
use crate::isa::lanes::{add, div, load, splat};
use crate::tile_f16::lanes::{clamped, load_up_to_8, store_up_to_8};
use crate::{F16, after, pieces_mut};

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let shape = op.geometry.output();
    let output = core::mem::take(&mut op.output);
    for (y, row) in pieces_mut(output, shape.row_len()).enumerate() {
        for (x, pixel) in pieces_mut(row, shape.channels).enumerate() {
            let (y, mut channel) = (op.first_row + y, 0);
            let (blocks, rest) = pixel.as_chunks_mut::<32>();
            for block in blocks {
                channels::<4>(op, [y, x, channel], block);
                channel += 32;
            }
            for rest in rest.chunks_mut(8) {
                channels::<1>(op, [y, x, channel], rest);
                channel += 8;
            }
        }
    }
}

/// `N` times eight channels of output (`y`, `x`), as many as `output` takes.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn channels<const N: usize>(op: &Operands<'_>, [y, x, channel]: [usize; 3], output: &mut [F16]) {
    let geometry = &op.geometry;
    let (rows, columns) = (geometry.rows_inside(y), geometry.columns_inside(x));
    // At most 255 * 255 taps, which f32 counts exactly.
    let count = splat((rows.len() * columns.len()) as f32);
    let mut sums = [splat(0.0); N];
    for ky in rows {
        let row = geometry.row(y, ky);
        let row = op.input.row(row).unwrap_or(&[]);
        for kx in columns.clone() {
            let column = geometry.column(x, kx);
            let tap = after(row, column.unsigned_abs() * geometry.input().channels + channel);
            let (blocks, rest) = tap.as_chunks();
            for (index, sum) in sums.iter_mut().enumerate() {
                let values = match blocks.get(index) {
                    Some(block) => load(block),
                    None => load_up_to_8(rest),
                };
                *sum = add(*sum, values);
            }
        }
    }
    for (to, &sum) in output.chunks_mut(8).zip(&sums) {
        store_up_to_8(to, clamped(div(sum, count), op.clamp));
    }
}
