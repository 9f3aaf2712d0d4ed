//! AArch64: 16 values at a time, widened to int32.

use super::{Args, Operands, Sum};
use crate::Rescale;
use crate::copy;
use crate::isa::aarch64::{load_16, store_16};
use crate::requantize::neon::{ANY, Narrow, RIGHT, Scale};
use core::arch::aarch64::*;

/// Same bits as scalar.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let narrow = Narrow::new(op.zero_point, op.clamp);
    match op.sum {
        Sum::FixedPoint {
            offset: [offset0, offset1],
            multiplier: [multiplier0, multiplier1],
            shift: [shift0, shift1],
            left_shift,
            output_multiplier,
            output_shift,
        } => {
            let inputs = [
                Input::new(offset0, multiplier0, shift0, left_shift),
                Input::new(offset1, multiplier1, shift1, left_shift),
            ];
            let output = Rescale::FixedPoint { multiplier: output_multiplier, shift: output_shift };
            if output_shift < 0 {
                let output = Scale::<RIGHT>::splat(output);
                add(op, |a, b| narrow.apply(sums(&inputs, [a, b], output)));
            } else {
                let output = Scale::<ANY>::splat(output);
                add(op, |a, b| narrow.apply(sums(&inputs, [a, b], output)));
            }
        }
        Sum::Linear { multiplier: [multiplier0, multiplier1], bias, shift } => {
            let linear = Linear {
                multiplier: [vdupq_n_s32(multiplier0), vdupq_n_s32(multiplier1)],
                bias: vdupq_n_s32(bias),
                shift: vdupq_n_s32(-i32::from(shift & 31)),
            };
            add(op, |a, b| narrow.apply(linear.apply(a, b)));
        }
    }
}

/// Blocks of 16, the last one filled up.
#[inline]
#[target_feature(enable = "neon")]
fn add(op: &mut Operands<'_>, sum: impl Fn(int8x16_t, int8x16_t) -> int8x16_t) {
    let (outputs, tail) = op.output.as_chunks_mut::<16>();
    let (rhs, rhs_tail) = op.rhs.as_chunks::<16>();
    let (lhs, lhs_tail) = op.lhs.unwrap_or(&[]).as_chunks::<16>();
    if op.lhs.is_some() {
        for ((output, lhs), rhs) in outputs.iter_mut().zip(lhs).zip(rhs) {
            store_16(output, sum(load_16(lhs), load_16(rhs)));
        }
    } else {
        for (output, rhs) in outputs.iter_mut().zip(rhs) {
            let values = load_16(output);
            store_16(output, sum(values, load_16(rhs)));
        }
    }
    if tail.is_empty() {
        return;
    }
    let (mut left, mut right, mut bytes) = ([0; 16], [0; 16], [0; 16]);
    copy(&mut left, if op.lhs.is_some() { lhs_tail } else { &*tail });
    copy(&mut right, rhs_tail);
    store_16(&mut bytes, sum(load_16(&left), load_16(&right)));
    copy(tail, &bytes);
}

/// The numbers of `fp32`, spread over registers.
struct Linear {
    multiplier: [int32x4_t; 2],
    bias: int32x4_t,
    shift: int32x4_t,
}

impl Linear {
    #[inline]
    #[target_feature(enable = "neon")]
    fn apply(&self, a: int8x16_t, b: int8x16_t) -> [int32x4_t; 4] {
        let (mut sums, b) = (widen(a), widen(b));
        for (sum, b) in sums.iter_mut().zip(b) {
            let half = vmlaq_s32(self.bias, *sum, self.multiplier[0]);
            *sum = vshlq_s32(vmlaq_s32(half, b, self.multiplier[1]), self.shift);
        }
        sums
    }
}

/// An input's way to the common scale of `tflite`.
struct Input {
    offset: int32x4_t,
    left: int32x4_t,
    scale: Scale<ANY>,
    /// Whether the factor is exactly a half: TFLite scales the input of the larger scale so.
    half: bool,
}

impl Input {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(offset: i32, multiplier: i32, shift: i8, left_shift: u8) -> Self {
        let rescale = Rescale::FixedPoint { multiplier, shift };
        Self {
            offset: vdupq_n_s32(offset),
            left: vdupq_n_s32(i32::from(left_shift & 31)),
            scale: Scale::splat(rescale),
            half: rescale == Rescale::FixedPoint { multiplier: 1 << 30, shift: 0 },
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn scaled(&self, values: int8x16_t) -> [int32x4_t; 4] {
        let mut values = widen(values);
        for value in &mut values {
            *value = vshlq_s32(vaddq_s32(*value, self.offset), self.left);
        }
        if self.half {
            for value in &mut values {
                *value = vrshrq_n_s32::<1>(*value);
            }
        } else {
            for value in &mut values {
                *value = self.scale.apply(*value);
            }
        }
        values
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn sums<const K: u8>(
    [a, b]: &[Input; 2],
    values: [int8x16_t; 2],
    output: Scale<K>,
) -> [int32x4_t; 4] {
    let (mut sums, b) = (a.scaled(values[0]), b.scaled(values[1]));
    for (sum, b) in sums.iter_mut().zip(b) {
        *sum = output.apply(vaddq_s32(*sum, b));
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
fn widen(values: int8x16_t) -> [int32x4_t; 4] {
    let (low, high) = (vmovl_s8(vget_low_s8(values)), vmovl_high_s8(values));
    [
        vmovl_s16(vget_low_s16(low)),
        vmovl_high_s16(low),
        vmovl_s16(vget_low_s16(high)),
        vmovl_high_s16(high),
    ]
}
