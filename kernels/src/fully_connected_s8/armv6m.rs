//! Armv6-M and Armv7-M: a single pixel through the shared tiles.

#![cfg_attr(not(armv6m), allow(dead_code, reason = "Armv7-M shares the loops, not the leaves"))]

use super::Args;
use crate::isa::armv6m::Armv6m;
use crate::isa::no_dsp::Core;
use crate::tile_s8::no_dsp::Tiles;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    run_on::<Armv6m>(args);
}

pub(super) fn run_on<C: Core>(args: &mut Args<'_>) {
    let op = &mut args.0;
    match Tiles::new(&op.filter, op.epilogue, op.scratch) {
        Some((mut tiles, _)) => tiles.run_pixels::<C>(op.input, op.output),
        None => super::scalar::run(args),
    }
}
