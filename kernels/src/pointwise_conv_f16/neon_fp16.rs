//! Pixels are packed a strip at a time.

use super::Args;
use crate::tile_f16::HALF_TILE;
use crate::tile_f16::neon_fp16::{Job, pack_strip, tiles};

/// Bits of its own within the contract's bound; f32 takes over when layout or scratch is another's.
#[target_feature(enable = "fp16")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (depth, channels) = (op.filter.depth(), op.filter.channels());
    let (packed, capacity) = tiles(op.scratch, depth);
    let (Some(job), 1..) = (Job::new(op.filter, op.epilogue), capacity) else {
        return super::lanes::run(args);
    };
    let pixels = capacity * HALF_TILE;
    for (input, output) in
        op.input.chunks(depth * pixels).zip(op.output.chunks_mut(channels * pixels))
    {
        let done = pack_strip(input, depth, depth, input.len() / depth, packed)
            .and_then(|()| job.strip(packed, output));
        debug_assert!(done.is_some());
    }
}
