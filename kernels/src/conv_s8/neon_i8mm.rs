//! AArch64 with `SMMLA`: im2col of a strip of pixels, then the shared tiles.

use super::Args;
use super::neon::strips;
use crate::tile_s8::NEON_I8MM_LAYOUT;
use crate::tile_s8::neon_i8mm::{halves, strip};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn run(args: &mut Args<'_>) {
    let (filter, epilogue) = (args.0.filter, args.0.epilogue);
    let scratch = core::mem::take(&mut args.0.scratch);
    let (rows, pairs, limit) = halves(scratch, filter.depth());
    let done = filter.layout() == NEON_I8MM_LAYOUT
        && strips(&mut args.0, rows, limit, |pixels, output| {
            strip(pixels, pairs, &filter, &epilogue, output);
        })
        .is_some();
    if !done {
        super::scalar::run(args);
    }
}
