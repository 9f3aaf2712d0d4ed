//! The specification.

use super::Args;
use crate::{pieces, pieces_mut};

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (from, to) = (op.input_shape.row_len(), op.output_shape.row_len());
    let left = op.left.saturating_mul(op.input_shape.channels);
    op.output.fill(op.value);
    let rows = pieces_mut(op.output, to).skip(op.top);
    for (row, input) in rows.zip(pieces(op.input, from)) {
        for (output, &value) in row.iter_mut().skip(left).zip(input) {
            *output = value;
        }
    }
}
