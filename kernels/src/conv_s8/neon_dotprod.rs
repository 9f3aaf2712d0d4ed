//! AArch64 with `SDOT`: im2col of a strip of pixels, then the shared tiles.

use super::Args;
use super::neon::strips;
use crate::tile_s8::NEON_DOTPROD_LAYOUT;
use crate::tile_s8::neon_dotprod::strip;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "dotprod")]
pub(crate) fn run(args: &mut Args<'_>) {
    let (filter, epilogue) = (args.0.filter, args.0.epilogue);
    let scratch = core::mem::take(&mut args.0.scratch);
    let done = filter.layout() == NEON_DOTPROD_LAYOUT
        && strips(&mut args.0, scratch, usize::MAX, |pixels, output| {
            strip(pixels, &filter, &epilogue, output);
        })
        .is_some();
    if !done {
        super::scalar::run(args);
    }
}
