//! Armv7E-M: im2col of a pair of pixels, widened on the way, then the shared tiles.

use super::Args;
use crate::isa::armv7em::copy;
use crate::isa::armv7em::window::{MOST_ROWS, WindowRows};
use crate::tile_s8::armv7em_dsp::{Panel, Tiles, clamp};
use crate::{Geometry, Rows, pieces_mut};
use core::ops::Range;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, channels) = (op.geometry, op.geometry.output().channels);
    let windows = Windows { geometry, input: op.input, pad_value: op.pad_value };
    let first_row = op.first_row;
    let tiles = if geometry.window().kernel_height <= MOST_ROWS {
        Tiles::new(&op.filter, op.epilogue, op.scratch)
    } else {
        None
    };
    let Some(mut tiles) = tiles else {
        return super::scalar::run(args);
    };
    let mut first = 0;
    while let Some(mut panel) = tiles.panel(first) {
        for (y, row) in pieces_mut(op.output, geometry.output().row_len()).enumerate() {
            let taps = windows.rows(first_row + y);
            let taps = taps.get(..geometry.window().kernel_height).unwrap_or(&[]);
            // Nothing when one of them lies in the padding.
            let whole = WindowRows::new(taps.iter().map_while(|row| *row))
                .filter(|_| taps.iter().all(Option::is_some));
            for (pair, output) in row.chunks_mut((2 * channels).max(1)).enumerate() {
                let pixels = if output.len() > channels { 2 } else { 1 };
                let columns = [2 * pair, 2 * pair + pixels - 1];
                let done = whole
                    .as_ref()
                    .is_some_and(|rows| windows.widen_inside(rows, columns, &mut panel));
                if !done {
                    windows.widen(taps, columns, &mut panel);
                }
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

impl<'a> Windows<'a> {
    /// The rows under the windows of output row `y`, `None` in the padding.
    fn rows(&self, y: usize) -> [Option<&'a [i8]>; MOST_ROWS] {
        let (window, top) = (self.geometry.window(), self.geometry.first_row(y));
        let mut rows = [None; MOST_ROWS];
        for (ky, row) in rows.iter_mut().enumerate().take(window.kernel_height) {
            *row = self.input.row(top + (ky * window.dilation_height).cast_signed());
        }
        rows
    }

    /// Widens the windows of two outputs of a row, or of one twice.
    fn widen(&self, taps: &[Option<&[i8]>], [x0, x1]: [usize; 2], panel: &mut Panel<'_, '_>) {
        let (first, second) = panel.bytes();
        self.gather(taps, x0, first);
        self.gather(taps, x1, second);
        panel.widen_bytes();
    }

    /// [`widen`](Self::widen) when both windows lie inside the input; else false.
    #[inline]
    fn widen_inside(
        &self,
        rows: &WindowRows<'_>,
        outputs: [usize; 2],
        panel: &mut Panel<'_, '_>,
    ) -> bool {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let len = window.kernel_width * shape.channels;
        let [first, last] = outputs.map(|x| self.geometry.first_column(x));
        let end = last + window.kernel_width.cast_signed();
        if first < 0 || end > shape.width.cast_signed() || window.dilation_width != 1 {
            return false;
        }
        let [first, last] = [first, last].map(|column| column.unsigned_abs() * shape.channels);
        if len % 4 == 0 {
            rows.widen(first, last, len / 4, panel.steps());
        } else {
            let (to, second) = panel.bytes();
            rows.copy(first, len, to);
            rows.copy(last, len, second);
            panel.widen_bytes();
        }
        true
    }

    /// The window of output `x` as bytes.
    fn gather(&self, taps: &[Option<&[i8]>], x: usize, to: &mut [i8]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let (channels, start) = (shape.channels, self.geometry.first_column(x));
        let inside = self.geometry.columns_inside(x);
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
