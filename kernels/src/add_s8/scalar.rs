//! The specification.

use super::{Args, Sum};
use crate::multiply_by_quantized_multiplier;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (sum, zero_point, clamp) = (op.sum, i32::from(op.zero_point), op.clamp);
    let add = |a: i8, b: i8| clamp.apply(sum.apply(a, b).saturating_add(zero_point));
    match op.lhs {
        Some(lhs) => {
            for ((output, &a), &b) in op.output.iter_mut().zip(lhs).zip(op.rhs) {
                *output = add(a, b);
            }
        }
        None => {
            for (output, &b) in op.output.iter_mut().zip(op.rhs) {
                *output = add(*output, b);
            }
        }
    }
}

impl Sum {
    /// The sum of two inputs at the output's scale, before its zero point.
    #[inline]
    fn apply(self, a: i8, b: i8) -> i32 {
        match self {
            Self::FixedPoint {
                offset,
                multiplier,
                shift,
                left_shift,
                output_multiplier,
                output_shift,
            } => {
                let [a, b] = [
                    (a, offset[0], multiplier[0], shift[0]),
                    (b, offset[1], multiplier[1], shift[1]),
                ]
                .map(|(value, offset, multiplier, shift)| {
                    let shifted =
                        offset.wrapping_add(i32::from(value)).wrapping_shl(u32::from(left_shift));
                    multiply_by_quantized_multiplier(shifted, multiplier, shift)
                });
                multiply_by_quantized_multiplier(a.wrapping_add(b), output_multiplier, output_shift)
            }
            Self::Linear { multiplier, bias, shift } => bias
                .wrapping_add(i32::from(a).wrapping_mul(multiplier[0]))
                .wrapping_add(i32::from(b).wrapping_mul(multiplier[1]))
                .wrapping_shr(u32::from(shift)),
        }
    }
}
