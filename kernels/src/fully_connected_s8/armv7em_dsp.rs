//! Armv7E-M: one pixel through the shared tiles.

use super::Args;
use crate::tile_s8::armv7em_dsp::{Tiles, clamp};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let Some(mut tiles) = Tiles::new(&op.filter, op.epilogue, op.scratch) else {
        return fall_back!(args);
    };
    let mut first = 0;
    while let Some(mut panel) = tiles.panel(first) {
        panel.widen_pixels(op.input, op.input);
        panel.run(None, op.output);
        first = panel.end();
    }
    clamp(op.output, op.epilogue.clamp);
}
