//! AVX2: strips of pixels through the shared tiles.

use super::Args;
use crate::im2col_s8::copy_onwards;
use crate::isa::x86_64::widen_16;
use crate::tile_s8::AVX2_LAYOUT;
use crate::tile_s8::avx2::{pixels, strip};
use crate::{after, after_mut};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (depth, channels) = (op.filter.depth(), op.filter.channels());
    let (rows, capacity) = pixels(op.scratch, depth);
    if op.filter.layout() != AVX2_LAYOUT || capacity == 0 {
        return super::scalar::run(args);
    }
    let row_len = 2 * depth.div_ceil(2);
    let mut source = op.input;
    for output in op.output.chunks_mut((channels * capacity).max(1)) {
        let to: &mut [i16] = bytemuck::cast_slice_mut(rows);
        let count = output.len() / channels.max(1);
        if row_len == depth {
            // No gaps between pixels.
            copy_onwards(source, count * depth, to, |from, to| widen_16(from, to));
            source = after(source, count * depth);
        } else {
            for pixel in 0..count {
                copy_onwards(source, depth, after_mut(to, pixel * row_len), |from, to| {
                    widen_16(from, to)
                });
                source = after(source, depth);
            }
        }
        strip(rows, count, &op.filter, &op.epilogue, output);
    }
}
