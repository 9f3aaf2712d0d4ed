//! The vector twins: four accumulators at a time, the same bits as the scalar functions.

use crate::isa::aarch64::{Finish, load_16, load_f32x4, load_i32x4};
use crate::requantize::chunk;
use crate::{Clamp, Epilogue, Requantize, Rescale, after};
use core::arch::aarch64::*;

/// [`Scale`] for `fp32`.
pub(crate) const FLOAT: u8 = 0;
/// [`Scale`] for `tflite` where every channel shifts right, as nearly all do.
pub(crate) const RIGHT: u8 = 1;
/// [`Scale`] for `tflite`, any shift.
pub(crate) const ANY: u8 = 2;
/// [`FLOAT`] where the clamp is all of int8.
pub(crate) const FLOAT_FREE: u8 = 3;
/// [`RIGHT`] likewise.
pub(crate) const RIGHT_FREE: u8 = 4;

/// Runs `$body` with `$kind` standing for the plainest way that fits all channels of an [`Epilogue`].
macro_rules! with_scale {
    ($epilogue:expr, $kind:ident => $body:expr) => {
        match $epilogue.kind_neon() {
            $crate::requantize::neon::FLOAT => {
                const $kind: u8 = $crate::requantize::neon::FLOAT;
                $body
            }
            $crate::requantize::neon::RIGHT => {
                const $kind: u8 = $crate::requantize::neon::RIGHT;
                $body
            }
            $crate::requantize::neon::FLOAT_FREE => {
                const $kind: u8 = $crate::requantize::neon::FLOAT_FREE;
                $body
            }
            $crate::requantize::neon::RIGHT_FREE => {
                const $kind: u8 = $crate::requantize::neon::RIGHT_FREE;
                $body
            }
            _ => {
                const $kind: u8 = $crate::requantize::neon::ANY;
                $body
            }
        }
    };
}
pub(crate) use with_scale;

/// The factors of four channels, and the way to multiply with them, which code is compiled for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale<const KIND: u8> {
    /// Q31, or the bits of an f32.
    multiplier: int32x4_t,
    left: int32x4_t,
    /// Not positive: shifts are to the left on this machine.
    right: int32x4_t,
}

impl<const KIND: u8> Scale<KIND> {
    /// The factors of channels `channel..channel + 4`; anything outside the table.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn load(requantize: &Requantize<'_>, channel: usize) -> Self {
        match *requantize {
            Requantize::Float { scale } => Self::float(load_f32x4(&chunk(scale, channel, 0.0))),
            Requantize::FixedPoint { multiplier, shift } => {
                let shift = widened(chunk(shift, channel, -1));
                Self::fixed(load_i32x4(&chunk(multiplier, channel, 0)), shift)
            }
        }
    }

    /// One factor for all.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn splat(rescale: Rescale) -> Self {
        match rescale {
            Rescale::Float { scale } => Self::float(vdupq_n_f32(scale)),
            Rescale::FixedPoint { multiplier, shift } => {
                Self::fixed(vdupq_n_s32(multiplier), vdupq_n_s32(shift.into()))
            }
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn float(scale: float32x4_t) -> Self {
        let zero = vdupq_n_s32(0);
        Self { multiplier: vreinterpretq_s32_f32(scale), left: zero, right: zero }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn fixed(multiplier: int32x4_t, shift: int32x4_t) -> Self {
        let zero = vdupq_n_s32(0);
        let left = vandq_s32(vmaxq_s32(shift, zero), vdupq_n_s32(31));
        let right = vmaxq_s32(vminq_s32(shift, zero), vdupq_n_s32(-31));
        Self { multiplier, left, right }
    }

    /// `Rescale::apply`, lane by lane; the float contract may give values beyond the scalar one's
    /// limit of 2^21, which every caller narrows to int8 in the next step.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn apply(self, value: int32x4_t) -> int32x4_t {
        match KIND {
            FLOAT | FLOAT_FREE => {
                let product =
                    vmulq_f32(vcvtq_f32_s32(value), vreinterpretq_f32_s32(self.multiplier));
                // Rounds half to even and saturates.
                vcvtnq_s32_f32(product)
            }
            // `SRSHL` rounds ties up: one less for a negative value rounds its tie away from zero.
            // No product with a multiplier that is not negative is the least int32.
            RIGHT | RIGHT_FREE => {
                let high = vqrdmulhq_s32(value, self.multiplier);
                vrshlq_s32(vsraq_n_s32::<31>(high, high), self.right)
            }
            _ => {
                let high = vqrdmulhq_s32(vshlq_s32(value, self.left), self.multiplier);
                // The sign of values that are shifted at all.
                let sign = vandq_s32(high, self.right);
                vrshlq_s32(vsraq_n_s32::<31>(high, sign), self.right)
            }
        }
    }
}

