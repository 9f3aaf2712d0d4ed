//! Helium: six pixels at a time through the shared tiles.

use super::{Args, Operands};
use crate::isa::mve::half::Pixels;
use crate::tile_f16::MVE_TILE;
use crate::tile_f16::mve::Tiles;

/// Same bits as scalar, which also takes over when layout, scratch or numbers are none for the tiles.
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { input, filter, epilogue, output, scratch } = &mut args.0;
    let (depth, channels) = (filter.depth(), filter.channels());
    let Some(mut tiles) = Tiles::new(filter, *epilogue, scratch, MVE_TILE) else {
        return super::scalar::run(args);
    };
    let mut inputs = input.chunks((MVE_TILE * depth).max(1));
    for output in output.chunks_mut((MVE_TILE * channels).max(1)) {
        let values = inputs.next().unwrap_or(&[]);
        let pixels = |count| Pixels { values, len: depth, count, distance: depth };
        tiles.run(|steps| steps.put(0, 0, pixels(steps.count)), output);
    }
}
