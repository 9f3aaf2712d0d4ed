//! Every kernel lies within its stated bound of the real result, computed in f64 on the
//! dequantized values.

use crate::cases::{self, Case, Setup};
use mote_kernels::Kernels;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

fn within_bound<C: Case>() {
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() };
    let mut runner = TestRunner::new_with_rng(config, crate::search::rng());
    let kernels = Kernels::best();
    let result = runner.run(&C::strategy(true), |case| {
        let output = case.output(&kernels, Setup::planned(kernels.isa()));
        let (reference, bound) = case.reference();
        let (min, max) = (f64::from(case.clamp().min), f64::from(case.clamp().max));
        prop_assert_eq!(output.len(), reference.len());
        for (index, (&output, &real)) in output.iter().zip(&reference).enumerate() {
            // Clamping moves no two values apart, so the bound holds after it as well.
            let distance = (f64::from(output) - real.clamp(min, max)).abs();
            prop_assert!(distance <= bound, "{output} for {real} at {index}, bound {bound}");
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

macro_rules! families {
    ($($family:ident $case:ident,)*) => {
        $(
            #[test]
            fn $family() {
                within_bound::<cases::$case>();
            }
        )*
    };
}

families! {
    conv_s8 Conv, pointwise_conv_s8 PointwiseConv, depthwise_conv_s8 DepthwiseConv,
    fully_connected_s8 FullyConnected, add_s8 Add, avg_pool_s8 AvgPool,
    global_avg_pool_s8 GlobalAvgPool, max_pool_s8 MaxPool, softmax_s8 Softmax, pad_s8 Pad,
    clamp_s8 ClampAll, lookup_s8 Lookup,
}
