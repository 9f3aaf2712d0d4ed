//! Helium: four 3x3 windows side by side, any other one by one.

use super::{ARMV7EM_LAYOUT, Args};
use crate::isa::mve::half::is_exact;
use crate::isa::mve::taps::{MOST_ROWS, Windows, four_windows, window};
use crate::{F16, Geometry, pieces_mut};

/// Same bits as scalar, which also takes over when layout or numbers are none for the vectors, when
/// windows are taller than eight rows, or when a channel has several outputs.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let geometry = op.geometry;
    let channels = geometry.output().channels;
    let is_taken = channels == geometry.input().channels
        && op.filter.layout() == ARMV7EM_LAYOUT
        && geometry.window().kernel_height <= MOST_ROWS
        && is_exact(&op.epilogue);
    if !is_taken {
        return super::scalar::run(args);
    }
    let (window_of, width) = (geometry.window(), geometry.output().width);
    for (y, outputs) in pieces_mut(op.output, geometry.output().row_len()).enumerate() {
        let y = op.first_row + y;
        let inside = geometry.rows_inside(y);
        let mut rows = [&[] as &[F16]; MOST_ROWS];
        for (to, ky) in rows.iter_mut().zip(inside.clone()) {
            *to = op.input.row(geometry.row(y, ky)).unwrap_or(&[]);
        }
        let windows = Windows {
            rows: rows.get(..inside.len()).unwrap_or(&[]),
            start: 0,
            columns: 0,
            pitch: window_of.dilation_width * channels,
            weights: op.filter.data().as_chunks().0,
            taps: window_of.taps(),
            across: window_of.kernel_width,
            first: inside.start * window_of.kernel_width,
            epilogue: op.epilogue,
        };
        let mut x = 0;
        while x < width {
            // At the end of a row some are computed again.
            let four = x.min(width.saturating_sub(4));
            if let Some((columns, lacks)) = columns_of_four(&geometry, four) {
                let start = geometry.first_column(four).max(0).unsigned_abs() * channels;
                let windows = Windows { start, columns, ..windows };
                let outputs = outputs.get_mut(four * channels..).unwrap_or(&mut []);
                four_windows(&windows, window_of.stride_width, lacks, outputs);
                x = four + 4;
            } else {
                let columns = geometry.columns_inside(x);
                let start = geometry.column(x, columns.start).unsigned_abs() * channels;
                let first = windows.first + columns.start;
                let windows = Windows { start, columns: columns.len(), first, ..windows };
                window(&windows, outputs.get_mut(x * channels..).unwrap_or(&mut []));
                x += 1;
            }
        }
    }
}

/// The columns inside the input of the four windows from output `x` on, and whether they lack the
/// first one and the last; `None` where they cannot be computed at once.
fn columns_of_four(geometry: &Geometry, x: usize) -> Option<(usize, [bool; 2])> {
    let (window, shape) = (geometry.window(), geometry.output());
    let stride = window.stride_width;
    let (first, all) = (geometry.first_column(x), 3 * stride + 3);
    let end = first + all.cast_signed();
    let last = geometry.input().width.cast_signed();
    let can_be = window.is_plain_3x3()
        && shape.width >= 4
        && shape.channels.is_multiple_of(4)
        && stride <= 2
        && first >= -1
        && end <= last + 1;
    let lacks = [first < 0, end > last];
    can_be.then(|| (all - usize::from(lacks[0]) - usize::from(lacks[1]), lacks))
}
