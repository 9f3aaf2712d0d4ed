//! Eight exponentials at a time, summed one by one in scalar's order.

use super::{Args, LN_2, MAGIC, SERIES, SMALLEST};
use crate::isa::lanes::{
    Lanes, add, add_exponent, div, mul, splat, store_f32, sub, where_at_least,
};
use crate::tile_f16::lanes::{clamped, load_up_to_8, store_up_to_8};
use crate::{ClampF16, F16, pieces, pieces_mut};

/// Same bits as scalar.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let probability = ClampF16 { min: 0.0, max: 1.0 };
    for (input, output) in pieces(op.input, op.depth).zip(pieces_mut(op.output, op.depth)) {
        let mut largest = f32::NEG_INFINITY;
        for value in input {
            let value = value.to_f32();
            largest = if value > largest { value } else { largest };
        }
        let mut sum = 0.0;
        for block in input.chunks(8) {
            let mut exps = [0.0; 8];
            store_f32(&mut exps, exp(block, largest, op.beta));
            for (exp, _) in exps.iter().zip(block) {
                sum += exp;
            }
        }
        let sum = splat(sum);
        for (block, output) in input.chunks(8).zip(output.chunks_mut(8)) {
            let quotient = div(exp(block, largest, op.beta), sum);
            store_up_to_8(output, clamped(quotient, probability));
        }
    }
}

/// [`super::scalar::exp`] of up to eight differences to `largest` times `beta`: the same operations
/// in the same order, none of them fused.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
fn exp(block: &[F16], largest: f32, beta: f32) -> Lanes {
    let difference = sub(load_up_to_8(block), splat(largest));
    let x = mul(difference, splat(beta));
    let magic = splat(MAGIC);
    let log2 = mul(x, splat(core::f32::consts::LOG2_E));
    let shifted = add(log2, magic);
    let power = sub(shifted, magic);
    let mut rest = x;
    for part in LN_2 {
        rest = sub(rest, mul(power, splat(part)));
    }
    let mut series = splat(0.0);
    for factor in SERIES {
        series = add(mul(series, rest), splat(factor));
    }
    where_at_least(x, splat(SMALLEST), add_exponent(series, shifted))
}
