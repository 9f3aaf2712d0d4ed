//! The specification: one accumulator an output.

use super::Args;

/// Runs on every machine and reads every layout.
#[inline(never)] // Where it is a fallback, no other cell carries its frame.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    for (channel, output) in op.output.iter_mut().enumerate() {
        *output = op.epilogue.apply(channel, op.filter.dot(channel, 0, op.input));
    }
}
