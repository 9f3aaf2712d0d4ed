//! AVX2: one pixel through the shared tiles.

use super::Args;
use crate::tile_s8::avx2::{pairs, vector, widen};
use crate::tile_s8::{AVX2_LAYOUT, row_len};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let depth = op.filter.depth();
    let row = pairs(op.scratch).get_mut(..row_len(depth) / 2);
    let (AVX2_LAYOUT, Some(row)) = (op.filter.layout(), row) else {
        return super::scalar::run(args);
    };
    widen(op.input, depth, bytemuck::cast_slice_mut(row));
    vector(row, &op.filter, &op.epilogue, op.output);
}
