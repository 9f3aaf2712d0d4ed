//! Armv7E-M: a single pixel through the shared tiles.

use super::{Args, Operands};
use crate::tile_f16::armv7em_dsp::Tiles;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { input, filter, epilogue, output, scratch } = &mut args.0;
    match Tiles::new(filter, *epilogue, scratch, 1) {
        Some(mut tiles) => tiles.one(|put| put(0, input), output),
        None => super::scalar::run(args),
    }
}
