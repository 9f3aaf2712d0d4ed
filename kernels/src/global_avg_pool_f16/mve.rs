//! Helium: four channels at a time down all pixels.

use super::Args;
use crate::isa::mve::half::add_pixels;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let (pixels, op) = (args.pixels(), &mut args.0);
    let channels = op.output.len();
    let count = op.input.len().checked_div(channels).unwrap_or(0);
    for (block, output) in op.output.chunks_mut(4).enumerate() {
        let mut sums = [0.0; 4];
        let sums = sums.get_mut(..output.len()).unwrap_or(&mut []);
        add_pixels(op.input.get(4 * block..).unwrap_or(&[]), channels, count, sums);
        for (output, &mut sum) in output.iter_mut().zip(sums) {
            *output = op.clamp.apply(sum / pixels);
        }
    }
}
