//! The specification.

use super::Args;
use crate::F16;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let clamp = op.clamp;
    let add = |a: F16, b: F16| clamp.apply(a.to_f32() + b.to_f32());
    match op.lhs {
        Some(lhs) => {
            for ((output, &a), &b) in op.output.iter_mut().zip(lhs).zip(op.rhs) {
                *output = add(a, b);
            }
        }
        None => {
            for (output, &b) in op.output.iter_mut().zip(op.rhs) {
                *output = add(*output, b);
            }
        }
    }
}
