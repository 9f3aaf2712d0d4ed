//! Helium: a single pixel through the shared tiles.

use super::{Args, Operands};
use crate::isa::mve::half::Pixels;
use crate::tile_f16::mve::Tiles;

/// Same bits as scalar, which also takes over when layout, scratch or numbers are none for the tiles.
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { input, filter, epilogue, output, scratch } = &mut args.0;
    match Tiles::new(filter, *epilogue, scratch, 1) {
        Some(mut tiles) => {
            let pixel = Pixels { values: input, len: input.len(), count: 1, distance: 0 };
            tiles.run(|steps| steps.put(0, 0, pixel), output);
        }
        None => super::scalar::run(args),
    }
}
