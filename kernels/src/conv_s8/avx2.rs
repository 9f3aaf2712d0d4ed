//! AVX2: im2col of a strip of pixels, widened on the way, then the shared tiles.

use super::{Args, Operands};
use crate::after_mut;
use crate::geometry::Walk;
use crate::im2col_s8::Im2col;
use crate::isa::x86_64::widen_16;
use crate::tile_s8::AVX2_LAYOUT;
use crate::tile_s8::avx2::{pixels, strip};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { geometry, input, filter, epilogue, pad_value, first_row, output, scratch } =
        &mut args.0;
    let (width, channels) = (geometry.output().width, filter.channels());
    let (rows, capacity) = pixels(scratch, filter.depth());
    if filter.layout() != AVX2_LAYOUT || capacity == 0 || width == 0 || channels == 0 {
        return super::scalar::run(args);
    }
    let row_len = 2 * filter.depth().div_ceil(2);
    let im2col = Im2col { geometry, input, pad_value: *pad_value };
    let mut walk = Walk::new(geometry, *first_row);
    for output in output.chunks_mut(channels * capacity) {
        let mut to: &mut [i16] = bytemuck::cast_slice_mut(rows);
        let count = output.len() / channels;
        let mut left = count;
        while left > 0 {
            let (y, run) = walk.run(left);
            left -= run.len();
            let len = run.len() * row_len;
            im2col.row(y, run, row_len, to, |from, to| widen_16(from, to));
            to = after_mut(to, len);
        }
        strip(rows, count, filter, epilogue, output);
    }
}
