//! The specification.

use super::Args;
use crate::pieces;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let (pixels, op) = (args.pixels(), &mut args.0);
    let channels = op.output.len();
    for (channel, output) in op.output.iter_mut().enumerate() {
        let values = pieces(op.input, channels).filter_map(|pixel| pixel.get(channel));
        let sum = values.fold(0.0, |sum, value| sum + value.to_f32());
        *output = op.clamp.apply(sum / pixels);
    }
}
