//! Helium: one pixel through the shared tiles.

use super::Args;
use crate::tile_s8::mve::{Tiles, clamp};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let Some(mut tiles) = Tiles::new(&op.filter, op.epilogue, op.scratch) else {
        return fall_back!(args);
    };
    let mut first = 0;
    while let Some((panel, _)) = tiles.panel(first) {
        panel.run(op.input, op.filter.depth(), 1, op.output);
        first = panel.end();
    }
    clamp(op.output, op.epilogue.clamp);
}
