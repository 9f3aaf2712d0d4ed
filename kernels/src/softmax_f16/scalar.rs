//! The specification: one pass over a row for the sum and one for the quotients.

use super::{Args, LN_2, MAGIC, SERIES, SMALLEST};
use crate::{ClampF16, F16, pieces_of_both};

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let probability = ClampF16 { min: 0.0, max: 1.0 };
    for (input, output) in pieces_of_both(op.input, op.depth, op.output, op.depth) {
        let largest = input.iter().fold(f32::NEG_INFINITY, |largest, value| {
            let value = value.to_f32();
            if value > largest { value } else { largest }
        });
        let exp = |value: &F16| exp((value.to_f32() - largest) * op.beta);
        let sum = input.iter().fold(0.0, |sum, value| sum + exp(value));
        for (output, value) in output.iter_mut().zip(input) {
            *output = probability.apply(exp(value) / sum);
        }
    }
}

/// The exponential of a number that is not positive; NaN gives 0.
pub(crate) fn exp(x: f32) -> f32 {
    let in_range = x >= SMALLEST;
    let shifted = x * core::f32::consts::LOG2_E + MAGIC;
    let power = shifted - MAGIC;
    let rest = x - power * LN_2[0] - power * LN_2[1];
    let series = SERIES.iter().fold(0.0, |sum, factor| sum * rest + factor);
    // The integer at the bottom of `shifted` goes into the exponent.
    let bits = series.to_bits().wrapping_add(shifted.to_bits() << 23);
    if in_range { f32::from_bits(bits) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_within_its_bound() {
        let mut worst = 0.0_f64;
        for step in 0..=860_000 {
            let x = step as f32 * -1e-4;
            // The real one by its series in f64, after halving the exponent ten times.
            let small = f64::from(x) / 1024.0;
            let mut real = (0..12).rev().fold(0.0, |sum, n| 1.0 + sum * small / f64::from(n + 1));
            for _ in 0..10 {
                real *= real;
            }
            worst = worst.max((f64::from(exp(x)) / real - 1.0).abs());
        }
        assert!(worst < 1.0 / f64::from(1 << 21), "{worst}");
        assert_eq!([exp(0.0), exp(-0.0)], [1.0, 1.0]);
        assert_eq!([exp(-86.1), exp(f32::NEG_INFINITY), exp(f32::NAN)], [0.0; 3]);
    }
}
