//! AVX2: eight values at a time.

use super::Args;
use crate::isa::x86_64::{load_up_to_8_f16, store_up_to_8_f16};
use crate::tile_f16::avx2_f16c::clamped;

/// Same bits as scalar.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let mut input = op.input.map(|input| input.chunks(8));
    for output in op.output.chunks_mut(8) {
        let values = match &mut input {
            Some(input) => load_up_to_8_f16(input.next().unwrap_or(&[])),
            None => load_up_to_8_f16(output),
        };
        store_up_to_8_f16(output, clamped(values, op.clamp));
    }
}
