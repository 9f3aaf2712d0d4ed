//! Armv7E-M: pairs of pixels through the shared tiles.

use super::Args;
use crate::tile_s8::armv7em_dsp::Tiles;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (depth, channels) = (op.filter.depth().max(1), op.filter.channels().max(1));
    let Some(mut tiles) = Tiles::new(&op.filter, op.epilogue, op.scratch) else {
        return super::scalar::run(args);
    };
    let mut first = 0;
    while let Some(mut panel) = tiles.panel(first) {
        let pairs = op.input.chunks(2 * depth).zip(op.output.chunks_mut(2 * channels));
        for (input, output) in pairs {
            let (pixel, second) = input.split_at(depth.min(input.len()));
            let pixels = if second.is_empty() { 1 } else { 2 };
            panel.widen_pixels(pixel, if pixels > 1 { second } else { pixel });
            panel.run(pixels, output);
        }
        first = panel.end();
    }
}