/// Zero point and clamp.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow {
    zero_point: int16x8_t,
    min: int8x16_t,
    max: int8x16_t,
}

impl Narrow {
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn new(zero_point: i8, clamp: Clamp) -> Self {
        Self {
            zero_point: vdupq_n_s16(zero_point.into()),
            min: vdupq_n_s8(clamp.min),
            max: vdupq_n_s8(clamp.max),
        }
    }

    /// Four times four values plus the zero point, clamped, as bytes in order.
    ///
    /// Saturating to int16 before the zero point is added changes nothing: a value that it
    /// changes ends at a bound of int8 either way.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn apply(self, [a, b, c, d]: [int32x4_t; 4]) -> int8x16_t {
        let ab = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero_point);
        let cd = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), self.zero_point);
        let bytes = vqmovn_high_s16(vqmovn_s16(ab), cd);
        vminq_s8(vmaxq_s8(bytes, self.min), self.max)
    }

    /// [`apply`](Self::apply) for two times four values.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn apply_8(self, [a, b]: [int32x4_t; 2]) -> int8x8_t {
        let ab = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero_point);
        let bytes = vqmovn_s16(ab);
        vmin_s8(vmax_s8(bytes, vget_low_s8(self.min)), vget_low_s8(self.max))
    }
}

impl Epilogue<'_> {
    /// The plainest kind of all channels.
    pub(crate) fn kind_neon(&self) -> u8 {
        match (self.requantize, self.clamp == Clamp::NONE) {
            (Requantize::Float { .. }, true) => FLOAT_FREE,
            (Requantize::Float { .. }, false) => FLOAT,
            (Requantize::FixedPoint { shift, .. }, is_free) if shift.iter().all(|&s| s < 0) => {
                if is_free {
                    RIGHT_FREE
                } else {
                    RIGHT
                }
            }
            (Requantize::FixedPoint { .. }, _) => ANY,
        }
    }

    /// Biases of channels `channel..channel + 4`; zero outside the table.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn bias_neon(&self, channel: usize) -> int32x4_t {
        load_i32x4(&chunk(self.bias, channel, 0))
    }

    /// Zero point and clamp.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn narrow_neon(&self) -> Narrow {
        Narrow::new(self.zero_point, self.clamp)
    }
}

impl<const P: usize> Finish<P> {
    /// Of `4 * P` channels from `channel` on, with the scale `K`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn new<const K: u8>(epilogue: &Epilogue<'_>, channel: usize) -> Self {
        let zero = [vdupq_n_s32(0); P];
        let Narrow { zero_point, min, max } = epilogue.narrow_neon();
        let bias = vectors(epilogue.bias, channel, 0, |bias| load_i32x4(bias));
        let (mut right, mut left) = (zero, zero);
        let multiplier = match epilogue.requantize {
            Requantize::Float { scale } => {
                vectors(scale, channel, 0.0, |scale| vreinterpretq_s32_f32(load_f32x4(scale)))
            }
            Requantize::FixedPoint { multiplier, shift } => {
                let shift: [_; P] = vectors(shift, channel, -1, |shift| widened(*shift));
                for ((right, left), shift) in right.iter_mut().zip(&mut left).zip(shift) {
                    let scale = Scale::<K>::fixed(*right, shift);
                    (*right, *left) = (scale.right, scale.left);
                }
                vectors(multiplier, channel, 0, |multiplier| load_i32x4(multiplier))
            }
        };
        let order = load_16(&PAIR_ORDER);
        Self { bias, multiplier, right, left, zero_point, min, max, order }
    }
}

