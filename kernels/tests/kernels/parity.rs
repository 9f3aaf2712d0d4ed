//! Every cell equals the scalar one bit for bit, however its operands are laid out; those that add in
//! halves lie within their bound.
//!
//! Written once, stamped for every instruction set. One that this machine lacks is skipped
//! loudly; `KERNELS_REQUIRE=Avx2,..` turns that into a failure.

use crate::cases::{self, Case, Setup};
use crate::search::{differs, search};
use mote_kernels::{Isa, Kernels};

fn kernels(isa: Isa) -> Option<Kernels> {
    let kernels = Kernels::for_isa(isa);
    if kernels.is_none() {
        let required = std::env::var("KERNELS_REQUIRE").unwrap_or_default();
        let name = format!("{isa:?}");
        assert!(!required.split(',').any(|isa| isa == name), "{name} is required and missing");
        eprintln!("SKIPPED: this machine has no {name}");
    }
    kernels
}

#[test]
fn an_instruction_set_has_one_name_and_includes_the_plainer_ones() {
    for &isa in Isa::ALL {
        assert_eq!(Isa::from_name(isa.name()), Some(isa));
        assert!(isa.includes(isa) && isa.includes(Isa::Scalar));
        assert_eq!(Isa::Scalar.includes(isa), isa == Isa::Scalar);
    }
}

fn parity<C: Case>(isa: Isa) {
    let Some(kernels) = kernels(isa) else { return };
    for sane in [false, true] {
        if let Some((case, setup)) = search::<C>(sane, |case| differs(&kernels, case)) {
            let bound =
                case.in_halves().map(|case| case.keeps_bound(&case.output(&kernels, setup)));
            panic!("{isa:?} differs from scalar in {setup:?} of {case:#?} (in halves: {bound:?})");
        }
    }
}

/// Where two pixels share a word, or sums are made in 16 bits, nothing is carried where it does not
/// belong.
#[test]
fn the_largest_and_the_least_products_add_up() {
    const PIXELS: [&[i8]; 6] =
        [&[-128; 4], &[127; 4], &[-128, 127, -128, 127], &[127, -128], &[127, -128, 1], &[-128]];
    for kernels in Isa::ALL.iter().filter_map(|&isa| Kernels::for_isa(isa)) {
        for (depth, pixels) in [1, 2, 3, 15, 16, 17, 300]
            .into_iter()
            .flat_map(|depth| PIXELS.map(|pixels| (depth, pixels)))
        {
            for weight in [-128, 127] {
                let case = cases::PointwiseConv::uniform(depth, pixels, weight);
                let setup = differs(&kernels, &case);
                assert!(setup.is_none(), "{:?} differs in {setup:?} of {case:?}", kernels.isa());
            }
        }
    }
}

macro_rules! stamp {
    ($($isa:ident $name:ident)*) => {
        $(
            mod $name {
                use super::{cases, parity};
                use mote_kernels::Isa;

                stamp! { @families $isa
                    conv_s8 Conv, pointwise_conv_s8 PointwiseConv,
                    depthwise_conv_s8 DepthwiseConv, fully_connected_s8 FullyConnected,
                    add_s8 Add, avg_pool_s8 AvgPool, global_avg_pool_s8 GlobalAvgPool,
                    max_pool_s8 MaxPool, softmax_s8 Softmax, pad_s8 Pad, clamp_s8 ClampAll,
                    lookup_s8 Lookup,
                    conv_f16 ConvF16, pointwise_conv_f16 PointwiseConvF16, depthwise_conv_f16 DepthwiseConvF16,
                    fully_connected_f16 FullyConnectedF16, add_f16 AddF16, avg_pool_f16 AvgPoolF16,
                    global_avg_pool_f16 GlobalAvgPoolF16, max_pool_f16 MaxPoolF16, softmax_f16 SoftmaxF16,
                    clamp_f16 ClampAllF16, quantize_f16 QuantizeF16, dequantize_f16 DequantizeF16,
                }
            }
        )*
    };
    (@families $isa:ident $($family:ident $case:ident,)*) => {
        $(
            #[test]
            fn $family() {
                parity::<cases::$case>(Isa::$isa);
            }
        )*
    };
}

mote_kernels::for_each_isa!(stamp);

/// The harness notices a kernel that is subtly wrong.
mod planted_bug {
    use super::{Case, Isa, Kernels, Setup, cases, search};

    fn notices<C: Case>() {
        let planned = Setup::planned(Isa::Scalar);
        let found = search::<C>(false, |case| {
            let mut buggy = case.clone();
            buggy.plant_bug();
            let outputs = [case, &buggy].map(|case| case.output(&Kernels::SCALAR, planned));
            (outputs[0] != outputs[1]).then_some(planned)
        });
        assert!(found.is_some(), "no case shows the bug");
    }

    /// Not even the wider bound of sums in halves lets the bug pass.
    fn notices_in_halves<C: Case>() {
        let planned = Setup::planned(Isa::Scalar);
        let found = search::<C>(true, |case| {
            let mut buggy = case.clone();
            buggy.plant_bug();
            let output = buggy.output(&Kernels::SCALAR, planned);
            let case = case.in_halves().expect("a family with cells that add in halves");
            case.keeps_bound(&output).is_err().then_some(planned)
        });
        assert!(found.is_some(), "no case shows the bug");
    }

    #[test]
    fn sums_in_halves() {
        notices_in_halves::<cases::ConvF16>();
        notices_in_halves::<cases::PointwiseConvF16>();
        notices_in_halves::<cases::DepthwiseConvF16>();
        notices_in_halves::<cases::FullyConnectedF16>();
    }

    macro_rules! planted {
        ($($family:ident $case:ident,)*) => {
            $(
                #[test]
                fn $family() {
                    notices::<cases::$case>();
                }
            )*
        };
    }

    planted! {
        conv_s8 Conv, pointwise_conv_s8 PointwiseConv, depthwise_conv_s8 DepthwiseConv,
        fully_connected_s8 FullyConnected, add_s8 Add, avg_pool_s8 AvgPool,
        global_avg_pool_s8 GlobalAvgPool, max_pool_s8 MaxPool, softmax_s8 Softmax, pad_s8 Pad,
        clamp_s8 ClampAll, lookup_s8 Lookup,
        conv_f16 ConvF16, pointwise_conv_f16 PointwiseConvF16, depthwise_conv_f16 DepthwiseConvF16,
        fully_connected_f16 FullyConnectedF16, add_f16 AddF16, avg_pool_f16 AvgPoolF16,
        global_avg_pool_f16 GlobalAvgPoolF16, max_pool_f16 MaxPoolF16, softmax_f16 SoftmaxF16,
        clamp_f16 ClampAllF16, quantize_f16 QuantizeF16, dequantize_f16 DequantizeF16,
    }
}
