//! Eight channels down all taps, four outputs side by side where no column is padded.
//!
//! Registers of four outputs: 4 sums, 1 weight, 4 values.

use super::{Args, Operands};
use crate::isa::lanes::{add, fused, load, splat};
use crate::tile_f16::LANES_LAYOUT;
use crate::tile_f16::lanes::{bias, clamped, load_up_to_8, store_up_to_8};
use crate::{F16, after, after_mut, pieces_mut};

/// Outputs side by side.
const NR: usize = 4;

/// Same bits as scalar, which also takes over when the layout is another's or a channel has
/// several outputs.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let shape = op.geometry.output();
    if op.filter.layout() != LANES_LAYOUT || op.geometry.input().channels != shape.channels {
        return super::scalar::run(args);
    }
    let output = core::mem::take(&mut op.output);
    let taps = op.filter.depth();
    for (y, row) in pieces_mut(output, shape.row_len()).enumerate() {
        let y = op.first_row + y;
        for (block, weights) in op.filter.data().chunks_exact((8 * taps).max(1)).enumerate() {
            let (weights, channel) = (weights.as_chunks().0, 8 * block);
            let mut x = 0;
            while x < shape.width {
                let row = after_mut(row, x * shape.channels + channel);
                let whole = channel + 8 <= shape.channels;
                if whole && x + NR <= shape.width && is_inside(op, x) && is_inside(op, x + NR - 1) {
                    outputs::<NR>(op, weights, [y, x, channel], row);
                    x += NR;
                } else {
                    outputs::<1>(op, weights, [y, x, channel], row);
                    x += 1;
                }
            }
        }
    }
}

/// Whether all taps of column `x` lie inside the input.
fn is_inside(op: &Operands<'_>, x: usize) -> bool {
    op.geometry.columns_inside(x).len() == op.geometry.window().kernel_width
}

/// `N` outputs of eight channels from output (`y`, `x`) on, of which `row` holds the first. More
/// than one only where all of them have the same columns inside.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(super) fn outputs<const N: usize>(
    op: &Operands<'_>,
    weights: &[[F16; 8]],
    [y, x, channel]: [usize; 3],
    row: &mut [F16],
) {
    let (geometry, window) = (&op.geometry, op.geometry.window());
    let channels = geometry.input().channels;
    let columns = geometry.columns_inside(x);
    let mut sums = [splat(0.0); N];
    for ky in geometry.rows_inside(y) {
        let line = geometry.row(y, ky);
        let line = op.input.row(line).unwrap_or(&[]);
        for kx in columns.clone() {
            let Some(weights) = weights.get(ky * window.kernel_width + kx) else { return };
            let weights = load(weights);
            let column = geometry.column(x, kx);
            let mut start = column.unsigned_abs() * channels + channel;
            for sum in &mut sums {
                let tap = after(line, start);
                // At the end of a pixel the lanes beyond its channels are never stored.
                let values = match tap.first_chunk() {
                    Some(tap) => load(tap),
                    None => load_up_to_8(tap),
                };
                *sum = fused(values, weights, *sum);
                start += window.stride_width * channels;
            }
        }
    }
    let bias = bias(op.epilogue.bias, channel);
    for (index, &sum) in sums.iter().enumerate() {
        let to = after_mut(row, index * channels);
        let len = to.len().min(channels - channel);
        let value = clamped(add(sum, bias), op.epilogue.clamp);
        store_up_to_8(to.get_mut(..len).unwrap_or(&mut []), value);
    }
}
