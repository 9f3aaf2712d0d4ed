//! AVX2: one pixel through the shared tiles.

use super::Args;
use crate::im2col_s8::copy_onwards;
use crate::isa::x86_64::widen_16;
use crate::tile_s8::AVX2_LAYOUT;
use crate::tile_s8::avx2::{pixels, vector};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let depth = op.filter.depth();
    let (row, capacity) = pixels(op.scratch, depth);
    if op.filter.layout() != AVX2_LAYOUT || capacity == 0 {
        return super::scalar::run(args);
    }
    copy_onwards(op.input, depth, bytemuck::cast_slice_mut::<_, i16>(row), |from, to| {
        widen_16(from, to)
    });
    vector(row, &op.filter, &op.epilogue, op.output);
}
