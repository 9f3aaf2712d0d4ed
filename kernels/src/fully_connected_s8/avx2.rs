//! AVX2: one pixel through the shared tiles.

use super::Args;
use crate::tile_s8::AVX2_LAYOUT;
use crate::tile_s8::avx2::{pixels, vector, widen};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let depth = op.filter.depth();
    let (row, capacity) = pixels(op.scratch, depth);
    if op.filter.layout() != AVX2_LAYOUT || capacity == 0 {
        return super::scalar::run(args);
    }
    widen(op.input, depth, bytemuck::cast_slice_mut(row));
    vector(row, &op.filter, &op.epilogue, op.output);
}
