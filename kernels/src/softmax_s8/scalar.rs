//! The specification: two passes over a row, one for the sum and one for the quotients.

use super::{Args, Operands};
use crate::fixed_point::{exp_on_negative_values, reciprocal};
use crate::pieces_of_both;
use crate::{Clamp, rounding_divide_by_pot, saturating_rounding_doubling_high_mul};

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let exps = Exps::new(op);
    for (input, output) in pieces_of_both(op.input, op.depth, op.output, op.depth) {
        let max = input.iter().fold(i8::MIN, |max, &value| max.max(value));
        let sum =
            input.iter().fold(0_i32, |sum, &value| sum.wrapping_add(term(exps.of(value, max))));
        let quotient = Quotient::new(sum);
        for (output, &value) in output.iter_mut().zip(input) {
            *output = quotient.of(exps.of(value, max));
        }
    }
}

/// The numbers of an exponential.
pub(super) struct Exps {
    multiplier: i32,
    left_shift: u32,
    diff_min: i32,
}

impl Exps {
    pub(super) fn new(op: &Operands<'_>) -> Self {
        let Operands { multiplier, diff_min, .. } = *op;
        Self { multiplier, left_shift: op.left_shift.into(), diff_min }
    }

    /// `exp(beta * scale * (value - max))`, or nothing where it counts as that. Called twice: a copy would be 300 bytes of a chip's flash.
    #[inline(never)]
    pub(super) fn of(&self, value: i8, max: i8) -> i32 {
        let diff = i32::from(value) - i32::from(max);
        let scaled = diff.wrapping_shl(self.left_shift);
        let scaled = saturating_rounding_doubling_high_mul(scaled, self.multiplier);
        if diff >= self.diff_min { exp_on_negative_values(scaled) } else { 0 }
    }
}

/// From Q0.31 to Q12.19.
#[inline]
pub(super) fn term(exp: i32) -> i32 {
    rounding_divide_by_pot(exp, 12)
}

/// Divides by a sum.
pub(super) struct Quotient {
    scale: i32,
    shift: u32,
}

impl Quotient {
    pub(super) fn new(sum: i32) -> Self {
        let (scale, bits) = reciprocal(sum);
        Self { scale, shift: (bits + 31 - 8).unsigned_abs() }
    }

    #[inline]
    pub(super) fn of(&self, exp: i32) -> i8 {
        let quotient = saturating_rounding_doubling_high_mul(self.scale, exp);
        let quotient = rounding_divide_by_pot(quotient, self.shift);
        Clamp::NONE.apply(quotient.saturating_add(i32::from(i8::MIN)))
    }
}
