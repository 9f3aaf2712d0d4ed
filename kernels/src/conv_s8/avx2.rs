//! AVX2: im2col of a strip of pixels, widened on the way, then the shared tiles.

use super::{Args, Operands};
use crate::isa::x86_64::{load_16, store_i16x16};
use crate::tile_s8::AVX2_LAYOUT;
use crate::tile_s8::avx2::{pixels, strip, widen};
use crate::{Geometry, Rows, after, after_mut};
use core::arch::x86_64::*;
use core::ops::Range;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { geometry, input, filter, epilogue, pad_value, first_row, output, scratch } =
        &mut args.0;
    let (width, channels) = (geometry.output().width, filter.channels());
    let (rows, capacity) = pixels(scratch, filter.depth());
    if filter.layout() != AVX2_LAYOUT || capacity == 0 || width == 0 || channels == 0 {
        return super::scalar::run(args);
    }
    let row_len = 2 * filter.depth().div_ceil(2);
    let im2col = Im2col { geometry, input, pad_value: *pad_value };
    // Output pixels of this call, counted through its rows.
    let (mut y, mut x) = (*first_row, 0);
    for output in output.chunks_mut(channels * capacity) {
        let mut to: &mut [i16] = bytemuck::cast_slice_mut(rows);
        let count = output.len() / channels;
        let mut left = count;
        while left > 0 {
            let run = x..width.min(x + left);
            left -= run.len();
            let len = run.len() * row_len;
            x = run.end;
            im2col.row(y, run, row_len, to);
            to = after_mut(to, len);
            if x == width {
                (y, x) = (y + 1, 0);
            }
        }
        strip(rows, count, filter, epilogue, output);
    }
}

struct Im2col<'a> {
    geometry: &'a Geometry,
    input: &'a Rows<'a>,
    pad_value: i8,
}

/// Kernel rows whose sources are looked up together.
const ROWS: usize = 16;

impl Im2col<'_> {
    /// The windows of output pixels (`y`, `columns`), one after the other into `to`.
    ///
    /// Every write is a whole vector; what it writes beyond its own taps belongs to taps that
    /// are written later, or to the slack at the end.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row(&self, y: usize, columns: Range<usize>, row_len: usize, to: &mut [i16]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let taps_len = window.kernel_width * shape.channels;
        let top = self.geometry.first_row(y);
        let mut sources = [None; ROWS];
        let mut short = taps_len <= 16 && window.kernel_height <= ROWS;
        for (ky, source) in sources.iter_mut().enumerate().take(window.kernel_height) {
            *source = self.input.row_onwards(top + (ky * window.dilation_height).cast_signed());
            short &= source.is_some();
        }
        for (pixel, x) in columns.enumerate() {
            let to = after_mut(to, pixel * row_len);
            let first = self.geometry.first_column(x);
            let inside = window.dilation_width == 1
                && first >= 0
                && first.unsigned_abs() + window.kernel_width <= shape.width;
            if short && inside {
                let from = first.unsigned_abs() * shape.channels;
                let sources = sources.get(..window.kernel_height).unwrap_or(&[]);
                if short_rows(sources, from, taps_len, to) {
                    continue;
                }
            }
            for ky in 0..window.kernel_height {
                let to = after_mut(to, ky * taps_len);
                let source = match sources.get(ky) {
                    Some(source) => *source,
                    None => {
                        self.input.row_onwards(top + (ky * window.dilation_height).cast_signed())
                    }
                };
                match source {
                    None => self.fill(taps_len, to),
                    Some(source) if inside => {
                        let from = first.unsigned_abs() * shape.channels;
                        widen(after(source, from), taps_len, to);
                    }
                    Some(source) => self.taps(source, first, to),
                }
            }
        }
    }

    /// The taps of one kernel row, one by one.
    #[target_feature(enable = "avx2")]
    fn taps(&self, source: &[i8], first: isize, to: &mut [i16]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        for kx in 0..window.kernel_width {
            let to = after_mut(to, kx * shape.channels);
            let column = first + (kx * window.dilation_width).cast_signed();
            match usize::try_from(column) {
                Ok(column) if column < shape.width => {
                    let source = after(source, column * shape.channels);
                    widen(source, shape.channels, to);
                }
                _ => self.fill(shape.channels, to),
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

/// A window whose rows fit a vector each: the first layers, with few channels. False when one
/// ends too near the end of the input or of `to`.
#[inline]
#[target_feature(enable = "avx2")]
fn short_rows(sources: &[Option<&[i8]>], from: usize, taps_len: usize, to: &mut [i16]) -> bool {
    let mut to = to;
    for source in sources {
        let Some(source) = source else { return false };
        let Some(source) = after(source, from).first_chunk() else { return false };
        let Some(block) = to.first_chunk_mut() else { return false };
        store_i16x16(block, _mm256_cvtepi8_epi16(load_16(source)));
        to = after_mut(to, taps_len);
    }
    true
}
