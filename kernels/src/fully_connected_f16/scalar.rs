//! The specification: one sum an output.

use super::Args;

/// Runs on every machine and reads every layout.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    for (channel, output) in op.output.iter_mut().enumerate() {
        *output = op.epilogue.apply(channel, op.filter.dot(0.0, channel, 0, op.input));
    }
}
