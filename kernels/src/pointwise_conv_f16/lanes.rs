//! Pixels lie side by side already, so that widening a strip is a copy.

use super::Args;
use crate::tile_f16::LANES_LAYOUT;
use crate::tile_f16::lanes::{pixels, strip, widen};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (depth, channels) = (op.filter.depth(), op.filter.channels());
    let (rows, capacity) = pixels(op.scratch, depth);
    if op.filter.layout() != LANES_LAYOUT || capacity == 0 || channels == 0 {
        return super::scalar::run(args);
    }
    let strips = op.input.chunks(depth * capacity);
    for (input, output) in strips.zip(op.output.chunks_mut(channels * capacity)) {
        widen(input, rows);
        strip(rows, &op.filter, &op.epilogue, output);
    }
}
