//! Armv6-M and Armv7-M: the two roundings of `tflite` by one shift.

use super::armv7em_dsp::factors_within;
use crate::isa::no_dsp::{Core, Factors};
use crate::{Clamp, Epilogue, Requantize};

/// Lays out what follows the sums of `depth` products, which are larger by `excess`, from channel `first`
/// on; false where that is not exact for each of them.
pub(crate) fn prepare<C: Core>(
    epilogue: &Epilogue<'_>,
    first: usize,
    depth: usize,
    excess: i32,
    to: &mut [Factors],
) -> bool {
    let Requantize::FixedPoint { multiplier, shift } = epilogue.requantize else { return false };
    // No product exceeds 2^14. Doubled, a sum with its bias keeps within 30 bits and a sign.
    let sum = depth.checked_mul(1 << 14).and_then(|sum| i32::try_from(sum).ok());
    let Some(sum) = sum.filter(|&sum| sum <= 1 << 28) else { return false };
    let channels = epilogue.bias.iter().zip(multiplier).zip(shift).skip(first);
    let mut is_exact = cfg!(feature = "tflite");
    for (to, ((&bias, &multiplier), &shift)) in to.iter_mut().zip(channels) {
        let channel = (bias, multiplier, shift);
        let factors = factors_within(channel, epilogue.zero_point, sum, 1 << 28);
        is_exact &= factors.is_some();
        let [bias, multiplier, rounding, right] = factors.unwrap_or_default();
        let bias = bias.wrapping_sub(excess.wrapping_mul(2));
        *to = [bias, multiplier, rounding.wrapping_sub(C::UPPER_OFFSET), right];
    }
    is_exact
}

/// Clamps the whole output when it is done: the assembly saturates to int8, and narrower ranges are
/// rare.
pub(crate) fn clamp(output: &mut [i8], clamp: Clamp) {
    if clamp != Clamp::NONE {
        for value in output {
            *value = clamp.apply(i32::from(*value));
        }
    }
}
