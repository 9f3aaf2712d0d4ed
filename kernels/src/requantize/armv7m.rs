//! Armv7-M: the two roundings of `tflite` in one sum of 64 bits.

use crate::{Epilogue, Requantize};

/// The outputs of as many channels from `channel` on as `output` holds, four at most.
///
/// Floors nest: for a shift to the right by `r >= 1` both roundings are
/// `floor((x * m + 2^30 + 2^(30 + r) - [x < 0] * 2^31) / 2^(31 + r))`.
pub(crate) fn finish(epilogue: &Epilogue<'_>, channel: usize, sums: &[i32; 4], output: &mut [i8]) {
    let outputs = output.iter_mut().zip(sums).enumerate();
    let Requantize::FixedPoint { multiplier, shift } = epilogue.requantize else {
        for (index, (to, &sum)) in outputs {
            *to = epilogue.apply(channel + index, sum);
        }
        return;
    };
    let bias = epilogue.bias.iter().skip(channel);
    let factors = bias.zip(multiplier.iter().skip(channel)).zip(shift.iter().skip(channel));
    for ((index, (to, &sum)), ((&bias, &multiplier), &shift)) in outputs.zip(factors) {
        *to = if (-23..=-1).contains(&shift) && cfg!(feature = "tflite") {
            let (value, right) = (sum.wrapping_add(bias), i32::from(shift).unsigned_abs());
            let rounding = (1_i64 << 30) + (1_i64 << (30 + right)) + (i64::from(value >> 31) << 31);
            let product = i64::from(value) * i64::from(multiplier) + rounding;
            #[allow(clippy::cast_possible_truncation, reason = "the upper word")]
            let scaled = (product >> 32) as i32 >> (right - 1);
            epilogue.clamp.apply(scaled + i32::from(epilogue.zero_point))
        } else {
            epilogue.apply(channel + index, sum)
        };
    }
}
