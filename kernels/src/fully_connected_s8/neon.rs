//! AArch64: one pixel through the shared tiles.

use super::Args;
use crate::tile_s8::NEON_LAYOUT;
use crate::tile_s8::neon::{strip, strips};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let shape = [op.filter.depth(), op.filter.channels()];
    let (filter, epilogue) = (&op.filter, &op.epilogue);
    let done = filter.layout() == NEON_LAYOUT
        && strips(op.input, shape, op.output, op.scratch, [usize::MAX, 16], |pixels, output| {
            strip(pixels, filter, epilogue, output);
        })
        .is_some();
    if !done {
        super::scalar::run(args);
    }
}
