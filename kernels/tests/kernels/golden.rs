//! Scalar cells against numbers that other implementations computed.

use crate::cases::softmax_scaling;
use mote_kernels::{
    Clamp, Isa, Kernels, multiply_by_quantized_multiplier, round_half_even, softmax_s8,
};

/// The last layer of three MLPerf Tiny networks on their first sample, as the TFLite reference
/// interpreter computes it: input scale, logits, probabilities.
#[test]
fn softmax_of_mlperf_tiny() {
    let cases: [(f64, &[i8], &[i8]); 3] = [
        (
            f64::from(f32::from_bits(0x3e14_2a46)),
            &[-84, -30, -14, 6, -44, -28, -46, -104, -70, 62, -128, 59],
            &[-128, -128, -128, -128, -128, -128, -128, -128, -128, 27, -128, -27],
        ),
        (f64::from(f32::from_bits(0x3c6f_ccc0)), &[84, -92], &[110, -110]),
        (
            f64::from(f32::from_bits(0x3e2f_fa5e)),
            &[-43, -20, -27, 32, -58, -10, -17, -44, -37, -69],
            &[-128, -128, -128, 127, -128, -128, -128, -128, -128, -128],
        ),
    ];
    for &isa in Isa::ALL {
        let Some(kernels) = Kernels::for_isa(isa) else { continue };
        for (scale, input, expected) in cases {
            let (multiplier, left_shift, diff_min) = softmax_scaling(scale);
            let mut output = vec![0; input.len()];
            kernels.softmax_s8(
                &mut softmax_s8::Args::new(softmax_s8::Operands {
                    input,
                    depth: input.len(),
                    multiplier,
                    left_shift,
                    diff_min,
                    output: &mut output,
                })
                .unwrap(),
            );
            assert_eq!(output, expected, "{}", isa.name());
        }
    }
}

/// `round(numerator / 2^bits)` by integers of any size; ties go up, or away from zero.
fn round(numerator: i128, bits: u32, ties_up: bool) -> i128 {
    let (half, whole) = ((1_i128 << bits) / 2, 1_i128 << bits);
    if ties_up || numerator >= 0 {
        (numerator + half).div_euclid(whole)
    } else {
        -((-numerator + half).div_euclid(whole))
    }
}

/// Edges of every power of two and a few in between.
fn accumulators() -> Vec<i32> {
    let mut values = vec![0, 1, -1, i32::MIN, i32::MAX, 123_456_789, -987_654_321];
    for bit in 1..31 {
        values.extend((-3..=3).flat_map(|near| [(1 << bit) + near, -(1 << bit) + near]));
    }
    values
}

#[test]
fn fixed_point_rescaling_in_big_integers() {
    for multiplier in [0, 1 << 30, (1 << 30) + 1, 0x5a82_7999, i32::MAX - 1, i32::MAX] {
        for shift in -31_i8..=8 {
            for value in accumulators() {
                let shifted = i128::from(value) << shift.max(0);
                if i32::try_from(shifted).is_err() {
                    continue;
                }
                let high = round(shifted * i128::from(multiplier), 31, true);
                let expected = round(high, (-shift).max(0).unsigned_abs().into(), false);
                let found = multiply_by_quantized_multiplier(value, multiplier, shift);
                assert_eq!(i128::from(found), expected, "{value} {multiplier} {shift}");
            }
        }
    }
}

#[test]
fn float_rescaling_rounds_half_to_even() {
    for (value, expected) in
        [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (-2.5, -2), (126.5, 126), (0.499, 0)]
    {
        assert_eq!(round_half_even(value), expected, "{value}");
    }
    for step in -40_000_i32..40_000 {
        let value = step as f32 * 0.006_103_5;
        assert_eq!(f64::from(round_half_even(value)), f64::from(value).round_ties_even());
    }
    // Far beyond int8 only the sign matters, and it is kept.
    for value in [f32::MAX, f32::INFINITY, 3e9] {
        assert!(round_half_even(value) > 1 << 20 && round_half_even(-value) < -(1 << 20));
    }
}

/// XNNPACK saturates a shifted sum to int16 before it adds the zero point; this library does not,
/// and the outputs agree for every sum and zero point.
#[test]
fn saturating_a_sum_to_int16_first_changes_nothing() {
    let sums = (-70_000..70_000).chain([i32::MIN, i32::MAX]);
    for sum in sums {
        for zero_point in [i8::MIN, -1, 0, 1, i8::MAX] {
            let sixteen = i16::try_from(sum).unwrap_or(if sum < 0 { i16::MIN } else { i16::MAX });
            let theirs = sixteen.saturating_add(i16::from(zero_point));
            let ours = sum.saturating_add(i32::from(zero_point));
            assert_eq!(Clamp::NONE.apply(i32::from(theirs)), Clamp::NONE.apply(ours));
        }
    }
}
