//! AVX2: one pixel times four panels.

use super::Args;
use crate::tile_f16::AVX2_LAYOUT;
use crate::tile_f16::avx2_f16c::{pixels, vector, widen};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (row, capacity) = pixels(op.scratch, op.filter.depth());
    if op.filter.layout() != AVX2_LAYOUT || capacity == 0 {
        return super::scalar::run(args);
    }
    widen(op.input, row);
    vector(row, &op.filter, &op.epilogue, op.output);
}
