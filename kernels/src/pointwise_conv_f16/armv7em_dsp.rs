//! Armv7E-M: four pixels at a time through the shared tiles.

use super::{Args, Operands};
use crate::tile_f16::ARMV7EM_TILE;
use crate::tile_f16::armv7em_dsp::Tiles;
use crate::{F16, pieces, pieces_of_both};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let Operands { input, filter, epilogue, output, scratch } = &mut args.0;
    let (depth, channels) = (filter.depth(), filter.channels());
    let Some(mut tiles) = Tiles::new(filter, *epilogue, scratch, ARMV7EM_TILE) else {
        return super::scalar::run(args);
    };
    let mut inputs = input.chunks((ARMV7EM_TILE * depth).max(1));
    for output in output.chunks_mut((ARMV7EM_TILE * channels).max(1)) {
        let Some(input) = inputs.next() else { return };
        if output.len() == ARMV7EM_TILE * channels {
            let pixel = |index| pieces(input, depth).nth(index).unwrap_or(&[] as &[F16]);
            tiles.four(|index, put| put(0, pixel(index)), output);
            continue;
        }
        for (pixel, output) in pieces_of_both(input, depth, output, channels) {
            tiles.one(|put| put(0, pixel), output);
        }
    }
}
