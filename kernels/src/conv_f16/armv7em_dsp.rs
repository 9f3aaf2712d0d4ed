//! Armv7E-M: windows of four pixels are gathered, then the shared tiles.

use super::{Args, Operands};
use crate::tile_f16::ARMV7EM_TILE;
use crate::tile_f16::armv7em_dsp::Tiles;
use crate::{F16, Geometry, Rows, pieces_mut};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { geometry, input, filter, epilogue, first_row, output, scratch } = &mut args.0;
    let (shape, channels) = (geometry.output(), filter.channels());
    let Some(mut tiles) = Tiles::new(filter, *epilogue, scratch, ARMV7EM_TILE) else {
        return super::scalar::run(args);
    };
    for (y, row) in pieces_mut(output, shape.row_len()).enumerate() {
        let y = *first_row + y;
        let mut x = 0;
        for output in row.chunks_mut((ARMV7EM_TILE * channels).max(1)) {
            if output.len() == ARMV7EM_TILE * channels {
                tiles.four(|index, put| gather(geometry, input, [y, x + index], put), output);
                x += ARMV7EM_TILE;
                continue;
            }
            for output in pieces_mut(output, channels) {
                tiles.one(|put| gather(geometry, input, [y, x], put), output);
                x += 1;
            }
        }
    }
}

/// The taps of output pixel (`y`, `x`) inside the input.
fn gather(
    geometry: &Geometry,
    input: &Rows<'_, F16>,
    [y, x]: [usize; 2],
    put: &mut dyn FnMut(usize, &[F16]),
) {
    let (window, channels) = (geometry.window(), geometry.input().channels);
    for ky in geometry.rows_inside(y) {
        for kx in geometry.columns_inside(x) {
            let tap = geometry.tap(input, y, x, ky, kx).unwrap_or(&[]);
            put((ky * window.kernel_width + kx) * channels, tap);
        }
    }
}
