//! The largest values of windows by the shared pool.

use super::Args;
use crate::isa::lanes::{max, splat};
use crate::pool_f16::rows;
use crate::tile_f16::lanes::clamped;

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (output, clamp) = (core::mem::take(&mut op.output), op.clamp);
    let start = splat(f32::NEG_INFINITY);
    let finish = |largest, _| clamped(largest, clamp);
    rows(&op.geometry, &op.input, op.first_row, output, start, |held, x| max(x, held), finish);
}
