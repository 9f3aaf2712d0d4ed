//! AArch64 with `SDOT`: windows where they lie, or im2col of a strip of pixels, then the shared tiles.

use super::neon::strips;
use super::{Args, neon_rows};
use crate::isa::aarch64::{Finish, Places, WindowTiles, sdot_windows};
use crate::requantize::neon::with_scale;
use crate::tile_s8::NEON_DOTPROD_LAYOUT;
use crate::tile_s8::neon_dotprod::strip;
use crate::{Epilogue, Filter};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "dotprod")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (filter, epilogue) = (op.filter, op.epilogue);
    let scratch = core::mem::take(&mut op.scratch);
    let done = filter.layout() == NEON_DOTPROD_LAYOUT
        && (filter.channels().is_multiple_of(16)
            && neon_rows::strips(op, scratch, 1, |places, output| {
                with_scale!(epilogue, K => {
                    windows::<K>(places, &filter, &epilogue, output);
                });
            })
            .is_some()
            || strips(op, scratch, usize::MAX, |pixels, output| {
                strip(pixels, &filter, &epilogue, output);
            })
            .is_some());
    if !done {
        super::scalar::run(args);
    }
}

/// All channels of some windows, sixteen at a time.
#[target_feature(enable = "dotprod")]
fn windows<const K: u8>(
    places: &Places<'_>,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    let finish = |channel| Finish::<4>::new::<K>(epilogue, channel);
    let run = |tiles: WindowTiles<'_, '_, 4>| sdot_windows::<K>(tiles);
    neon_rows::panels::<4, 4, 16>(places, filter, output, finish, run);
}
