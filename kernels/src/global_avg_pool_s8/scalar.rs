//! The specification.

use super::Args;
use crate::pieces;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let channels = op.output.len();
    for (channel, output) in op.output.iter_mut().enumerate() {
        let values = pieces(op.input, channels).filter_map(|pixel| pixel.get(channel));
        let sum = values.fold(op.bias, |sum, &value| sum.wrapping_add(i32::from(value)));
        let mean = op.rescale.apply(sum).saturating_add(i32::from(op.zero_point));
        *output = op.clamp.apply(mean);
    }
}
