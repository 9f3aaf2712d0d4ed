//! Dispatch: resolve once, call safely for ever.

use crate::{Isa, Verified};

/// Lists the vector cells of a family beside its contract, plainest first: `Isa module on cfg`.
/// An instruction set without a cell of its own takes that of the nearest one it includes.
macro_rules! cells {
    ($($isa:ident $module:ident on $cfg:meta,)*) => {
        /// The signature of a cell.
        pub type Run = fn(&mut Args<'_>);

        #[allow(unsafe_code, reason = "the shim between safe callers and cells")]
        #[allow(unused_unsafe, reason = "only some cells need a target feature")]
        pub(crate) fn select(verified: $crate::Verified) -> Run {
            let (isa, mut run): (_, Run) = (verified.isa(), scalar::run);
            $(
                #[cfg($cfg)]
                if isa.includes($crate::Isa::$isa) {
                    // SAFETY: a `Verified` proves that this machine has the features of its
                    // instruction set, and that one includes those of the cell.
                    run = |args| unsafe { $module::run(args) };
                }
            )*
            // Neither is touched where no vector cell is compiled.
            let _ = (isa, &mut run);
            run
        }
    };
}
/// Has scalar code compute what a cell of a microcontroller does not take. Without feature `fallback`
/// there is none: who calls has asked `is_taken` first.
#[cfg(armv7em)]
macro_rules! fall_back {
    ($args:expr) => {
        if cfg!(feature = "fallback") {
            super::scalar::run($args);
        }
    };
}

macro_rules! kernels {
    ($($family:ident $feature:literal: $doc:literal,)*) => {
        // What is not linked counts as used.
        $(const _: [fn(Verified) -> crate::$family::Run; 1] = [crate::$family::select];)*

        /// One cell a family, chosen once. A plain value: no globals, no atomics. A family whose
        /// feature is off does nothing.
        #[derive(Clone, Copy, Debug)]
        pub struct Kernels {
            isa: Isa,
            $(#[cfg(feature = $feature)] $family: crate::$family::Run,)*
        }

        impl Kernels {
            /// The specification: scalar cells only.
            pub const SCALAR: Self =
                Self {
                    isa: Isa::Scalar,
                    $(#[cfg(feature = $feature)] $family: crate::$family::scalar::run,)*
                };

            /// The cells of a verified instruction set.
            #[must_use]
            pub fn new(verified: Verified) -> Self {
                Self {
                    isa: verified.isa(),
                    $(#[cfg(feature = $feature)] $family: crate::$family::select(verified),)*
                }
            }

            $(
                #[doc = $doc]
                #[inline]
                pub fn $family(&self, args: &mut crate::$family::Args<'_>) {
                    #[cfg(feature = $feature)]
                    (self.$family)(args);
                    #[cfg(not(feature = $feature))]
                    let _ = args;
                }
            )*
        }
    };
}

kernels! {
    conv_s8 "conv": "Convolution.",
    pointwise_conv_s8 "pointwise_conv": "1x1 convolution with stride one.",
    depthwise_conv_s8 "depthwise_conv": "Depthwise convolution.",
    fully_connected_s8 "fully_connected": "Fully connected layer.",
    add_s8 "add": "Element-wise addition.",
    avg_pool_s8 "avg_pool": "Average pooling.",
    global_avg_pool_s8 "global_avg_pool": "Global average pooling.",
    max_pool_s8 "max_pool": "Maximum pooling.",
    softmax_s8 "softmax": "Softmax.",
    pad_s8 "pad": "Padding.",
    clamp_s8 "clamp": "Activation clamp.",
    lookup_s8 "lookup": "Element-wise function by table.",
    conv_f16 "conv_f16": "Convolution of halves.",
    pointwise_conv_f16 "pointwise_conv_f16": "1x1 convolution of halves with stride one.",
    depthwise_conv_f16 "depthwise_conv_f16": "Depthwise convolution of halves.",
    fully_connected_f16 "fully_connected_f16": "Fully connected layer of halves.",
    add_f16 "add_f16": "Element-wise addition of halves.",
    avg_pool_f16 "avg_pool_f16": "Average pooling of halves.",
    global_avg_pool_f16 "global_avg_pool_f16": "Global average pooling of halves.",
    max_pool_f16 "max_pool_f16": "Maximum pooling of halves.",
    softmax_f16 "softmax_f16": "Softmax of halves.",
    clamp_f16 "clamp_f16": "Activation clamp of halves.",
    quantize_f16 "quantize_f16": "From halves to int8.",
    dequantize_f16 "dequantize_f16": "From int8 to halves.",
}

impl Kernels {
    /// The cells of `isa`, or `None` on a machine without it.
    #[must_use]
    pub fn for_isa(isa: Isa) -> Option<Self> {
        Verified::new(isa).map(Self::new)
    }

    /// The fastest cells that this machine can run.
    #[must_use]
    pub fn best() -> Self {
        Self::for_isa(Isa::best()).unwrap_or(Self::SCALAR)
    }

    /// The instruction set these cells are written for.
    #[must_use]
    pub const fn isa(&self) -> Isa {
        self.isa
    }
}
