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
        prop_assert_eq!(case.keeps_bound(&output), Ok(()));
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
    conv_f16 ConvF16, pointwise_conv_f16 PointwiseConvF16, depthwise_conv_f16 DepthwiseConvF16,
    fully_connected_f16 FullyConnectedF16, add_f16 AddF16, avg_pool_f16 AvgPoolF16,
    global_avg_pool_f16 GlobalAvgPoolF16, max_pool_f16 MaxPoolF16, softmax_f16 SoftmaxF16,
    clamp_f16 ClampAllF16, quantize_f16 QuantizeF16, dequantize_f16 DequantizeF16,
}
