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
            let first = (offset0, multiplier0, shift0, left_shift);
            let second = (offset1, multiplier1, shift1, left_shift);
            let output = Rescale::FixedPoint { multiplier: output_multiplier, shift: output_shift };
            if output_shift < 0 {
                let output = Output { scale: Scale::<RIGHT>::splat(output), narrow };
                // The input of the larger scale is halved, nearly always.
                if let (Some(a), Some(b)) = (Half::new(first), Right::new(second)) {
                    return add(op, |x, y| output.bytes(a.scaled(x), b.scaled(y)));
                }
                if let (Some(a), Some(b)) = (Right::new(first), Half::new(second)) {
                    return add(op, |x, y| output.bytes(a.scaled(x), b.scaled(y)));
                }
            }
            let output = Output { scale: Scale::<ANY>::splat(output), narrow };
            let (a, b) = (Input::new(first), Input::new(second));
            add(op, |x, y| output.bytes(a.scaled(x), b.scaled(y)));
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

/// An input's way to the common scale of `tflite`: offset, multiplier, shift, left shift before.
type Way = (i32, i32, i8, u8);

/// Any of them.
struct Input {
    offset: int32x4_t,
    left: int32x4_t,
    scale: Scale<ANY>,
}

impl Input {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new((offset, multiplier, shift, left_shift): Way) -> Self {
        Self {
            offset: vdupq_n_s32(offset),
            left: vdupq_n_s32(i32::from(left_shift & 31)),
            scale: Scale::splat(Rescale::FixedPoint { multiplier, shift }),
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn scaled(&self, values: int8x16_t) -> [int32x4_t; 4] {
        let mut values = widen(values);
        for value in &mut values {
            *value = self.scale.apply(vshlq_s32(vaddq_s32(*value, self.offset), self.left));
        }
        values
    }
}

/// `(value + offset) << (16 + left)`, where the first 16 bits hold all but the last shift.
struct Lifted {
    offset: int16x8_t,
    left: int16x8_t,
}

impl Lifted {
    /// `None` for a zero point that no int8 has and for shifts outside 16 to 22.
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(offset: i32, left_shift: u8) -> Option<Self> {
        let offset = i16::try_from(offset).ok().filter(|offset| offset.unsigned_abs() <= 128)?;
        let left = i16::from(left_shift.checked_sub(16).filter(|&left| left <= 6)?);
        Some(Self { offset: vdupq_n_s16(offset), left: vdupq_n_s16(left) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn apply(&self, values: int8x16_t) -> [int32x4_t; 4] {
        let low = vshlq_s16(vaddw_s8(self.offset, vget_low_s8(values)), self.left);
        let high = vshlq_s16(vaddw_high_s8(self.offset, values), self.left);
        let zero = vdupq_n_s16(0);
        [
            vzip1q_s16(zero, low),
            vzip2q_s16(zero, low),
            vzip1q_s16(zero, high),
            vzip2q_s16(zero, high),
        ]
        .map(|value| vreinterpretq_s32_s16(value))
    }
}

/// One whose factor is exactly a half.
struct Half(Lifted);

impl Half {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new((offset, multiplier, shift, left_shift): Way) -> Option<Self> {
        let is_half = multiplier == 1 << 30 && shift == 0;
        Some(Self(Lifted::new(offset, left_shift.checked_sub(1).filter(|_| is_half)?)?))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn scaled(&self, values: int8x16_t) -> [int32x4_t; 4] {
        self.0.apply(values)
    }
}

/// One whose factor is less than a half.
struct Right(Lifted, Scale<RIGHT>);

impl Right {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new((offset, multiplier, shift, left_shift): Way) -> Option<Self> {
        let scale = Scale::splat(Rescale::FixedPoint { multiplier, shift });
        (shift < 0).then_some(Self(Lifted::new(offset, left_shift)?, scale))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn scaled(&self, values: int8x16_t) -> [int32x4_t; 4] {
        let mut values = self.0.apply(values);
        for value in &mut values {
            *value = self.1.apply(*value);
        }
        values
    }
}

/// What a sum in the common scale becomes.
struct Output<const K: u8> {
    scale: Scale<K>,
    narrow: Narrow,
}

impl<const K: u8> Output<K> {
    #[inline]
    #[target_feature(enable = "neon")]
    fn bytes(&self, a: [int32x4_t; 4], b: [int32x4_t; 4]) -> int8x16_t {
        let mut sums = a;
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = self.scale.apply(vaddq_s32(*sum, b));
        }
        self.narrow.apply(sums)
    }
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
