//! Armv7E-M: im2col of a pair of pixels, widened on the way, then the shared tiles.

use super::Args;
use crate::isa::armv7em::copy;
use crate::tile_s8::armv7em_dsp::{Panel, Tiles, clamp};
use crate::{Geometry, Rows, pieces_mut};
use core::ops::Range;

/// Rows of a window that are looked up once for a row of outputs.
const ROWS: usize = 16;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, channels) = (op.geometry, op.geometry.output().channels);
    let windows = Windows { geometry, input: op.input, pad_value: op.pad_value };
    let first_row = op.first_row;
    let tiles = if geometry.window().kernel_height <= ROWS {
        Tiles::new(&op.filter, op.epilogue, op.scratch)
    } else {
        None
    };
    let Some(mut tiles) = tiles else {
        return super::scalar::run(args);
    };
    let mut first = 0;
    while let Some(mut panel) = tiles.panel(first) {
        let rows = op.output.chunks_mut(geometry.output().row_len().max(1));
        for (y, row) in rows.enumerate() {
            let taps = windows.rows(first_row + y);
            for (pair, output) in row.chunks_mut((2 * channels).max(1)).enumerate() {
                let pixels = if output.len() > channels { 2 } else { 1 };
                windows.widen(&taps, 2 * pair, pixels, &mut panel);
                panel.run(pixels, output);
            }
        }
        first = panel.end();
    }
    clamp(op.output, op.epilogue.clamp);
}

struct Windows<'a> {
    geometry: Geometry,
    input: Rows<'a>,
    pad_value: i8,
}

/// The rows under a window, `None` in the padding.
type Taps<'a> = [Option<&'a [i8]>; ROWS];

impl<'a> Windows<'a> {
    fn rows(&self, y: usize) -> Taps<'a> {
        let (window, top) = (self.geometry.window(), self.geometry.first_row(y));
        let mut rows = [None; ROWS];
        for (ky, row) in rows.iter_mut().enumerate().take(window.kernel_height) {
            *row = self.input.row(top + (ky * window.dilation_height).cast_signed());
        }
        rows
    }

    /// Widens the windows of outputs `x` and, of two pixels, `x + 1`.
    fn widen(&self, taps: &Taps<'_>, x: usize, pixels: usize, panel: &mut Panel<'_, '_>) {
        if self.widen_directly(taps, x, pixels, panel) {
            return;
        }
        let (first, second) = panel.bytes();
        self.gather(taps, x, first);
        self.gather(taps, x + pixels - 1, second);
        panel.widen_bytes();
    }

    /// From the input itself, where both windows lie inside it and their rows are whole blocks.
    fn widen_directly(
        &self,
        taps: &Taps<'_>,
        x: usize,
        pixels: usize,
        panel: &mut Panel<'_, '_>,
    ) -> bool {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let len = window.kernel_width * shape.channels;
        let first = self.geometry.first_column(x);
        let last = self.geometry.first_column(x + pixels - 1);
        let Ok(first) = usize::try_from(first) else { return false };
        let Ok(last) = usize::try_from(last) else { return false };
        if len % 4 != 0 || window.dilation_width != 1 || last + window.kernel_width > shape.width {
            return false;
        }
        let taps = taps.get(..window.kernel_height).unwrap_or(&[]);
        if taps.iter().any(Option::is_none) {
            return false;
        }
        for (ky, row) in taps.iter().flatten().enumerate() {
            let [first, second] =
                [first, last].map(|column| row.get(column * shape.channels..).unwrap_or(&[]));
            panel.widen(ky * (len / 4), len / 4, first, second);
        }
        true
    }

    /// The window of output `x` as bytes.
    fn gather(&self, taps: &Taps<'_>, x: usize, to: &mut [i8]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let (channels, start) = (shape.channels, self.geometry.first_column(x));
        let inside = self.geometry.columns_inside(x);
        let taps = taps.get(..window.kernel_height).unwrap_or(&[]);
        let row_len = window.kernel_width * channels;
        if window.dilation_width != 1 && inside.len() > 1 {
            return self.gather_apart(taps, start, inside, to);
        }
        let column = start + (inside.start * window.dilation_width).cast_signed();
        let (first, len) = (column.max(0).unsigned_abs() * channels, inside.len() * channels);
        for (row, to) in taps.iter().zip(pieces_mut(to, row_len)) {
            let from = row.and_then(|row| row.get(first..)).and_then(|row| row.get(..len));
            if let Some(from) = from.filter(|_| len == row_len) {
                copy(from, to);
                continue;
            }
            to.fill(self.pad_value);
            let to = to.get_mut(inside.start * channels..).unwrap_or(&mut []);
            copy(from.unwrap_or(&[]), to);
        }
    }

    /// [`gather`](Self::gather) where other columns lie between the taps.
    fn gather_apart(
        &self,
        taps: &[Option<&[i8]>],
        start: isize,
        inside: Range<usize>,
        to: &mut [i8],
    ) {
        let (window, channels) = (self.geometry.window(), self.geometry.input().channels);
        let to = pieces_mut(to, window.kernel_width * channels);
        for (row, to) in taps.iter().zip(to) {
            for (kx, to) in pieces_mut(to, channels).enumerate() {
                let column = start + (kx * window.dilation_width).cast_signed();
                match row {
                    Some(row) if inside.contains(&kx) => {
                        copy(row.get(column.unsigned_abs() * channels..).unwrap_or(&[]), to);
                    }
                    _ => to.fill(self.pad_value),
                }
            }
        }
    }
}
