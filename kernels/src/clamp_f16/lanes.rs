//! Eight values at a time.

use super::Args;
use crate::tile_f16::lanes::{clamped, load_up_to_8, store_up_to_8};

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let mut input = op.input.map(|input| input.chunks(8));
    for output in op.output.chunks_mut(8) {
        let values = match &mut input {
            Some(input) => load_up_to_8(input.next().unwrap_or(&[])),
            None => load_up_to_8(output),
        };
        store_up_to_8(output, clamped(values, op.clamp));
    }
}
