//! Armv7E-M: the two roundings of `tflite` in three instructions.

use crate::multiply_by_quantized_multiplier;

/// For a channel of bias, multiplier and shift `[2 * bias, multiplier, rounding, right]`, so that
/// the result is `(upper(2 * (sum + bias) * multiplier) + rounding - [sum + bias < 0]) >> right`,
/// where `upper` is the rounded upper word (`SMMLAR`) and `rounding` half of what the shift drops
/// and the zero point. `None` where that is not exact for every sum of `depth` products.
///
/// The upper word of the doubled sum is the first rounding. The second one has its ties away
/// from zero: half a step up, then one less for negative values. A negative sum that the first
/// rounding made zero stays zero, as half a step less one is still not negative.
pub(crate) fn fixed_factors(
    (bias, multiplier, shift): (i32, i32, i8),
    zero_point: i8,
    depth: usize,
) -> Option<[i32; 4]> {
    // No product exceeds 2^14, nor any depth here 2^9.
    let sum = i32::try_from(depth.checked_mul(1 << 14)?).ok().filter(|&sum| sum <= 1 << 23)?;
    factors_within((bias, multiplier, shift), zero_point, sum, 1 << 29)
}

/// [`fixed_factors`] for sums of products up to `largest_sum` and a bias below `bias_limit`.
pub(crate) fn factors_within(
    (bias, multiplier, shift): (i32, i32, i8),
    zero_point: i8,
    largest_sum: i32,
    bias_limit: u32,
) -> Option<[i32; 4]> {
    const LARGEST_RIGHT: i32 = 23;
    let right = -i32::from(shift);
    let is_tame = bias.unsigned_abs() < bias_limit && multiplier >= 0;
    if (1..=LARGEST_RIGHT).contains(&right) && is_tame {
        let rounding = (1 << (right - 1)) + (i32::from(zero_point) << right);
        return Some([2 * bias, multiplier, rounding, right]);
    }
    dead_channel((bias, multiplier, shift), zero_point, largest_sum)
}

/// [`fixed_factors`] of a channel whose bias decides nearly alone, as quantizers make them of weights
/// near zero: a sum of products, of which none exceeds `largest`, at most between two neighbours.
pub(crate) fn dead_channel(
    (bias, multiplier, shift): (i32, i32, i8),
    zero_point: i8,
    largest: i32,
) -> Option<[i32; 4]> {
    let right = -i32::from(shift);
    let sum = largest;
    let result = |sum| multiply_by_quantized_multiplier(bias + sum, multiplier, shift);
    let in_range = bias.checked_add(sum).is_some() && bias.checked_sub(sum).is_some();
    if !in_range || right < 0 || multiplier < 0 {
        return None;
    }
    let (least, most) = (result(-sum), result(sum));
    if most.saturating_sub(least) > 1 {
        return None;
    }
    // The least sum with the larger result, by halving.
    let (mut below, mut threshold) = (-sum - 1, if most > least { sum } else { -sum });
    while threshold - below > 1 {
        let middle = below + (threshold - below) / 2;
        if result(middle) == most {
            threshold = middle;
        } else {
            below = middle;
        }
    }
    // Nothing but the sign of the sum less the threshold is left.
    let output = most.saturating_add(i32::from(zero_point)).clamp(-1024, 1024);
    Some([-2 * threshold, 0, 2 * output, 1])
}
