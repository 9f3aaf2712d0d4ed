//! The vector twins: eight accumulators at a time, the same bits as the scalar functions.
//!
//! A rule of all AVX2 cells: no closure goes through a function of `core`. The closure has the
//! feature and the function has not, so neither would be inlined.

use crate::isa::x86_64::{load_8, load_f32x8, load_i32x8};
use crate::requantize::chunk;
use crate::{Clamp, Epilogue, Requantize, Rescale};
use core::arch::x86_64::*;

/// Factors of eight channels, as the multiplications want them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Factors {
    /// `fp32`.
    Float { scale: __m256 },
    /// `tflite` where every channel shifts right, as nearly all do: both roundings at once.
    Right(Right),
    /// `tflite`.
    Any(Any),
}

impl Factors {
    /// The factors of channels `channel..channel + 8`; anything outside the table.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn load(requantize: &Requantize<'_>, channel: usize) -> Self {
        match *requantize {
            Requantize::Float { scale } => {
                let scale = load_f32x8(&chunk(scale, channel, 0.0));
                Self::Float { scale }
            }
            Requantize::FixedPoint { multiplier, shift } => {
                let multiplier = load_i32x8(&chunk(multiplier, channel, 0));
                let shift = load_8(&chunk(shift, channel, -1));
                Self::fixed(multiplier, _mm256_cvtepi8_epi32(shift))
            }
        }
    }

    /// One factor for all.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn splat(rescale: Rescale) -> Self {
        match rescale {
            Rescale::Float { scale } => Self::Float { scale: _mm256_set1_ps(scale) },
            Rescale::FixedPoint { multiplier, shift } => {
                Self::fixed(_mm256_set1_epi32(multiplier), _mm256_set1_epi32(i32::from(shift)))
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn fixed(multiplier: __m256i, shift: __m256i) -> Self {
        let zero = _mm256_setzero_si256();
        let right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
        let right = _mm256_min_epi32(right, _mm256_set1_epi32(31));
        if _mm256_movemask_epi8(_mm256_cmpeq_epi32(right, zero)) == 0 {
            return Self::Right(Right::new(multiplier, right));
        }
        let left = _mm256_and_si256(_mm256_max_epi32(shift, zero), _mm256_set1_epi32(31));
        let ones = _mm256_set1_epi32(-1);
        let mask = _mm256_andnot_si256(_mm256_sllv_epi32(ones, right), ones);
        Self::Any(Any { multiplier, left, right, mask })
    }
}

/// `Rescale::apply`, lane by lane, on every vector of an array, all of the same eight channels.
///
/// The float contract may give values beyond the scalar one's limit of 2^21, which every caller
/// narrows to int8 in the next step. A macro, since a function of this size would not be inlined
/// and the accumulators would go through memory.
macro_rules! rescale {
    ($factors:expr, $accumulators:expr) => {
        match $factors {
            Factors::Float { scale } => {
                for accumulator in $accumulators.iter_mut() {
                    *accumulator = float(*accumulator, *scale);
                }
            }
            Factors::Right(right) => {
                for accumulator in $accumulators.iter_mut() {
                    *accumulator = right.apply(*accumulator);
                }
            }
            Factors::Any(any) => {
                for accumulator in $accumulators.iter_mut() {
                    *accumulator = any.apply(*accumulator);
                }
            }
        }
    };
}
pub(crate) use rescale;

#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn float(accumulator: __m256i, scale: __m256) -> __m256i {
    // The conversion turns too large values into i32::MIN, hence a limit above but none below.
    // `min` gives its second operand for NaN, as the scalar comparison does.
    let product = _mm256_mul_ps(_mm256_cvtepi32_ps(accumulator), scale);
    _mm256_cvtps_epi32(_mm256_min_ps(product, _mm256_set1_ps(2_097_152.0)))
}

/// Any shift of the fixed-point contract.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Any {
    multiplier: __m256i,
    left: __m256i,
    right: __m256i,
    mask: __m256i,
}

impl Any {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn apply(&self, value: __m256i) -> __m256i {
        let shifted = _mm256_sllv_epi32(value, self.left);
        let product = rounding_doubling_high_mul(shifted, self.multiplier);
        rounding_divide_by_pot(product, self.right, self.mask)
    }
}

/// A multiplier and a shift to the right by `r >= 1`, both roundings in one 64-bit sum.
///
/// The first step gives `h = floor((x * m + 2^30) / 2^31)`, the second
/// `floor((h + 2^(r - 1) - [h < 0]) / 2^r)`. Floors nest, so the whole is
/// `floor((x * m + 2^30 + 2^(30 + r) - [h < 0] * 2^31) / 2^(31 + r))`. And `[x < 0]` may stand for
/// `[h < 0]`: they differ only where `h` is 0, which gives 0 either way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right {
    multiplier: [__m256i; 2],
    rounding: [__m256i; 2],
    shift: __m256i,
}

