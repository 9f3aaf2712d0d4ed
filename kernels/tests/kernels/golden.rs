//! Scalar cells against numbers that other implementations computed.

use crate::cases::softmax_scaling;
use mote_kernels::{Isa, Kernels, softmax_s8};

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
