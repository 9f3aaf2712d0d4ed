//! Helium: four values at a time, 4.5 instructions each in `tflite` and 2.3 in `fp32`.

use super::{Args, Sum};
use crate::isa::mve::elementwise::{FixedSum, LinearSum, Operands, add_fixed, add_linear};
use crate::tile_s8::mve::clamp;

/// Same bits as scalar. Numbers that no real layer has go to the cell of Armv7E-M.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (lhs, rhs) = (op.lhs, Some(op.rhs));
    match op.sum {
        Sum::FixedPoint { .. } if cfg!(feature = "tflite") => {
            // Both inputs can be the one that is halved.
            let sums = [false, true].map(|swapped| fixed(op.sum, swapped, op.zero_point));
            let (inputs, sum) = match sums {
                [Some(sum), _] => ([lhs, rhs], sum),
                [_, Some(sum)] => ([rhs, lhs], sum),
                _ => return super::armv7em_dsp::run(args),
            };
            add_fixed(Operands { inputs, output: op.output }, sum);
        }
        Sum::Linear { multiplier: [a, b], bias, shift } if cfg!(feature = "fp32") => {
            let bias = i64::from(bias) + (i64::from(op.zero_point) << (shift & 31));
            let largest = 128 * (i64::from(a).abs() + i64::from(b).abs()) + bias.abs();
            let (Ok(bias), Ok(_)) = (i32::try_from(bias), i32::try_from(largest)) else {
                return super::armv7em_dsp::run(args);
            };
            let sum = LinearSum { multipliers: [a, b], bias, left: 24 - i32::from(shift & 31) };
            add_linear(Operands { inputs: [lhs, rhs], output: op.output }, sum);
        }
        // Built without this contract; the engine refuses its blobs.
        _ => {}
    }
    clamp(op.output, op.clamp);
}

/// The sum when the first input, or the second when `swapped`, is only halved: TFLite scales the one
/// of the larger scale so. `None` where the assembly would not be exact.
fn fixed(sum: Sum, swapped: bool, zero_point: i8) -> Option<FixedSum> {
    const LEFT: u8 = 20;
    const HALF: (i32, i8) = (1 << 30, 0);
    let Sum::FixedPoint { offset, multiplier, shift, left_shift, .. } = sum else { return None };
    let Sum::FixedPoint { output_multiplier, output_shift, .. } = sum else { return None };
    let ([a, b], [c, d], [e, f]) = (multiplier, shift, offset);
    let (halved, (multiplier, shift), offsets) =
        if swapped { ((b, d), (a, c), [f, e]) } else { ((a, c), (b, d), [e, f]) };
    let (right, output_right) = (-i32::from(shift), -i32::from(output_shift));
    let scaled = if (multiplier, shift) == HALF {
        // Twice as much, so that a rounding is left to be done.
        [i32::from(LEFT) + 1, multiplier, 1, -1]
    } else if (1..=23).contains(&right) && multiplier >= 0 {
        [i32::from(LEFT), multiplier, 1 << (right - 1), -right]
    } else {
        return None;
    };
    let is_exact = halved == HALF
        && left_shift == LEFT
        && offsets.iter().all(|offset| (-128..=128).contains(offset))
        && (1..=23).contains(&output_right)
        && output_multiplier >= 0;
    let rounding = |right: i32| (1 << (right - 1)) + (i32::from(zero_point) << right);
    is_exact.then(|| FixedSum {
        offsets,
        scaled,
        sum: [output_multiplier, rounding(output_right), 24 - output_right],
    })
}
