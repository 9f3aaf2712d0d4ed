//! Eight values at a time.

use super::Args;
use crate::ClampF16;
use crate::isa::lanes::{load_up_to_8_i8, mul, splat};
use crate::tile_f16::lanes::{clamped, store_up_to_8};

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let scale = splat(op.scale);
    for (output, input) in op.output.chunks_mut(8).zip(op.input.chunks(8)) {
        let value = mul(load_up_to_8_i8(input, op.zero_point), scale);
        store_up_to_8(output, clamped(value, ClampF16::NONE));
    }
}
