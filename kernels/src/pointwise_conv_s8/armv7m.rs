//! Armv7-M: pairs of pixels through the shared tiles.

use super::Args;
use crate::tile_s8::armv7m::Tiles;

/// Same bits as scalar, which also takes over when the layout is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    match Tiles::new(&op.filter, op.epilogue) {
        Some(tiles) => tiles.run(op.input, op.output),
        None => super::scalar::run(args),
    }
}
