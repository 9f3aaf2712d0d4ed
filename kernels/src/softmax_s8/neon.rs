//! AArch64: the exponential of a value once, however often the value comes; no vectors.

use super::Args;
use super::scalar::{Exps, Quotient, term};
use crate::{pieces, pieces_mut};

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let exps = Exps::new(op);
    for (input, output) in pieces(op.input, op.depth).zip(pieces_mut(op.output, op.depth)) {
        let max = input.iter().fold(i8::MIN, |max, &value| max.max(value));
        // Of each value that came; none is negative.
        let mut known = [-1; 256];
        let mut sum = 0_i32;
        for &value in input {
            let exp = &mut known[usize::from(value.cast_unsigned())];
            if *exp < 0 {
                *exp = exps.of(value, max);
            }
            sum = sum.wrapping_add(term(*exp));
        }
        let quotient = Quotient::new(sum);
        for (output, &value) in output.iter_mut().zip(input) {
            *output = quotient.of(known[usize::from(value.cast_unsigned())]);
        }
    }
}
