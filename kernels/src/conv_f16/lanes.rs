//! Im2col of a strip of pixels, widened on the way, then the shared tiles.

use super::{Args, Operands};
use crate::geometry::Walk;
use crate::tile_f16::LANES_LAYOUT;
use crate::tile_f16::lanes::{pixels, strip, widen};
use crate::{F16, Geometry, Rows, after, pieces_mut};
use core::ops::Range;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { geometry, input, filter, epilogue, first_row, output, scratch } = &mut args.0;
    let (width, channels, depth) = (geometry.output().width, filter.channels(), filter.depth());
    let (rows, capacity) = pixels(scratch, depth);
    if filter.layout() != LANES_LAYOUT || capacity == 0 || width == 0 || channels == 0 {
        return super::scalar::run(args);
    }
    let mut walk = Walk::new(geometry, *first_row);
    for output in output.chunks_mut(channels * capacity) {
        for window in pieces_mut(rows, depth).take(output.len() / channels) {
            let (y, run) = walk.run(1);
            gather(geometry, input, [y, run.start], window);
        }
        strip(rows, filter, epilogue, output);
    }
}

/// The window of output pixel (`y`, `x`), zeros in the padding.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn gather(geometry: &Geometry, input: &Rows<'_, F16>, [y, x]: [usize; 2], to: &mut [f32]) {
    let (window, channels) = (geometry.window(), geometry.input().channels);
    let columns = geometry.columns_inside(x);
    for (ky, to) in pieces_mut(to, window.kernel_width * channels).enumerate() {
        let row = geometry.row(y, ky);
        match input.row(row) {
            Some(row) => gather_row(geometry, row, x, columns.clone(), to),
            None => to.fill(0.0),
        }
    }
}

/// The taps of one kernel row, those of `columns` inside the input.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn gather_row(geometry: &Geometry, row: &[F16], x: usize, columns: Range<usize>, to: &mut [f32]) {
    let (window, channels) = (geometry.window(), geometry.input().channels);
    let (inside, behind) = to.split_at_mut(to.len().min(columns.end * channels));
    let (before, inside) = inside.split_at_mut(inside.len().min(columns.start * channels));
    before.fill(0.0);
    behind.fill(0.0);
    // Taps side by side in the input are one run of values.
    let run = if window.dilation_width == 1 { columns.len() } else { 1 };
    for (kx, to) in columns.step_by(run.max(1)).zip(inside.chunks_mut((run * channels).max(1))) {
        let column = geometry.column(x, kx);
        let taps = after(row, column.unsigned_abs() * channels);
        if let Some(taps) = taps.get(..to.len()) {
            widen(taps, to);
        }
    }
}
