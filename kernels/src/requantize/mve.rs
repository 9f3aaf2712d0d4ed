//! Helium: the two roundings of `tflite` in six instructions for four channels.

use super::armv7em_dsp::dead_channel;

/// A right shift up to which the rounding and the zero point fit a word.
pub(crate) const LARGEST_RIGHT: i32 = 23;

/// Whether the assembly lays this channel out rightly.
#[inline]
pub(crate) fn is_tame(multiplier: i32, shift: i8) -> bool {
    (1..=LARGEST_RIGHT).contains(&-i32::from(shift)) && multiplier >= 0
}

/// For a channel of bias, multiplier and shift `[bias, multiplier, rounding, left]`, so that
/// with `x = sum + bias` the upper byte of `(high(x * multiplier) + rounding - [x < 0]) << left` is
/// the result: `high` is `VQRDMULH`, the first rounding; sum and shift saturate (`VQADD`, `VQSHL`), and
/// a negative shift goes to the right. `None` where that is not exact for all sums of `depth` products.
///
/// `rounding` is half of what the second rounding drops, and the zero point; ties go away from
/// zero, which takes one less for a negative value. One that the first rounding made zero stays
/// zero, as half a step less one is still not negative.
pub(crate) fn fixed_factors(
    (bias, multiplier, shift): (i32, i32, i8),
    zero_point: i8,
    depth: usize,
) -> Option<[i32; 4]> {
    /// What a shift to the left makes the lowest byte.
    const UPPER: i32 = 24;
    let right = -i32::from(shift);
    if is_tame(multiplier, shift) {
        let rounding = (1 << (right - 1)) + (i32::from(zero_point) << right);
        return Some([bias, multiplier, rounding, UPPER - right]);
    }
    let largest = i32::try_from(depth.checked_mul(1 << 14)?).ok()?;
    let [doubled, multiplier, rounding, right] =
        dead_channel((bias, multiplier, shift), zero_point, largest)?;
    Some([doubled / 2, multiplier, rounding, UPPER - right])
}
