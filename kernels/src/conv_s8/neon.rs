//! AArch64: im2col of a strip of pixels, then the shared tiles.

use super::{Args, Operands};
use crate::isa::aarch64::{load_16, store_16};
use crate::tile_s8::NEON_LAYOUT;
use crate::tile_s8::neon::{Pixels, capacity, copy_onwards, strip, whole_tiles};
use crate::tile_s8::neon_row_bytes;
use crate::{Geometry, Rows, after, after_mut};
use core::arch::aarch64::*;
use core::ops::Range;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let (filter, epilogue) = (args.0.filter, args.0.epilogue);
    let scratch = core::mem::take(&mut args.0.scratch);
    let done = filter.layout() == NEON_LAYOUT
        && strips(&mut args.0, scratch, usize::MAX, |pixels, output| {
            strip(pixels, &filter, &epilogue, output);
        })
        .is_some();
    if !done {
        super::scalar::run(args);
    }
}

/// The windows of some output pixels at a time, at most `limit`, as rows in the scratch for `strip`,
/// which also gets their outputs. `None`, and nothing done, without room in the scratch.
#[target_feature(enable = "neon")]
pub(super) fn strips(
    op: &mut Operands<'_>,
    scratch: &mut [i8],
    limit: usize,
    mut strip: impl FnMut(Pixels<'_>, &mut [i8]),
) -> Option<()> {
    let (width, channels) = (op.geometry.output().width, op.filter.channels());
    let stride = neon_row_bytes(op.filter.depth());
    let pixels = whole_tiles(capacity(scratch, op.filter.depth()).min(limit));
    if pixels == 0 || width == 0 || channels == 0 {
        return None;
    }
    let im2col = Im2col { geometry: &op.geometry, input: &op.input, pad_value: op.pad_value };
    // Output pixels of this call, counted through its rows.
    let (mut y, mut x) = (op.first_row, 0);
    for output in op.output.chunks_mut(channels * pixels) {
        let count = output.len() / channels;
        let mut done = 0;
        while done < count {
            let run = x..width.min(x + count - done);
            let to = after_mut(scratch, done * stride);
            done += run.len();
            x = run.end;
            im2col.row(y, run, stride, to);
            if x == width {
                (y, x) = (y + 1, 0);
            }
        }
        strip(Pixels { data: scratch, stride, count }, output);
    }
    Some(())
}

struct Im2col<'a> {
    geometry: &'a Geometry,
    input: &'a Rows<'a>,
    pad_value: i8,
}

/// Kernel rows whose sources are looked up together.
const ROWS: usize = 16;

impl Im2col<'_> {
    /// The windows of output pixels (`y`, `columns`), one every `stride` bytes of `to`.
    ///
    /// Every write is a whole vector; what it writes beyond its own taps belongs to taps that
    /// are written later, or to the slack at the end.
    #[inline]
    #[target_feature(enable = "neon")]
    fn row(&self, y: usize, columns: Range<usize>, stride: usize, to: &mut [i8]) {
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
            let to = after_mut(to, pixel * stride);
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
                        copy_onwards(after(source, from), taps_len, to);
                    }
                    Some(source) => self.taps(source, first, to),
                }
            }
        }
    }

    /// The taps of one kernel row, one by one.
    #[target_feature(enable = "neon")]
    fn taps(&self, source: &[i8], first: isize, to: &mut [i8]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        for kx in 0..window.kernel_width {
            let to = after_mut(to, kx * shape.channels);
            let column = first + (kx * window.dilation_width).cast_signed();
            match usize::try_from(column) {
                Ok(column) if column < shape.width => {
                    copy_onwards(after(source, column * shape.channels), shape.channels, to);
                }
                _ => self.fill(shape.channels, to),
            }
        }
    }

    /// `len` times the padding.
    #[inline]
    #[target_feature(enable = "neon")]
    fn fill(&self, len: usize, to: &mut [i8]) {
        let value = vdupq_n_s8(self.pad_value);
        for to in to.as_chunks_mut::<16>().0.iter_mut().take(len.div_ceil(16)) {
            store_16(to, value);
        }
    }
}

/// A window whose rows fit a vector each: the first layers, with few channels. False when one
/// ends too near the end of the input or of `to`.
#[inline]
#[target_feature(enable = "neon")]
fn short_rows(sources: &[Option<&[i8]>], from: usize, taps_len: usize, to: &mut [i8]) -> bool {
    let mut to = to;
    for source in sources {
        let Some(source) = source else { return false };
        let Some(source) = after(source, from).first_chunk() else { return false };
        let Some(block) = to.first_chunk_mut() else { return false };
        store_16(block, load_16(source));
        to = after_mut(to, taps_len);
    }
    true
}
