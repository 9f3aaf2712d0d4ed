//! Helium: sixteen channels at a time, whose sums fill four vectors.

use super::Args;
use crate::isa::mve::elementwise::add_columns;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let channels = op.output.len();
    if !channels.is_multiple_of(16) {
        return super::armv7em_dsp::run(args);
    }
    let pixels = op.input.len().checked_div(channels).unwrap_or(0);
    for (block, output) in op.output.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let mut sums = [0; 16];
        add_columns(op.input.get(16 * block..).unwrap_or(&[]), channels, pixels, &mut sums);
        *output = sums.map(|sum| {
            let mean = op.rescale.apply(op.bias.wrapping_add(sum));
            op.clamp.apply(mean.saturating_add(i32::from(op.zero_point)))
        });
    }
}
