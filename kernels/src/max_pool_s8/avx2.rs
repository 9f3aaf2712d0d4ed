//! AVX2: blocks of 32 channels, four at a time, through all taps of a window.

use super::{Args, Operands};
use crate::isa::x86_64::{load_32, load_up_to_8, store_32, store_up_to_8};
use crate::{after, pieces_mut};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let shape = op.geometry.output();
    let output = core::mem::take(&mut op.output);
    for (y, row) in pieces_mut(output, shape.row_len()).enumerate() {
        for (x, pixel) in pieces_mut(row, shape.channels).enumerate() {
            let (y, mut channel) = (op.first_row + y, 0);
            let (fours, rest) = pixel.as_chunks_mut::<128>();
            for four in fours {
                blocks::<4>(op, [y, x, channel], four);
                channel += 128;
            }
            let (ones, rest) = rest.as_chunks_mut::<32>();
            for one in ones {
                blocks::<1>(op, [y, x, channel], one);
                channel += 32;
            }
            for rest in rest.chunks_mut(8) {
                eight(op, [y, x, channel], rest);
                channel += 8;
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn blocks<const N: usize>(op: &Operands<'_>, [y, x, channel]: [usize; 3], output: &mut [i8]) {
    let geometry = &op.geometry;
    let mut largest = [_mm256_set1_epi8(i8::MIN); N];
    for ky in geometry.rows_inside(y) {
        let row = geometry.row(y, ky);
        let row = op.input.row(row).unwrap_or(&[]);
        for kx in geometry.columns_inside(x) {
            let column = geometry.column(x, kx);
            let from = column.unsigned_abs() * geometry.input().channels + channel;
            let tap = after(row, from).as_chunks::<32>().0;
            for (largest, values) in largest.iter_mut().zip(tap) {
                *largest = _mm256_max_epi8(*largest, load_32(values));
            }
        }
    }
    let (min, max) = (_mm256_set1_epi8(op.clamp.min), _mm256_set1_epi8(op.clamp.max));
    for (output, largest) in output.as_chunks_mut().0.iter_mut().zip(largest) {
        store_32(output, _mm256_min_epi8(_mm256_max_epi8(largest, min), max));
    }
}

/// Up to eight channels.
#[inline]
#[target_feature(enable = "avx2")]
fn eight(op: &Operands<'_>, [y, x, channel]: [usize; 3], output: &mut [i8]) {
    let window = op.geometry.window();
    let mut largest = _mm_set1_epi8(i8::MIN);
    for ky in op.geometry.rows_inside(y) {
        for kx in 0..window.kernel_width {
            if let Some(tap) = op.geometry.tap(&op.input, y, x, ky, kx) {
                let values = load_up_to_8(after(tap, channel));
                largest = _mm_max_epi8(largest, values);
            }
        }
    }
    let clamped = _mm_max_epi8(largest, _mm_set1_epi8(op.clamp.min));
    store_up_to_8(output, _mm_min_epi8(clamped, _mm_set1_epi8(op.clamp.max)));
}
