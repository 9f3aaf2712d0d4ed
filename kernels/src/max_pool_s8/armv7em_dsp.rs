//! Armv7E-M: four channels at a time (`SSUB8`, `SEL`).

use super::Args;
use crate::isa::armv7em::max_4;
use crate::pieces_mut;
use crate::tile_s8::armv7em_dsp::clamp;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let geometry = op.geometry;
    let (row_len, channels) = (geometry.output().row_len(), geometry.output().channels);
    for (y, row) in pieces_mut(op.output, row_len).enumerate() {
        for (x, pixel) in pieces_mut(row, channels).enumerate() {
            pixel.fill(i8::MIN);
            for ky in geometry.rows_inside(op.first_row + y) {
                for kx in geometry.columns_inside(x) {
                    let tap = geometry.tap(&op.input, op.first_row + y, x, ky, kx);
                    keep_larger(pixel, tap.unwrap_or(&[]));
                }
            }
        }
    }
    clamp(op.output, op.clamp);
}

fn keep_larger(output: &mut [i8], values: &[i8]) {
    let (outputs, output_tail) = output.as_chunks_mut::<4>();
    let (values, tail) = values.as_chunks::<4>();
    let word = |four: [i8; 4]| u32::from_ne_bytes(four.map(i8::cast_unsigned));
    for (output, four) in outputs.iter_mut().zip(values) {
        let larger = max_4(word(*output), word(*four));
        *output = larger.to_ne_bytes().map(u8::cast_signed);
    }
    for (output, value) in output_tail.iter_mut().zip(tail) {
        *output = (*output).max(*value);
    }
}
