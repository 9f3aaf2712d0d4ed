//! Helium: windows of six pixels are gathered, then the shared tiles.

use super::{Args, Operands};
use crate::geometry::Walk;
use crate::isa::mve::half::Pixels;
use crate::tile_f16::MVE_TILE;
use crate::tile_f16::mve::{Steps, Tiles};
use crate::{F16, Geometry, Rows};
use core::ops::Range;

/// Same bits as scalar, which also takes over when layout, scratch or numbers are none for the tiles.
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { geometry, input, filter, epilogue, first_row, output, scratch } = &mut args.0;
    let channels = filter.channels();
    let Some(mut tiles) = Tiles::new(filter, *epilogue, scratch, MVE_TILE) else {
        return super::scalar::run(args);
    };
    let inside = geometry.outputs_inside();
    let mut walk = Walk::new(geometry, *first_row);
    for output in output.chunks_mut((MVE_TILE * channels).max(1)) {
        let gather = |steps: &mut Steps<'_>| {
            let mut pixel = 0;
            while pixel < steps.count {
                let (x, left) = (walk.x(), steps.count - pixel);
                let count = if inside.contains(&x) { left.min(inside.end - x) } else { 1 };
                let (y, _) = walk.run(count);
                windows(geometry, input, [y, x], steps, pixel..pixel + count);
                pixel += count;
            }
        };
        tiles.run(gather, output);
    }
}

/// The windows of outputs side by side, the first of them (`y`, `x`), zeros in the padding. Several only
/// where they lie inside the input.
fn windows(
    geometry: &Geometry,
    input: &Rows<'_, F16>,
    [y, x]: [usize; 2],
    steps: &mut Steps<'_>,
    pixels: Range<usize>,
) {
    let (window, channels) = (geometry.window(), geometry.input().channels);
    let columns = geometry.columns_inside(x);
    let row_len = window.kernel_width * channels;
    // Taps side by side in the input are one run of values.
    let (runs, len) = match window.dilation_width {
        1 => (columns.start..columns.end.min(columns.start + 1), columns.len() * channels),
        _ => (columns.clone(), channels),
    };
    let (count, distance) = (pixels.len(), window.stride_width * channels);
    for ky in 0..window.kernel_height {
        let first = ky * row_len;
        let Some(row) = input.row(geometry.row(y, ky)) else {
            steps.clear(first, row_len, pixels.clone());
            continue;
        };
        if columns.len() < window.kernel_width {
            let end = columns.end * channels;
            steps.clear(first, columns.start * channels, pixels.clone());
            steps.clear(first + end, row_len - end, pixels.clone());
        }
        for kx in runs.clone() {
            let start = geometry.column(x, kx).unsigned_abs() * channels;
            let values = row.get(start..).unwrap_or(&[]);
            let pixels_of = Pixels { values, len, count, distance };
            steps.put(first + kx * channels, pixels.start, pixels_of);
        }
    }
}
