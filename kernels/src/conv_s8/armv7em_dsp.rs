//! Armv7E-M: im2col of a pair of pixels, widened on the way, then the shared tiles.

use super::{Args, CORTEX_M_ROWS};
use crate::isa::armv7em::copy;
use crate::isa::armv7em::window::WindowRows;
use crate::tile_s8::armv7em_dsp::{Panel, Tiles, clamp};
use crate::{Geometry, Rows, Shape, pieces_mut};
use core::ops::Range;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    if run_tiles(args).is_none() {
        fall_back!(args);
    }
}

/// `None` where scalar has to take over.
fn run_tiles(args: &mut Args<'_>) -> Option<()> {
    let op = &mut args.0;
    let windows = Windows { geometry: &op.geometry, input: &op.input, pad_value: op.pad_value };
    if op.geometry.window().kernel_height > CORTEX_M_ROWS {
        return None;
    }
    let mut tiles = Tiles::new(&op.filter, op.epilogue, op.scratch)?;
    let mut first = 0;
    while let Some(mut panel) = tiles.panel(first) {
        for (y, row) in pieces_mut(op.output, op.geometry.output().row_len()).enumerate() {
            windows.run(op.first_row + y, &mut panel, row);
        }
        first = panel.end();
    }
    clamp(op.output, op.epilogue.clamp);
    Some(())
}

/// The windows of a convolution.
pub(super) struct Windows<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) input: &'a Rows<'a>,
    pub(super) pad_value: i8,
}

impl<'a> Windows<'a> {
    /// The rows under the windows of output row `y`.
    pub(super) fn rows(&self, y: usize) -> WindowRows<'a> {
        let (window, top) = (self.geometry.window(), self.geometry.first_row(y));
        WindowRows::new(
            (0..window.kernel_height)
                .map(|ky| self.input.row(top + (ky * window.dilation_height).cast_signed())),
        )
    }

    /// The panel's channels of output row `y`: outputs whose windows lie inside the input at once,
    /// those at both edges in pairs.
    fn run(&self, y: usize, panel: &mut Panel<'_, '_>, output: &mut [i8]) {
        let taps = self.rows(y);
        let Shape { width, channels, .. } = self.geometry.output();
        let inside = if taps.is_whole() { self.run_inside(&taps, panel, output) } else { 0..0 };
        let mut edges = (0..inside.start).chain(inside.end..width);
        while let Some(x) = edges.next() {
            let next = edges.next();
            let (first, second) = panel.bytes();
            self.gather(&taps, x, first);
            self.gather(&taps, next.unwrap_or(x), second);
            panel.widen_bytes();
            let output = output.get_mut(x * channels..).unwrap_or(&mut []);
            panel.run(next.map(|next| (next - x) * channels), output);
        }
    }

    /// Computes as many outputs as it can without a look at the padding, and says which.
    fn run_inside(
        &self,
        rows: &WindowRows<'_>,
        panel: &mut Panel<'_, '_>,
        output: &mut [i8],
    ) -> Range<usize> {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let Range { start, end } = self.geometry.outputs_inside();
        let pairs = (end - start) / 2;
        let first = self.geometry.first_column(start).max(0).unsigned_abs() * shape.channels;
        let step = window.stride_width * shape.channels;
        let len = window.kernel_width * shape.channels;
        let start_of = start * self.geometry.output().channels;
        let output = output.get_mut(start_of..).unwrap_or(&mut []);
        if pairs == 0 || !panel.run_windows(rows, [first, step, len], pairs, output) {
            return 0..0;
        }
        start..start + 2 * pairs
    }

    /// The window of output `x` as bytes.
    pub(super) fn gather(&self, taps: &WindowRows<'_>, x: usize, to: &mut [i8]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let (channels, start) = (shape.channels, self.geometry.first_column(x));
        let inside = self.geometry.columns_inside(x);
        let row_len = window.kernel_width * channels;
        if window.dilation_width != 1 && inside.len() > 1 {
            return self.gather_apart(taps, start, inside, to);
        }
        let column = start + (inside.start * window.dilation_width).cast_signed();
        let (first, len) = (column.max(0).unsigned_abs() * channels, inside.len() * channels);
        if len != row_len || !taps.is_whole() {
            to.fill(self.pad_value);
        }
        let skipped = inside.start * channels;
        for (row, to) in taps.iter().zip(pieces_mut(to, row_len)) {
            let from = row.and_then(|row| row.get(first..)?.get(..len));
            if let (Some(from), Some(to)) = (from, to.get_mut(skipped..)) {
                copy(from, to);
            }
        }
    }

    /// [`gather`](Self::gather) where other columns lie between the taps.
    fn gather_apart(
        &self,
        taps: &WindowRows<'_>,
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
