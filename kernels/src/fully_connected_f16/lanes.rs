//! One pixel times four panels.

use super::Args;
use crate::tile_f16::LANES_LAYOUT;
use crate::tile_f16::lanes::{pixels, vector, widen};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (row, capacity) = pixels(op.scratch, op.filter.depth());
    if op.filter.layout() != LANES_LAYOUT || capacity == 0 {
        return super::scalar::run(args);
    }
    widen(op.input, row);
    vector(row, &op.filter, &op.epilogue, op.output);
}