impl Right {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(multiplier: __m256i, right: __m256i) -> Self {
        let low = _mm256_set1_epi64x(0xffff_ffff);
        let half = _mm256_set1_epi64x(1 << 30);
        let (even, odd) = (_mm256_and_si256(right, low), _mm256_srli_epi64::<32>(right));
        Self {
            multiplier: [multiplier, odd_lanes(multiplier)],
            rounding: [
                _mm256_add_epi64(half, _mm256_sllv_epi64(half, even)),
                _mm256_add_epi64(half, _mm256_sllv_epi64(half, odd)),
            ],
            shift: _mm256_sub_epi32(right, _mm256_set1_epi32(1)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn apply(&self, value: __m256i) -> __m256i {
        let [even, odd] = self.multiplier;
        let even = Self::sum(value, even, self.rounding[0]);
        let odd = Self::sum(odd_lanes(value), odd, self.rounding[1]);
        // The upper halves are the sums divided by 2^32; r - 1 bits are left to shift.
        let high = _mm256_blend_epi32::<0b1010_1010>(odd_lanes(even), odd);
        _mm256_srav_epi32(high, self.shift)
    }

    /// The sum above for the even lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn sum(value: __m256i, multiplier: __m256i, rounding: __m256i) -> __m256i {
        // Bit 31 of a lane's low half is the sign, and worth 2^31 too.
        let sign = _mm256_and_si256(value, _mm256_set1_epi64x(1 << 31));
        _mm256_add_epi64(_mm256_mul_epi32(value, multiplier), _mm256_sub_epi64(rounding, sign))
    }
}

/// `saturating_rounding_doubling_high_mul` but for `i32::MIN * i32::MIN`, which gives `i32::MIN`:
/// no multiplier is negative.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn rounding_doubling_high_mul(a: __m256i, b: __m256i) -> __m256i {
    let nudge = _mm256_set1_epi64x(1 << 30);
    let even = _mm256_add_epi64(_mm256_mul_epi32(a, b), nudge);
    let odd = _mm256_mul_epi32(odd_lanes(a), odd_lanes(b));
    let odd = _mm256_add_epi64(odd, nudge);
    // Bits 31 to 62 of each product, moved to the half where its lane lies.
    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<31>(even), _mm256_slli_epi64::<1>(odd))
}

/// The odd lanes, moved to the even ones, where `vpmuldq` reads. A shuffle, since the compiler
/// takes a shift for half of a wider multiplication.
#[inline]
#[target_feature(enable = "avx2")]
fn odd_lanes(vector: __m256i) -> __m256i {
    _mm256_shuffle_epi32::<0b11_11_01_01>(vector)
}

/// `rounding_divide_by_pot` with `mask = 2^exponent - 1` a lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn rounding_divide_by_pot(value: __m256i, exponent: __m256i, mask: __m256i) -> __m256i {
    let remainder = _mm256_and_si256(value, mask);
    // Subtracting the sign, -1 or 0, and later the comparison likewise.
    let threshold = _mm256_sub_epi32(_mm256_srli_epi32::<1>(mask), _mm256_srai_epi32::<31>(value));
    let quotient = _mm256_srav_epi32(value, exponent);
    _mm256_sub_epi32(quotient, _mm256_cmpgt_epi32(remainder, threshold))
}

/// Zero point and clamp.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow {
    zero_point: __m256i,
    min: __m256i,
    max: __m256i,
}

impl Narrow {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn new(zero_point: i8, clamp: Clamp) -> Self {
        Self {
            zero_point: _mm256_set1_epi16(i16::from(zero_point)),
            min: _mm256_set1_epi8(clamp.min),
            max: _mm256_set1_epi8(clamp.max),
        }
    }

    /// Four times eight values plus the zero point, clamped, as bytes in order.
    ///
    /// Saturating to int16 before the zero point is added changes nothing: a value that it
    /// changes ends at a bound of int8 either way.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn apply(self, [a, b, c, d]: [__m256i; 4]) -> __m256i {
        let ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), self.zero_point);
        let cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), self.zero_point);
        // The packs work within 128 bits: lanes hold the first and the second halves of a b c d.
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(ab, cd), order);
        _mm256_min_epi8(_mm256_max_epi8(bytes, self.min), self.max)
    }

    /// [`apply`](Self::apply) for eight values, in the low half.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn apply_8(self, values: __m256i) -> __m128i {
        let (low, high) = (_mm256_castsi256_si128(values), _mm256_extracti128_si256::<1>(values));
        let words = _mm_packs_epi32(low, high);
        let words = _mm_adds_epi16(words, _mm256_castsi256_si128(self.zero_point));
        let bytes = _mm_packs_epi16(words, words);
        let bytes = _mm_max_epi8(bytes, _mm256_castsi256_si128(self.min));
        _mm_min_epi8(bytes, _mm256_castsi256_si128(self.max))
    }
}

impl Epilogue<'_> {
    /// Biases of channels `channel..channel + 8`; zero outside the table.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn bias_avx2(&self, channel: usize) -> __m256i {
        load_i32x8(&chunk(self.bias, channel, 0))
    }

    /// Zero point and clamp.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn narrow_avx2(&self) -> Narrow {
        Narrow::new(self.zero_point, self.clamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::x86_64::store_32;

    /// All lanes of `Factors::splat(rescale)` applied to `value`.
    #[target_feature(enable = "avx2")]
    fn lanes(rescale: Rescale, value: i32) -> [i32; 8] {
        let factors = Factors::splat(rescale);
        let mut vectors = [_mm256_set1_epi32(value)];
        rescale!(&factors, vectors);
        let mut bytes = [0; 32];
        store_32(&mut bytes, vectors[0]);
        bytemuck::cast(bytes)
    }

    /// Not only what is left of it in int8: the whole int32, at every edge of every step.
    #[test]
    #[allow(unsafe_code, reason = "calls a function with a target feature after detecting it")]
    fn fixed_point_equals_scalar_in_all_bits() {
        if !std::is_x86_feature_detected!("avx2") {
            std::eprintln!("SKIPPED: this machine has no Avx2");
            return;
        }
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
                    // SAFETY: detected above.
                    let lanes = unsafe { lanes(rescale, value) };
                    let expected = [rescale.apply(value); 8];
                    assert_eq!(lanes, expected, "{value} by {multiplier} and {shift}");
                }
            }
        }
    }
}
