//! AVX2: strips of pixels through the shared tiles.

use super::Args;
use crate::tile_s8::avx2::{pairs, strip, widen};
use crate::tile_s8::{AVX2_LAYOUT, row_len};
use crate::{pieces, pieces_mut};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (depth, channels) = (op.filter.depth(), op.filter.channels());
    let row_pairs = row_len(depth) / 2;
    let rows = pairs(op.scratch);
    let capacity = rows.len().checked_div(row_pairs).unwrap_or(0);
    if op.filter.layout() != AVX2_LAYOUT || capacity == 0 {
        return super::scalar::run(args);
    }
    let mut source = op.input;
    for output in op.output.chunks_mut(channels * capacity) {
        let pixels = pieces(output, channels).len();
        for row in pieces_mut(rows, row_pairs).take(pixels) {
            widen(source, depth, bytemuck::cast_slice_mut(row));
            source = source.get(depth..).unwrap_or(&[]);
        }
        strip(rows, row_pairs, &op.filter, &op.epilogue, output);
    }
}
