//! What both pools of halves share: blocks of 32 channels through all taps of a window.

use crate::isa::lanes::{Lanes, load};
use crate::tile_f16::lanes::{load_up_to_8, store_up_to_8};
use crate::{F16, Geometry, Rows, after, pieces_mut};

/// Some whole rows of output, from `first_row` on. Every window begins with `start`, `fold` takes in
/// one tap after the other, and `finish` makes the output of that and of the number of taps inside.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn rows(
    geometry: &Geometry,
    input: &Rows<'_, F16>,
    first_row: usize,
    output: &mut [F16],
    start: Lanes,
    fold: impl Fn(Lanes, Lanes) -> Lanes + Copy,
    finish: impl Fn(Lanes, usize) -> Lanes + Copy,
) {
    let shape = geometry.output();
    let pool = Pool { geometry, input, start, fold, finish };
    for (y, row) in pieces_mut(output, shape.row_len()).enumerate() {
        for (x, pixel) in pieces_mut(row, shape.channels).enumerate() {
            let (y, mut channel) = (first_row + y, 0);
            let (blocks, rest) = pixel.as_chunks_mut::<32>();
            for block in blocks {
                pool.channels::<4>([y, x, channel], block);
                channel += 32;
            }
            for rest in rest.chunks_mut(8) {
                pool.channels::<1>([y, x, channel], rest);
                channel += 8;
            }
        }
    }
}

struct Pool<'a, A, B> {
    geometry: &'a Geometry,
    input: &'a Rows<'a, F16>,
    start: Lanes,
    fold: A,
    finish: B,
}

impl<A: Fn(Lanes, Lanes) -> Lanes, B: Fn(Lanes, usize) -> Lanes> Pool<'_, A, B> {
    /// `N` times eight channels of output (`y`, `x`), as many as `output` takes.
    #[inline]
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
    fn channels<const N: usize>(&self, [y, x, channel]: [usize; 3], output: &mut [F16]) {
        let geometry = self.geometry;
        let (rows, columns) = (geometry.rows_inside(y), geometry.columns_inside(x));
        let taps = rows.len() * columns.len();
        let mut all = [self.start; N];
        for ky in rows {
            let row = self.input.row(geometry.row(y, ky)).unwrap_or(&[]);
            for kx in columns.clone() {
                let column = geometry.column(x, kx);
                let tap = after(row, column.unsigned_abs() * geometry.input().channels + channel);
                let (blocks, rest) = tap.as_chunks();
                for (index, held) in all.iter_mut().enumerate() {
                    let values = match blocks.get(index) {
                        Some(block) => load(block),
                        None => load_up_to_8(rest),
                    };
                    *held = (self.fold)(*held, values);
                }
            }
        }
        for (to, &held) in output.chunks_mut(8).zip(&all) {
            store_up_to_8(to, (self.finish)(held, taps));
        }
    }
}
