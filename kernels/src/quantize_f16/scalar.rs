//! The specification.

use super::Args;
use crate::{Clamp, round_half_even};

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    for (output, value) in op.output.iter_mut().zip(op.input) {
        let steps = round_half_even(value.to_f32() * op.inverse_scale);
        *output = Clamp::NONE.apply(steps + i32::from(op.zero_point));
    }
}
