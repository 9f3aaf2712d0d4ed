//! Armv7E-M: `SMMLAR` multiplies, rounds and adds in one instruction; see `requantize` for both roundings.

use super::{Args, Sum};
use crate::isa::armv7em::multiply_high;
use crate::tile_s8::armv7em_dsp::clamp;

/// Same bits as scalar, which also takes over for numbers that no real layer has.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    match op.sum {
        Sum::FixedPoint {
            offset: [offset0, offset1],
            multiplier: [multiplier0, multiplier1],
            shift: [shift0, shift1],
            left_shift,
            output_multiplier,
            output_shift,
        } if cfg!(feature = "tflite") => {
            let inputs = (
                Input::new(offset0, multiplier0, shift0, left_shift),
                Input::new(offset1, multiplier1, shift1, left_shift),
            );
            let right = -i32::from(output_shift);
            let (Some(a), Some(b), true) = (inputs.0, inputs.1, (1..=23).contains(&right)) else {
                return super::scalar::run(args);
            };
            let rounding = (1 << (right - 1)) + (i32::from(op.zero_point) << right);
            add(args, |x, y| {
                let sum = a.scale(x) + b.scale(y);
                let high = multiply_high(sum << 1, output_multiplier, rounding);
                (high + (sum >> 31)) >> (right & 31)
            });
        }
        Sum::Linear { multiplier: [a, b], bias, shift } if cfg!(feature = "fp32") => {
            let zero_point = i64::from(op.zero_point) << (shift & 31);
            let bias = i64::from(bias) + zero_point;
            let largest = 128 * (i64::from(a).abs() + i64::from(b).abs()) + bias.abs();
            let (Ok(bias), Ok(_)) = (i32::try_from(bias), i32::try_from(largest)) else {
                return super::scalar::run(args);
            };
            add(args, |x, y| (bias + a * x + b * y) >> (shift & 31));
        }
        // Built without this contract; the engine refuses its blobs.
        _ => {}
    }
}

#[inline]
fn add(args: &mut Args<'_>, sum: impl Fn(i32, i32) -> i32) {
    let op = &mut args.0;
    #[allow(clippy::cast_possible_truncation, reason = "within int8 by the clamp")]
    let add = |a: i8, b: i8| sum(i32::from(a), i32::from(b)).clamp(-128, 127) as i8;
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
    clamp(op.output, op.clamp);
}

/// An input's way to the common scale: both roundings of `tflite`, see `requantize::armv7em_dsp`.
#[derive(Clone, Copy)]
struct Input {
    offset: i32,
    /// Of the doubled input.
    left: u32,
    multiplier: i32,
    rounding: i32,
    /// Zero where there is no second rounding.
    sign: i32,
    right: i32,
}

impl Input {
    /// `None` where the doubled input, or two of them scaled, may leave an int32.
    fn new(offset: i32, multiplier: i32, shift: i8, left_shift: u8) -> Option<Self> {
        let right = -i32::from(shift);
        let fits = (-128..=128).contains(&offset) && left_shift <= 20 && multiplier >= 0;
        if !fits || !(0..=23).contains(&right) {
            return None;
        }
        let (rounding, sign) = if right > 0 { (1 << (right - 1), -1) } else { (0, 0) };
        let left = u32::from(left_shift) + 1;
        Some(Self { offset, left, multiplier, rounding, sign, right })
    }

    #[inline]
    fn scale(self, value: i32) -> i32 {
        let doubled = (value + self.offset) << (self.left & 31);
        let high = multiply_high(doubled, self.multiplier, self.rounding);
        (high + ((doubled >> 31) & self.sign)) >> (self.right & 31)
    }
}
