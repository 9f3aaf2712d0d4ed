//! Eight values at a time.

use super::Args;
use crate::isa::lanes::add;
use crate::tile_f16::lanes::{clamped, load_up_to_8, store_up_to_8};

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let mut lhs = op.lhs.map(|lhs| lhs.chunks(8));
    for (output, rhs) in op.output.chunks_mut(8).zip(op.rhs.chunks(8)) {
        let lhs = match &mut lhs {
            Some(lhs) => load_up_to_8(lhs.next().unwrap_or(&[])),
            None => load_up_to_8(output),
        };
        let sum = add(lhs, load_up_to_8(rhs));
        store_up_to_8(output, clamped(sum, op.clamp));
    }
}
