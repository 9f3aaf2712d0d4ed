//! Eight channels at a time down all pixels.

use super::Args;
use crate::isa::lanes::{add, div, load, splat};
use crate::tile_f16::lanes::{clamped, load_up_to_8, store_up_to_8};
use crate::{after, pieces};

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let (pixels, op) = (splat(args.pixels()), &mut args.0);
    let channels = op.output.len();
    for (block, output) in op.output.chunks_mut(8).enumerate() {
        let mut sum = splat(0.0);
        for pixel in pieces(op.input, channels) {
            let pixel = after(pixel, 8 * block);
            let values = match pixel.first_chunk() {
                Some(pixel) => load(pixel),
                None => load_up_to_8(pixel),
            };
            sum = add(sum, values);
        }
        store_up_to_8(output, clamped(div(sum, pixels), op.clamp));
    }
}
