//! The specification.

use super::Args;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    match op.input {
        Some(input) => {
            for (output, &value) in op.output.iter_mut().zip(input) {
                *output = op.clamp.apply(value.to_f32());
            }
        }
        None => {
            for value in op.output.iter_mut() {
                *value = op.clamp.apply(value.to_f32());
            }
        }
    }
}
