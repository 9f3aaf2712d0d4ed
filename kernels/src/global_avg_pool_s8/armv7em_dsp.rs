//! Armv7E-M: four channels at a time, summed in halves of words (`SXTAB16`).

use super::Args;
use crate::isa::armv7em::sum_columns;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let channels = op.output.len();
    if !channels.is_multiple_of(4) {
        return super::scalar::run(args);
    }
    let pixels = op.input.len().checked_div(channels).unwrap_or(0);
    for (four, output) in op.output.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let from = op.input.get(4 * four..).unwrap_or(&[]);
        let sums = sum_columns(from, channels, pixels);
        *output = sums.map(|sum| {
            let mean = op.rescale.apply(op.bias.wrapping_add(sum));
            op.clamp.apply(mean.saturating_add(i32::from(op.zero_point)))
        });
    }
}
