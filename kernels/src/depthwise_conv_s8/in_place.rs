//! Depthwise convolution over its own input: the rows under the window are saved in a ring before
//! the output overwrites them.

use super::{Args, Operands};
use crate::{Geometry, Isa, Rows};

/// Slots of the ring that an in-place depthwise convolution saves its input rows in.
const fn ring_slots(geometry: &Geometry) -> usize {
    let (span, height) = (geometry.window().span_height(), geometry.input().height);
    if span < height { span } else { height }
}

/// Scratch that an in-place depthwise convolution needs before that of its kernel.
#[must_use]
pub const fn ring_bytes(geometry: &Geometry) -> usize {
    ring_slots(geometry) * geometry.input().row_len()
}

/// Input rows that are read up to output row `y`, this one included.
const fn rows_seen(geometry: &Geometry, y: usize) -> usize {
    let end = geometry.first_row(y) + geometry.window().span_height().cast_signed();
    let height = geometry.input().height;
    if end <= 0 {
        0
    } else if end.cast_unsigned() < height {
        end.cast_unsigned()
    } else {
        height
    }
}

/// Whether a depthwise convolution may write its output over its input: no output row may reach
/// an input row that was not saved yet.
#[must_use]
pub fn can_run_in_place(geometry: &Geometry) -> bool {
    let (input, output) = (geometry.input(), geometry.output());
    let (in_row, out_row) = (input.row_len(), output.row_len());
    // The output must not be longer than the input.
    output.height.saturating_mul(out_row) <= input.height.saturating_mul(in_row)
        && (0..output.height).all(|y| {
            let seen = rows_seen(geometry, y);
            seen == input.height || (y + 1).saturating_mul(out_row) <= seen.saturating_mul(in_row)
        })
}

/// Whether memory is worth more than time on `isa`: the cells of AArch64 compute rows in pairs,
/// which the ring has no room for.
#[must_use]
pub const fn prefers_in_place(isa: Isa) -> bool {
    !isa.includes(Isa::Neon)
}

/// Scratch that the cell of `isa` wants in place: enough for the ring on every machine.
#[must_use]
pub const fn in_place_scratch_bytes(isa: Isa, geometry: &Geometry) -> usize {
    let (ring, own) = (ring_bytes(geometry), super::scratch_bytes(isa, geometry));
    match isa {
        // Reads every channel into its planes or columns before it writes it.
        Isa::Armv7emDsp | Isa::Mve if super::armv7em_has_planes(geometry) => larger(ring, own),
        Isa::Armv6m | Isa::Armv7m if super::no_dsp_has_rows(geometry) => larger(ring, own),
        _ => ring.saturating_add(own),
    }
}

const fn larger(a: usize, b: usize) -> usize {
    if a < b { b } else { a }
}

/// Has `cell` compute the output row by row.
pub(crate) fn by_rows(args: &mut Args<'_>, cell: impl Fn(&mut Args<'_>)) {
    let Operands { geometry, filter, epilogue, pad_value, .. } = args.0;
    let (input, output) = (geometry.input(), geometry.output());
    let slots = ring_slots(&geometry);
    let ring = args.0.scratch.split_at_mut_checked(ring_bytes(&geometry));
    let Some((ring, scratch)) = ring else { return };
    let mut saved = 0;
    for y in 0..output.height {
        while saved < rows_seen(&geometry, y) {
            let row = crate::pieces(args.0.output, input.row_len()).nth(saved);
            let slot = saved.checked_rem(slots).unwrap_or(0);
            let place = crate::pieces_mut(ring, input.row_len()).nth(slot);
            for (place, &value) in place.into_iter().flatten().zip(row.into_iter().flatten()) {
                *place = value;
            }
            saved += 1;
        }
        let rows = Rows::ring(ring, input, slots).ok();
        let row = crate::pieces_mut(args.0.output, output.row_len()).nth(y);
        let (Some(rows), Some(row)) = (rows, row) else { return };
        cell(&mut Args(Operands {
            geometry,
            input: Some(rows),
            filter,
            epilogue,
            pad_value,
            first_row: y,
            output: row,
            scratch: &mut *scratch,
        }));
    }
}
