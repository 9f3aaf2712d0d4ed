//! Armv6-M and Armv7-M: 3x3 windows over padded rows, four channels at a time.
//!
//! Three rows of the input lie in a ring in the scratch, a column of padding on either side; each
//! is copied there once, so that in place nothing is read that was written.

#![cfg_attr(not(armv6m), allow(dead_code, reason = "Armv7-M shares the loops, not the leaves"))]

use super::{Args, Operands};
use crate::isa::armv6m::{Armv6m, Core, Rows};
use crate::requantize::armv6m::finish;
use crate::tile_s8::ARMV6M_LAYOUT;
use crate::{pieces, pieces_mut};

/// Same bits as scalar, which also takes over for other windows, layouts or scratch.
pub(crate) fn run(args: &mut Args<'_>) {
    run_on::<Armv6m>(args);
}

pub(super) fn run_on<C: Core>(args: &mut Args<'_>) {
    if run_rows::<C>(&mut args.0).is_none() {
        super::scalar::run(args);
    }
}

/// `None` where scalar has to take over: nothing that it reads was changed.
fn run_rows<C: Core>(op: &mut Operands<'_>) -> Option<()> {
    let geometry = &op.geometry;
    let (window, input, output) = (geometry.window(), geometry.input(), geometry.output());
    if !super::armv6m_has_rows(geometry) || op.filter.layout() != ARMV6M_LAYOUT {
        return None;
    }
    let channels = input.channels;
    let padded = super::armv6m_row_bytes(geometry);
    let ring = op.scratch.get_mut(..3 * padded)?;
    ring.fill(op.pad_value);
    let weights = op.filter.data().as_chunks::<4>().0.as_chunks::<9>().0;
    let rows = match op.input {
        Some(_) => op.output.len().checked_div(output.row_len())?,
        None => output.height,
    };
    let mut copied = op.first_row * window.stride_height;
    for y in 0..rows {
        // Rows are counted from the top of the padding; row `r` lies in slot `r % 3`.
        let top = (op.first_row + y) * window.stride_height;
        for row in copied.max(top)..top + 3 {
            let slot = pieces_mut(ring, padded).nth(row % 3)?;
            let from = row.checked_sub(window.pad_top).and_then(|row| match &op.input {
                Some(input) => input.row(row.cast_signed()),
                None if row < input.height => pieces(op.output, input.row_len()).nth(row),
                None => None,
            });
            let to = slot.get_mut(window.pad_left * channels..)?;
            match from {
                Some(from) => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
                None => to.fill(op.pad_value),
            }
        }
        copied = top + 3;
        let slot = |row: usize| pieces(ring, padded).nth((top + row) % 3).unwrap_or(&[]);
        let rows = Rows::new([slot(0), slot(1), slot(2)]);
        let row = pieces_mut(op.output, output.row_len()).nth(y)?;
        let step = window.stride_width * channels;
        for (pair, pixels) in row.chunks_mut((2 * channels).max(1)).enumerate() {
            let (one, two) = pixels.split_at_mut_checked(channels)?;
            for (group, weights) in weights.iter().enumerate() {
                let sums = [0, 1].map(|pixel| {
                    let start = (2 * pair + pixel) * step + 4 * group;
                    rows.depthwise::<C>(start, channels, weights)
                });
                let outputs =
                    [&mut *one, &mut *two].map(|to| to.get_mut(4 * group..).unwrap_or(&mut []));
                finish::<C>(&op.epilogue, 4 * group, sums, outputs);
            }
        }
    }
    Some(())
}
