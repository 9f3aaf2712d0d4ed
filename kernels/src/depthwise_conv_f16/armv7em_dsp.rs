//! Armv7E-M: four channels at a time, a row of taps in one call.

use super::{ARMV7EM_LAYOUT, Args, Operands};
use crate::isa::armv7em::half::taps_4;
use crate::pieces_mut;
use crate::tile_f16::armv7em_dsp::store;

/// Same bits as scalar, which also takes over when layout or alignment is another's, when channels
/// come in other numbers than fours, or when one has several outputs.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let channels = op.geometry.output().channels;
    let whole = channels == op.geometry.input().channels && channels.is_multiple_of(4);
    let weights = bytemuck::try_cast_slice::<_, [u32; 2]>(op.filter.data());
    let (true, true, Ok(weights)) = (whole, op.filter.layout() == ARMV7EM_LAYOUT, weights) else {
        return super::scalar::run(args);
    };
    let aligned =
        op.input.row(0).is_some_and(|row| bytemuck::try_cast_slice::<_, u32>(row).is_ok());
    if !aligned {
        return super::scalar::run(args);
    }
    let output = core::mem::take(&mut op.output);
    for (y, row) in pieces_mut(output, op.geometry.output().row_len()).enumerate() {
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            window(op, weights, [op.first_row + y, x], pixel);
        }
    }
}

/// All channels of output (`y`, `x`).
fn window(op: &Operands<'_>, weights: &[[u32; 2]], [y, x]: [usize; 2], pixel: &mut [crate::F16]) {
    let (geometry, window) = (&op.geometry, op.geometry.window());
    let channels = geometry.input().channels;
    let columns = geometry.columns_inside(x);
    let column = geometry.column(x, columns.start);
    // Four halves are two words.
    let first = column.unsigned_abs() * channels / 2;
    let stride = window.dilation_width * channels * 2;
    for (panel, weights) in weights.chunks_exact(op.filter.depth().max(1)).enumerate() {
        let mut sums = [0.0; 4];
        for ky in geometry.rows_inside(y) {
            let row = geometry.row(y, ky);
            let row = op.input.row(row).unwrap_or(&[]);
            let words = bytemuck::try_cast_slice(row).unwrap_or(&[]);
            let taps = words.get(first + 2 * panel..).unwrap_or(&[]);
            let start = ky * window.kernel_width;
            let weights = weights.get(start + columns.start..start + columns.end);
            taps_4(&mut sums, taps, stride, weights.unwrap_or(&[]));
        }
        store(&op.epilogue, 4 * panel, sums, pixel);
    }
}
