//! Helium: sixteen values at a time.

use super::Args;
use crate::isa::mve::elementwise::clamp;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    if let Some(input) = op.input {
        for (output, &value) in op.output.iter_mut().zip(input) {
            *output = value;
        }
    }
    clamp(op.output, op.clamp.min, op.clamp.max);
}
