//! Armv7E-M: the two roundings of `tflite` in three instructions.

/// Largest bias for which twice the sum, of up to 8192 products too, leaves room for the rounding
/// in an int32.
const LARGEST_BIAS: u32 = 1 << 28;

/// `[2 * bias, multiplier, rounding, shift]`, so that the result is
/// `(upper(2 * (sum + bias) * multiplier) + rounding - [sum + bias < 0]) >> shift`, where `upper`
/// is the rounded upper word (`SMMLAR`) and `rounding` half of what the shift drops and the zero
/// point. `None` where that is not exact: without a shift to the right, or beyond int32.
///
/// The upper word of the doubled sum is the first rounding. The second one has its ties away
/// from zero: half a step up, then one less for negative values. A negative sum that the first
/// rounding made zero stays zero, as half a step less one is still not negative.
pub(crate) fn fixed_factors(
    bias: i32,
    multiplier: i32,
    shift: i8,
    zero_point: i8,
) -> Option<[i32; 4]> {
    let right = -i32::from(shift);
    if !(1..=21).contains(&right) || bias.unsigned_abs() > LARGEST_BIAS || multiplier < 0 {
        return None;
    }
    let rounding = (1 << (right - 1)) + (i32::from(zero_point) << right);
    Some([2 * bias, multiplier, rounding, right])
}
