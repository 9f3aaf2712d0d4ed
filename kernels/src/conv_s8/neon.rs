//! AArch64: im2col of a strip of pixels, then the shared tiles.

use super::{Args, Operands};
use crate::after_mut;
use crate::im2col_s8::Im2col;
use crate::isa::aarch64::{load_16, store_16};
use crate::tile_s8::NEON_LAYOUT;
use crate::tile_s8::neon::{Pixels, capacity, strip, whole_tiles};
use crate::tile_s8::neon_row_bytes;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let (filter, epilogue) = (args.0.filter, args.0.epilogue);
    let scratch = core::mem::take(&mut args.0.scratch);
    let done = filter.layout() == NEON_LAYOUT
        && strips(&mut args.0, scratch, usize::MAX, |pixels, output| {
            strip(pixels, &filter, &epilogue, output);
        })
        .is_some();
    if !done {
        super::scalar::run(args);
    }
}

/// The windows of some output pixels at a time, at most `limit`, as rows in the scratch for `strip`,
/// which also gets their outputs. `None`, and nothing done, without room in the scratch.
#[target_feature(enable = "neon")]
pub(super) fn strips(
    op: &mut Operands<'_>,
    scratch: &mut [i8],
    limit: usize,
    mut strip: impl FnMut(Pixels<'_>, &mut [i8]),
) -> Option<()> {
    let (width, channels) = (op.geometry.output().width, op.filter.channels());
    let stride = neon_row_bytes(op.filter.depth());
    let pixels = whole_tiles(capacity(scratch, op.filter.depth()).min(limit));
    if pixels == 0 || width == 0 || channels == 0 {
        return None;
    }
    let im2col = Im2col { geometry: &op.geometry, input: &op.input, pad_value: op.pad_value };
    // Output pixels of this call, counted through its rows.
    let (mut y, mut x) = (op.first_row, 0);
    for output in op.output.chunks_mut(channels * pixels) {
        let count = output.len() / channels;
        let mut done = 0;
        while done < count {
            let run = x..width.min(x + count - done);
            let to = after_mut(scratch, done * stride);
            done += run.len();
            x = run.end;
            im2col.row(y, run, stride, to, |from, to| store_16(to, load_16(from)));
            if x == width {
                (y, x) = (y + 1, 0);
            }
        }
        strip(Pixels { data: scratch, stride, count }, output);
    }
    Some(())
}
