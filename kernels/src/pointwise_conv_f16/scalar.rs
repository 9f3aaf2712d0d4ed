//! The specification: one sum an output.

use super::Args;
use crate::{pieces, pieces_mut};

/// Runs on every machine and reads every layout.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (depth, channels) = (op.filter.depth(), op.filter.channels());
    for (pixel, output) in pieces(op.input, depth).zip(pieces_mut(op.output, channels)) {
        for (channel, output) in output.iter_mut().enumerate() {
            *output = op.epilogue.apply(channel, op.filter.dot(0.0, channel, 0, pixel));
        }
    }
}
