//! The sums of windows by the shared pool, divided.

use super::Args;
use crate::isa::lanes::{add, div, splat};
use crate::pool_f16::rows;
use crate::tile_f16::lanes::clamped;

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (output, clamp) = (core::mem::take(&mut op.output), op.clamp);
    // At most 255 * 255 taps, which f32 counts exactly.
    let mean = |sum, taps| clamped(div(sum, splat(taps as f32)), clamp);
    rows(&op.geometry, &op.input, op.first_row, output, splat(0.0), |sum, x| add(sum, x), mean);
}
