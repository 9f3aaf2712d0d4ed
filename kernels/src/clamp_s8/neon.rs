//! AArch64: 16 values at a time.

use super::Args;
use crate::isa::aarch64::{load_16, store_16};
use core::arch::aarch64::*;

/// Same bits as scalar.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (clamp, input) = (op.clamp, op.input);
    let (min, max) = (vdupq_n_s8(clamp.min), vdupq_n_s8(clamp.max));
    let (blocks, tail) = op.output.as_chunks_mut::<16>();
    match input.map(|input| input.as_chunks::<16>()) {
        Some((input, rest)) => {
            for (output, input) in blocks.iter_mut().zip(input) {
                store_16(output, vminq_s8(vmaxq_s8(load_16(input), min), max));
            }
            for (output, &value) in tail.iter_mut().zip(rest) {
                *output = clamp.apply(i32::from(value));
            }
        }
        None => {
            for block in blocks {
                let values = load_16(block);
                store_16(block, vminq_s8(vmaxq_s8(values, min), max));
            }
            for value in tail {
                *value = clamp.apply(i32::from(*value));
            }
        }
    }
}
