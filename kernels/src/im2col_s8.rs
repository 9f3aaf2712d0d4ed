//! Windows as rows of a matrix: the gathering that the convolutions of vector cells share.
//!
//! How a cell moves a block of sixteen values, widening it or not, it tells by a closure. Everything
//! here is always inlined, because only then the closure, which has the instructions of the cell, is.

use crate::{Geometry, Rows, after, after_mut};
use core::ops::Range;

/// Gathers windows of int8 as `T`, in blocks of sixteen values.
pub(crate) struct Im2col<'a> {
    pub(crate) geometry: &'a Geometry,
    pub(crate) input: &'a Rows<'a>,
    pub(crate) pad_value: i8,
}

/// Kernel rows whose sources are looked up together.
const ROWS: usize = 16;

impl Im2col<'_> {
    /// The windows of output pixels (`y`, `columns`), one every `stride` values of `to`.
    ///
    /// Every write is a whole block; what it writes beyond its own taps belongs to taps that
    /// are written later, or to the slack at the end.
    #[inline(always)]
    pub(crate) fn row<T: From<i8>>(
        &self,
        y: usize,
        columns: Range<usize>,
        stride: usize,
        to: &mut [T],
        block: impl Fn(&[i8; 16], &mut [T; 16]) + Copy,
    ) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let taps_len = window.kernel_width * shape.channels;
        let mut sources = [None; ROWS];
        let mut short = taps_len <= 16 && window.kernel_height <= ROWS;
        for (ky, source) in sources.iter_mut().enumerate().take(window.kernel_height) {
            *source = self.input.row_onwards(self.geometry.row(y, ky));
            short &= source.is_some();
        }
        for (pixel, x) in columns.enumerate() {
            let to = after_mut(to, pixel * stride);
            let first = self.geometry.first_column(x);
            let inside = window.dilation_width == 1
                && first >= 0
                && first.unsigned_abs() + window.kernel_width <= shape.width;
            if short && inside {
                let from = first.unsigned_abs() * shape.channels;
                let sources = sources.get(..window.kernel_height).unwrap_or(&[]);
                if short_rows(sources, from, taps_len, to, block) {
                    continue;
                }
            }
            for ky in 0..window.kernel_height {
                let to = after_mut(to, ky * taps_len);
                let source = match sources.get(ky) {
                    Some(source) => *source,
                    None => self.input.row_onwards(self.geometry.row(y, ky)),
                };
                match source {
                    None => self.fill(taps_len, to, block),
                    Some(source) if inside => {
                        let from = first.unsigned_abs() * shape.channels;
                        copy_onwards(after(source, from), taps_len, to, block);
                    }
                    Some(source) => self.taps(source, x, to, block),
                }
            }
        }
    }

    /// The taps of one kernel row, some of them in the padding: those to the left of the input,
    /// those inside and those to the right; dilated one by one.
    #[inline(always)]
    fn taps<T: From<i8>>(
        &self,
        source: &[i8],
        x: usize,
        to: &mut [T],
        block: impl Fn(&[i8; 16], &mut [T; 16]) + Copy,
    ) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let together = if window.dilation_width == 1 { window.kernel_width } else { 1 };
        let mut kx = 0;
        while kx < window.kernel_width {
            let first = self.geometry.column(x, kx);
            let left = first.min(0).unsigned_abs().min(together);
            let end = shape.width.cast_signed().saturating_sub(first).max(0).unsigned_abs();
            let inside = end.min(together).saturating_sub(left);
            let from = first.max(0).unsigned_abs().saturating_mul(shape.channels);
            let len = |taps: usize| taps * shape.channels;
            self.fill(len(left), after_mut(to, len(kx)), block);
            let place = after_mut(to, len(kx + left));
            copy_onwards(after(source, from), len(inside), place, block);
            let right = together - left - inside;
            self.fill(len(right), after_mut(to, len(kx + left + inside)), block);
            kx += together;
        }
    }

    /// `len` times the padding.
    #[inline(always)]
    fn fill<T>(&self, len: usize, to: &mut [T], block: impl Fn(&[i8; 16], &mut [T; 16])) {
        let value = [self.pad_value; 16];
        for to in to.as_chunks_mut::<16>().0.iter_mut().take(len.div_ceil(16)) {
            block(&value, to);
        }
    }
}

/// A window whose rows fit a block each: the first layers, with few channels. False when one
/// ends too near the end of the input or of `to`.
#[inline(always)]
fn short_rows<T>(
    sources: &[Option<&[i8]>],
    from: usize,
    taps_len: usize,
    to: &mut [T],
    block: impl Fn(&[i8; 16], &mut [T; 16]),
) -> bool {
    let mut to = to;
    for source in sources {
        let Some(source) = source else { return false };
        let Some(source) = after(source, from).first_chunk() else { return false };
        let Some(first) = to.first_chunk_mut() else { return false };
        block(source, first);
        to = after_mut(to, taps_len);
    }
    true
}

/// Copies `len` values from the start of `source` to the start of `to`. May read what follows in
/// `source` and write what follows in `to`, to a multiple of 16.
#[inline(always)]
pub(crate) fn copy_onwards<T: From<i8>>(
    source: &[i8],
    len: usize,
    to: &mut [T],
    block: impl Fn(&[i8; 16], &mut [T; 16]),
) {
    let (to, _) = to.as_chunks_mut::<16>();
    let (blocks, rest) = source.as_chunks::<16>();
    let count = len.div_ceil(16);
    for (to, from) in to.iter_mut().take(count).zip(blocks) {
        block(from, to);
    }
    // The end of the input, where no whole block is left.
    if blocks.len() < count {
        for (to, &from) in to.iter_mut().skip(blocks.len()).flatten().zip(rest) {
            *to = T::from(from);
        }
    }
}
