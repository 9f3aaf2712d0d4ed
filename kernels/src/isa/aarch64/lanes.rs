//! Eight f32 in two registers, halves in memory: the leaves of the f16 cells, which x86-64 shares.

use crate::F16;
use crate::isa::aarch64::{self, load_f32x4};
use core::arch::aarch64::*;

/// The registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes(float32x4_t, float32x4_t);

/// Eight times `value`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn splat(value: f32) -> Lanes {
    let four = vdupq_n_f32(value);
    Lanes(four, four)
}

/// `a + b`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn add(a: Lanes, b: Lanes) -> Lanes {
    Lanes(vaddq_f32(a.0, b.0), vaddq_f32(a.1, b.1))
}

/// `a - b`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn sub(a: Lanes, b: Lanes) -> Lanes {
    Lanes(vsubq_f32(a.0, b.0), vsubq_f32(a.1, b.1))
}

/// `a * b`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn mul(a: Lanes, b: Lanes) -> Lanes {
    Lanes(vmulq_f32(a.0, b.0), vmulq_f32(a.1, b.1))
}

/// `a / b`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn div(a: Lanes, b: Lanes) -> Lanes {
    Lanes(vdivq_f32(a.0, b.0), vdivq_f32(a.1, b.1))
}

/// `a * b + sum`, rounded once.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn fused(a: Lanes, b: Lanes, sum: Lanes) -> Lanes {
    Lanes(vfmaq_f32(sum.0, a.0, b.0), vfmaq_f32(sum.1, a.1, b.1))
}

/// `if a > b { a } else { b }`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn max(a: Lanes, b: Lanes) -> Lanes {
    let larger = |a, b| vbslq_f32(vcgtq_f32(a, b), a, b);
    Lanes(larger(a.0, b.0), larger(a.1, b.1))
}

/// `if a < b { a } else { b }`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn min(a: Lanes, b: Lanes) -> Lanes {
    let smaller = |a, b| vbslq_f32(vcltq_f32(a, b), a, b);
    Lanes(smaller(a.0, b.0), smaller(a.1, b.1))
}

/// `if x >= limit { value } else { 0.0 }`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn where_at_least(x: Lanes, limit: Lanes, value: Lanes) -> Lanes {
    let masked = |x, limit, value| {
        let kept = vandq_u32(vreinterpretq_u32_f32(value), vcgeq_f32(x, limit));
        vreinterpretq_f32_u32(kept)
    };
    Lanes(masked(x.0, limit.0, value.0), masked(x.1, limit.1, value.1))
}

/// Adds the integer at the bottom of `shifted` to the exponent of `value`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn add_exponent(value: Lanes, shifted: Lanes) -> Lanes {
    let scaled = |value, shifted| {
        let exponent = vshlq_n_s32::<23>(vreinterpretq_s32_f32(shifted));
        vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(value), exponent))
    };
    Lanes(scaled(value.0, shifted.0), scaled(value.1, shifted.1))
}

/// Eight halves, widened.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load(halves: &[F16; 8]) -> Lanes {
    // SAFETY: the array holds the 16 bytes that are read; no alignment is asked.
    let bits = unsafe { vld1q_u16(halves.as_ptr().cast()) };
    let halves = vreinterpretq_f16_u16(bits);
    Lanes(vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves))
}

/// Narrowed to the nearest halves.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store(halves: &mut [F16; 8], values: Lanes) {
    let narrow = vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(values.0), values.1));
    // SAFETY: the array holds the 16 bytes that are written; no alignment is asked.
    unsafe { vst1q_u16(halves.as_mut_ptr().cast(), narrow) }
}

/// Eight f32.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_f32(values: &[f32; 8]) -> Lanes {
    let [low, high] = bytemuck::cast_ref::<[f32; 8], [[f32; 4]; 2]>(values);
    Lanes(load_f32x4(low), load_f32x4(high))
}

/// Eight f32.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store_f32(values: &mut [f32; 8], lanes: Lanes) {
    let pair = float32x4x2_t(lanes.0, lanes.1);
    // SAFETY: the array holds the 32 bytes that are written; no alignment is asked.
    unsafe { vst1q_f32_x2(values.as_mut_ptr(), pair) }
}

/// Up to eight int8 less `zero_point`, zeros less it above.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_up_to_8_i8(bytes: &[i8], zero_point: i8) -> Lanes {
    // The difference of two int8 fits int16.
    let steps = vsubl_s8(aarch64::load_up_to_8(bytes), vdup_n_s8(zero_point));
    let [low, high] = [vmovl_s16(vget_low_s16(steps)), vmovl_high_s16(steps)];
    Lanes(vcvtq_f32_s32(low), vcvtq_f32_s32(high))
}

/// As many of the values as `bytes` takes, rounded with ties to even, plus `zero_point`, saturated. They
/// lie far within int32.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store_up_to_8_i8(bytes: &mut [i8], values: Lanes, zero_point: i8) {
    let zero_point = vdupq_n_s32(i32::from(zero_point));
    let steps = |values| vaddq_s32(vcvtnq_s32_f32(values), zero_point);
    // Both narrowings saturate.
    let words = vqmovn_high_s32(vqmovn_s32(steps(values.0)), steps(values.1));
    aarch64::store_up_to_8(bytes, vqmovn_s16(words));
}
