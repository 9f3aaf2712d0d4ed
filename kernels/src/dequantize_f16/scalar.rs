//! The specification.

use super::Args;
use crate::ClampF16;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    for (output, &value) in op.output.iter_mut().zip(op.input) {
        let steps = i16::from(value) - i16::from(op.zero_point);
        *output = ClampF16::NONE.apply(f32::from(steps) * op.scale);
    }
}
