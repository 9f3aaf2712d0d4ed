//! The specification: two passes over a row, one for the sum and one for the quotients.

use super::Args;
use crate::fixed_point::{exp_on_negative_values, reciprocal};
use crate::pieces_of_both;
use crate::{Clamp, rounding_divide_by_pot, saturating_rounding_doubling_high_mul};

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (multiplier, left_shift, diff_min) = (op.multiplier, u32::from(op.left_shift), op.diff_min);
    for (input, output) in pieces_of_both(op.input, op.depth, op.output, op.depth) {
        let max = input.iter().fold(i8::MIN, |max, &value| max.max(value));
        // `exp(beta * scale * (value - max))`, or `None` where it counts as zero.
        let exp = |value: i8| {
            let diff = i32::from(value) - i32::from(max);
            let scaled = diff.wrapping_shl(left_shift);
            let scaled = saturating_rounding_doubling_high_mul(scaled, multiplier);
            (diff >= diff_min).then(|| exp_on_negative_values(scaled))
        };
        let sum = input.iter().filter_map(|&value| exp(value)).fold(0_i32, |sum, exp| {
            // From Q0.31 to Q12.19.
            sum.wrapping_add(rounding_divide_by_pot(exp, 12))
        });
        let (scale, bits) = reciprocal(sum);
        let shift = (bits + 31 - 8).unsigned_abs();
        for (output, &value) in output.iter_mut().zip(input) {
            *output = exp(value).map_or(i8::MIN, |exp| {
                let quotient = saturating_rounding_doubling_high_mul(scale, exp);
                let quotient = rounding_divide_by_pot(quotient, shift);
                Clamp::NONE.apply(quotient.saturating_add(i32::from(i8::MIN)))
            });
        }
    }
}
