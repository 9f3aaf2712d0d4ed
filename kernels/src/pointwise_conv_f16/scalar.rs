//! The specification: one sum an output.

use super::Args;
use crate::pieces_of_both;

/// Runs on every machine and reads every layout.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (depth, channels) = (op.filter.depth(), op.filter.channels());
    for (pixel, output) in pieces_of_both(op.input, depth, op.output, channels) {
        for (channel, output) in output.iter_mut().enumerate() {
            *output = op.epilogue.apply(channel, op.filter.dot(0.0, channel, 0, pixel));
        }
    }
}