/// `P` times four entries from `channel` on, `missing` for those beyond the end.
#[inline]
#[target_feature(enable = "neon")]
fn vectors<T: Copy, const P: usize>(
    table: &[T],
    channel: usize,
    missing: T,
    load: impl Fn(&[T; 4]) -> int32x4_t,
) -> [int32x4_t; P] {
    let mut vectors = [vdupq_n_s32(0); P];
    // One check where all are there, as nearly always.
    if let Some(whole) = after(table, channel).get(..4 * P) {
        for (vector, whole) in vectors.iter_mut().zip(whole.as_chunks().0) {
            *vector = load(whole);
        }
    } else {
        for (panel, vector) in vectors.iter_mut().enumerate() {
            *vector = load(&chunk(table, channel + 4 * panel, missing));
        }
    }
    vectors
}

/// Four shifts.
#[inline]
#[target_feature(enable = "neon")]
fn widened(shift: [i8; 4]) -> int32x4_t {
    let shift = u32::from_le_bytes(shift.map(i8::cast_unsigned));
    vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(shift.into()))))
}

impl Finish<2> {
    /// For sums of pairs of pixels: each pair of channels twice.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn pairs(&self) -> Finish<4> {
        Finish {
            bias: pairs(self.bias),
            multiplier: pairs(self.multiplier),
            right: pairs(self.right),
            left: pairs(self.left),
            zero_point: self.zero_point,
            min: self.min,
            max: self.max,
            order: self.order,
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn pairs([low, high]: [int32x4_t; 2]) -> [int32x4_t; 4] {
    let twice = |half| vcombine_s32(half, half);
    [
        twice(vget_low_s32(low)),
        twice(vget_high_s32(low)),
        twice(vget_low_s32(high)),
        twice(vget_high_s32(high)),
    ]
}

/// From pairs of channels, each of two pixels, to two pixels.
const PAIR_ORDER: [i8; 16] = [0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15];

#[cfg(test)]
mod tests {
    use super::*;

    /// All lanes of a factor applied to `value`.
    #[target_feature(enable = "neon")]
    fn lanes<const KIND: u8>(rescale: Rescale, value: i32) -> [i32; 4] {
        let vector = Scale::<KIND>::splat(rescale).apply(vdupq_n_s32(value));
        [
            vgetq_lane_s32::<0>(vector),
            vgetq_lane_s32::<1>(vector),
            vgetq_lane_s32::<2>(vector),
            vgetq_lane_s32::<3>(vector),
        ]
    }

    /// Not only what is left of it in int8: the whole int32, at every edge of every step.
    #[test]
    #[allow(unsafe_code, reason = "calls functions with a feature that every AArch64 has")]
    fn fixed_point_equals_scalar_in_all_bits() {
        let mut values = std::vec![0_i32, i32::MIN, i32::MAX];
        let mut multipliers = std::vec![0_i32, 1, 1 << 30, i32::MAX];
        for bit in 0..31 {
            for near in -2..=2 {
                values.extend([(1 << bit) + near, -(1 << bit) - near]);
            }
        }
        for step in 0..40_i32 {
            values.push(step.wrapping_mul(0x2545_f491));
            multipliers.push((1 << 30) + step.wrapping_mul(0x0654_3217) % (1 << 30));
        }
        for &multiplier in multipliers.iter().filter(|&&multiplier| multiplier >= 0) {
            for shift in (-33..=31).chain([i8::MIN, i8::MAX]) {
                let rescale = Rescale::FixedPoint { multiplier, shift };
                for &value in &values {
                    let expected = [rescale.apply(value); 4];
                    // SAFETY: every AArch64 has NEON.
                    let any = unsafe { lanes::<ANY>(rescale, value) };
                    assert_eq!(any, expected, "{value} {rescale:?}");
                    if shift < 0 {
                        // SAFETY: as above.
                        let right = unsafe { lanes::<RIGHT>(rescale, value) };
                        assert_eq!(right, expected, "{value} {rescale:?}");
                    }
                }
            }
        }
    }
}
