//! AVX2: blocks of 32 channels through all taps of a window, divided in f32.

use super::{Args, Operands};
use crate::isa::x86_64::{load_8, load_up_to_8, store_32, store_up_to_8};
use crate::requantize::avx2::Narrow;
use crate::{after, pieces_mut};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let shape = op.geometry.output();
    let narrow = Narrow::new(0, op.clamp);
    let output = core::mem::take(&mut op.output);
    for (y, row) in pieces_mut(output, shape.row_len()).enumerate() {
        for (x, pixel) in pieces_mut(row, shape.channels).enumerate() {
            let (y, mut channel) = (op.first_row + y, 0);
            let (blocks, rest) = pixel.as_chunks_mut::<32>();
            for block in blocks {
                store_32(block, narrow.apply(means(op, [y, x, channel])));
                channel += 32;
            }
            for rest in rest.chunks_mut(8) {
                let [mean] = means(op, [y, x, channel]);
                store_up_to_8(rest, narrow.apply_8(mean));
                channel += 8;
            }
        }
    }
}

/// The means of `N` times eight channels, anything in lanes beyond the last channel.
#[inline]
#[target_feature(enable = "avx2")]
fn means<const N: usize>(op: &Operands<'_>, [y, x, channel]: [usize; 3]) -> [__m256i; N] {
    let geometry = &op.geometry;
    let (rows, columns) = (geometry.rows_inside(y), geometry.columns_inside(x));
    let count = i32::try_from(rows.len() * columns.len()).unwrap_or(1);
    let mut sums = [_mm256_setzero_si256(); N];
    for ky in rows {
        let row = geometry.row(y, ky);
        let row = op.input.row(row).unwrap_or(&[]);
        for kx in columns.clone() {
            let column = geometry.column(x, kx);
            let from = column.unsigned_abs() * geometry.input().channels + channel;
            let tap = after(row, from);
            if N == 1 {
                let values = _mm256_cvtepi8_epi32(load_up_to_8(tap));
                sums[0] = _mm256_add_epi32(sums[0], values);
            } else {
                for (sum, values) in sums.iter_mut().zip(tap.as_chunks().0) {
                    *sum = _mm256_add_epi32(*sum, _mm256_cvtepi8_epi32(load_8(values)));
                }
            }
        }
    }
    for sum in &mut sums {
        *sum = rounded_mean(*sum, count);
    }
    sums
}

/// [`super::rounded_mean`]. Sums of a window stay below 2^24 and means below 2^8, so f32 holds
/// the former exactly and its quotient never rounds up to the next integer: that is at least
/// `1 / count > 2^-16` away, a unit in the last place at most 2^-17.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded_mean(sum: __m256i, count: i32) -> __m256i {
    let half = _mm256_sign_epi32(_mm256_set1_epi32(count / 2), sum);
    let nudged = _mm256_cvtepi32_ps(_mm256_add_epi32(sum, half));
    _mm256_cvttps_epi32(_mm256_div_ps(nudged, _mm256_set1_ps(count as f32)))
}
