//! AArch64 with `SMMLA`: one pixel through the shared tiles.

use super::Args;
use crate::tile_s8::NEON_I8MM_LAYOUT;
use crate::tile_s8::neon::strips;
use crate::tile_s8::neon_i8mm::{halves, strip};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let shape = [op.filter.depth(), op.filter.channels()];
    let (filter, epilogue) = (&op.filter, &op.epilogue);
    let (rows, pairs, limit) = halves(op.scratch, filter.depth());
    let done = filter.layout() == NEON_I8MM_LAYOUT
        && strips(op.input, shape, op.output, rows, [limit, 8], |pixels, output| {
            strip(pixels, pairs, filter, epilogue, output);
        })
        .is_some();
    if !done {
        super::scalar::run(args);
    }
}
