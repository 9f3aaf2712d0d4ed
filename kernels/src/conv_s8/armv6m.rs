//! Armv6-M and Armv7-M: im2col of a pair of pixels, then the shared tiles.

#![cfg_attr(not(armv6m), allow(dead_code, reason = "Armv7-M shares the loops, not the leaves"))]

use super::Args;
use crate::isa::armv6m::{Armv6m, Core};
use crate::tile_s8::armv6m::Tiles;
use crate::{Geometry, Rows, pieces_mut};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    run_on::<Armv6m>(args);
}

pub(super) fn run_on<C: Core>(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (geometry, depth) = (&op.geometry, op.filter.depth());
    let tiles = Tiles::new(&op.filter, op.epilogue);
    let (Some(tiles), Some(windows)) = (tiles, op.scratch.get_mut(..2 * depth)) else {
        return super::scalar::run(args);
    };
    let channels = geometry.output().channels;
    for (y, row) in pieces_mut(op.output, geometry.output().row_len()).enumerate() {
        for (pair, outputs) in row.chunks_mut((2 * channels).max(1)).enumerate() {
            let count = if outputs.len() > channels { 2 } else { 1 };
            for (x, window) in (2 * pair..).zip(pieces_mut(windows, depth).take(count)) {
                gather(geometry, &op.input, [op.first_row + y, x], op.pad_value, window);
            }
            tiles.run::<C>(windows.get(..count * depth).unwrap_or(&[]), outputs);
        }
    }
}

/// The window of output `[y, x]` as bytes.
fn gather(geometry: &Geometry, input: &Rows<'_>, [y, x]: [usize; 2], pad: i8, to: &mut [i8]) {
    let (window, channels) = (geometry.window(), geometry.input().channels);
    let inside = geometry.columns_inside(x);
    let together = window.dilation_width == 1;
    for (ky, to) in pieces_mut(to, window.kernel_width * channels).enumerate() {
        let row = input.row(geometry.row(y, ky));
        if row.is_none() || inside.len() < window.kernel_width {
            to.fill(pad);
        }
        let Some(row) = row else { continue };
        // Columns that lie side by side are one piece.
        let (pieces, len) = if together { (1, inside.len()) } else { (inside.len(), 1) };
        for piece in 0..pieces {
            let kx = inside.start + piece;
            let column = geometry.column(x, kx).max(0).unsigned_abs();
            let from = row.get(column * channels..).unwrap_or(&[]);
            let to = to.get_mut(kx * channels..).unwrap_or(&mut []);
            for (to, from) in to.iter_mut().zip(from).take(len * channels) {
                *to = *from;
            }
        }
    }
}
