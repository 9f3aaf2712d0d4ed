//! AVX2: eight values at a time.

use super::Args;
use crate::isa::x86_64::{load_up_to_8_f16, store_up_to_8_f16};
use crate::tile_f16::avx2_f16c::clamped;
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let mut lhs = op.lhs.map(|lhs| lhs.chunks(8));
    for (output, rhs) in op.output.chunks_mut(8).zip(op.rhs.chunks(8)) {
        let lhs = match &mut lhs {
            Some(lhs) => load_up_to_8_f16(lhs.next().unwrap_or(&[])),
            None => load_up_to_8_f16(output),
        };
        let sum = _mm256_add_ps(lhs, load_up_to_8_f16(rhs));
        store_up_to_8_f16(output, clamped(sum, op.clamp));
    }
}
