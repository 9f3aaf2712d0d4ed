//! Helium: im2col of a few windows, then the shared tiles.

use super::armv7em_dsp::Windows;
use super::{Args, CORTEX_M_ROWS};
use crate::isa::armv7em::window::WindowRows;
use crate::isa::mve::windows::{self, gather};
use crate::tile_s8::mve::{Panel, Tiles, clamp};
use crate::tile_s8::{mve_pitch, mve_pixels};
use crate::{Shape, pieces_mut};
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
    let depth = op.filter.depth();
    let windows = Windows { geometry: &op.geometry, input: &op.input, pad_value: op.pad_value };
    let strip = Strip { windows, pitch: mve_pitch(depth), most: mve_pixels(depth) };
    if op.geometry.window().kernel_height > CORTEX_M_ROWS {
        return None;
    }
    let mut tiles = Tiles::new(&op.filter, op.epilogue, op.scratch)?;
    let mut first = 0;
    while let Some((panel, pixels)) = tiles.panel(first) {
        let pixels = pixels.get_mut(..strip.pitch * strip.most)?;
        for (y, row) in pieces_mut(op.output, op.geometry.output().row_len()).enumerate() {
            strip.run(op.first_row + y, &panel, pixels, row);
        }
        first = panel.end();
    }
    clamp(op.output, op.epilogue.clamp);
    Some(())
}

struct Strip<'a> {
    windows: Windows<'a>,
    /// Bytes from a gathered window to the next, and how many there are at most.
    pitch: usize,
    most: usize,
}

impl Strip<'_> {
    /// The panel's channels of output row `y`, a few outputs at a time.
    fn run(&self, y: usize, panel: &Panel<'_>, pixels: &mut [i8], output: &mut [i8]) {
        let Shape { width, channels, .. } = self.windows.geometry.output();
        let taps = self.windows.rows(y);
        let inside = if taps.is_whole() { self.windows.geometry.outputs_inside() } else { 0..0 };
        let mut x = 0;
        while x < width {
            let end = width.min(x + self.most);
            for at in (x..end.min(inside.start)).chain(inside.end.max(x)..end) {
                let to = pixels.get_mut((at - x) * self.pitch..).unwrap_or(&mut []);
                self.windows.gather(&taps, at, to.get_mut(..self.pitch).unwrap_or(&mut []));
            }
            let range = inside.start.max(x).min(end)..inside.end.max(x).min(end);
            let to = pixels.get_mut((range.start - x) * self.pitch..).unwrap_or(&mut []);
            self.gather_inside(&taps, range, to);
            let output = output.get_mut(x * channels..).unwrap_or(&mut []);
            panel.run(pixels, self.pitch, end - x, output);
            x = end;
        }
    }

    /// Outputs whose windows lie inside the input.
    fn gather_inside(&self, rows: &WindowRows<'_>, range: Range<usize>, to: &mut [i8]) {
        let geometry = self.windows.geometry;
        let (window, shape) = (geometry.window(), geometry.input());
        let first = geometry.first_column(range.start).max(0).unsigned_abs() * shape.channels;
        let step = window.stride_width * shape.channels;
        let len = window.kernel_width * shape.channels;
        gather(windows::Windows { rows, first, step, len, count: range.len() }, to, self.pitch);
    }
}
