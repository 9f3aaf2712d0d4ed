//! AVX2: im2col of a strip of pixels, widened on the way, then the shared tiles.

use super::{Args, Operands};
use crate::isa::x86_64::store_i16x16;
use crate::tile_s8::avx2::{pairs, strip, widen};
use crate::tile_s8::{AVX2_LAYOUT, row_len};
use crate::{Geometry, Rows};
use core::arch::x86_64::*;
use core::ops::Range;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { geometry, input, filter, epilogue, pad_value, first_row, output, scratch } =
        &mut args.0;
    let (width, channels) = (geometry.output().width, filter.channels());
    let row_pairs = row_len(filter.depth()) / 2;
    let rows = pairs(scratch);
    let capacity = rows.len().checked_div(row_pairs).unwrap_or(0);
    if filter.layout() != AVX2_LAYOUT || capacity == 0 || width == 0 || channels == 0 {
        return super::scalar::run(args);
    }
    let im2col = Im2col { geometry, input, pad_value: *pad_value };
    // Output pixels of this call, counted through its rows.
    let mut first = 0;
    for output in output.chunks_mut(channels * capacity) {
        let end = first + output.len() / channels;
        let mut left = &mut *rows;
        while first < end {
            let (y, x) = (*first_row + first / width, first % width);
            let run = x..width.min(x + end - first);
            first += run.len();
            let Some((to, rest)) = left.split_at_mut_checked(run.len() * row_pairs) else { return };
            im2col.row(y, run, row_pairs, to);
            left = rest;
        }
        strip(rows, row_pairs, filter, epilogue, output);
    }
}

struct Im2col<'a> {
    geometry: &'a Geometry,
    input: &'a Rows<'a>,
    pad_value: i8,
}

impl Im2col<'_> {
    /// The windows of output pixels (`y`, `columns`), one after the other into `to`.
    ///
    /// Every write is a whole vector; what it writes beyond its own taps belongs to taps that
    /// are written later, or to the slack at the end.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row(&self, y: usize, columns: Range<usize>, row_pairs: usize, to: &mut [i32]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let taps_len = window.kernel_width * shape.channels;
        for ky in 0..window.kernel_height {
            let row = self.geometry.first_row(y) + (ky * window.dilation_height).cast_signed();
            let source = self.input.row_onwards(row);
            for (x, to) in columns.clone().zip(to.chunks_exact_mut(row_pairs.max(1))) {
                let to: &mut [i16] = bytemuck::cast_slice_mut(to);
                let to = to.get_mut(ky * taps_len..).unwrap_or(&mut []);
                let first = self.geometry.first_column(x);
                let Some(source) = source else {
                    self.fill(taps_len, to);
                    continue;
                };
                let inside = usize::try_from(first)
                    .ok()
                    .filter(|first| first + window.span_width() <= shape.width);
                match inside {
                    Some(first) if window.dilation_width == 1 => {
                        let source = source.get(first * shape.channels..).unwrap_or(&[]);
                        widen(source, taps_len, to);
                    }
                    _ => self.taps(source, first, to),
                }
            }
        }
    }

    /// The taps of one kernel row, one by one.
    #[target_feature(enable = "avx2")]
    fn taps(&self, source: &[i8], first: isize, to: &mut [i16]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        for kx in 0..window.kernel_width {
            let to = to.get_mut(kx * shape.channels..).unwrap_or(&mut []);
            let column = first + (kx * window.dilation_width).cast_signed();
            match usize::try_from(column).ok().filter(|&column| column < shape.width) {
                Some(column) => {
                    let source = source.get(column * shape.channels..).unwrap_or(&[]);
                    widen(source, shape.channels, to);
                }
                None => self.fill(shape.channels, to),
            }
        }
    }

    /// `len` times the padding.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn fill(&self, len: usize, to: &mut [i16]) {
        let value = _mm256_set1_epi16(i16::from(self.pad_value));
        for to in to.as_chunks_mut::<16>().0.iter_mut().take(len.div_ceil(16)) {
            store_i16x16(to, value);
        }
    }
}
