//! Eight values at a time.

use super::Args;
use crate::isa::lanes::{max, min, mul, splat, store_up_to_8_i8};
use crate::tile_f16::lanes::load_up_to_8;

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    /// Far beyond int8; keeps the conversion in range, NaN too.
    const LIMIT: f32 = 2_097_152.0;
    let op = &mut args.0;
    let (scale, limit) = (splat(op.inverse_scale), splat(LIMIT));
    for (output, input) in op.output.chunks_mut(8).zip(op.input.chunks(8)) {
        let value = min(mul(load_up_to_8(input), scale), limit);
        let value = max(value, splat(-LIMIT));
        store_up_to_8_i8(output, value, op.zero_point);
    }
}
