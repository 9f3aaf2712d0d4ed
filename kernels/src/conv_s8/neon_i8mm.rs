//! AArch64 with `SMMLA`: pairs of windows where they lie, or im2col of a strip of pixels, then the shared
//! tiles.

use super::neon::strips;
use super::{Args, neon_rows};
use crate::isa::aarch64::{Finish, Places, WindowTiles, smmla_windows};
use crate::requantize::neon::with_scale;
use crate::tile_s8::NEON_I8MM_LAYOUT;
use crate::tile_s8::neon_i8mm::{halves, strip};
use crate::{Epilogue, Filter};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (filter, epilogue) = (op.filter, op.epilogue);
    let scratch = core::mem::take(&mut op.scratch);
    let is_ours = filter.layout() == NEON_I8MM_LAYOUT;
    let mut done = is_ours
        && filter.channels().is_multiple_of(8)
        && neon_rows::strips(op, scratch, 2, |places, output| {
            with_scale!(epilogue, K => {
                windows::<K>(places, &filter, &epilogue, output);
            });
        })
        .is_some();
    if is_ours && !done {
        let (rows, pairs, limit) = halves(scratch, filter.depth());
        done = strips(op, rows, limit, |pixels, output| {
            strip(pixels, pairs, &filter, &epilogue, output);
        })
        .is_some();
    }
    if !done {
        super::scalar::run(args);
    }
}

/// All channels of some pairs of windows, eight at a time.
#[target_feature(enable = "neon,i8mm")]
fn windows<const K: u8>(
    places: &Places<'_>,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    let finish = |channel| Finish::<2>::new::<K>(epilogue, channel).pairs();
    let run = |tiles: WindowTiles<'_, '_, 4>| smmla_windows::<K>(tiles);
    neon_rows::panels::<4, 8, 8>(places, filter, output, finish, run);
}
