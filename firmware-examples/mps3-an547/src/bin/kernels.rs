//! The kernels' parity tests on the chip: the cases of `kernels/tests/`, every cell of this
//! processor against scalar. Ends with a failure and the smallest such case where one differs.
//! Arguments of the emulator (`-semihosting-config arg=..`) restrict it to instruction sets and
//! families of those names.
#![no_std]
#![no_main]

extern crate alloc;

// Linked for their symbols: the critical section, the vectors.
use cortex_m as _;
use cortex_m_rt::entry;
use embedded_alloc::LlffHeap;
use mote_firmware_vectors as _;
use mote_kernels::{Isa, Kernels};
use search::{differs, search};
use semihosting::{eprintln, experimental::env::args, process::exit};

#[allow(dead_code, reason = "the chip asks for less than the host's tests")]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "../../../../kernels/tests/kernels/cases.rs"]
mod cases;
#[allow(dead_code, reason = "the chip asks for less than the host's tests")]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "../../../../kernels/tests/kernels/cases_f16.rs"]
mod cases_f16;
#[allow(dead_code, reason = "the chip asks for less than the host's tests")]
#[path = "../../../../kernels/tests/kernels/search.rs"]
mod search;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

const HEAP_BYTES: usize = 2 << 20;

#[entry]
fn main() -> ! {
    static mut MEMORY: [u8; HEAP_BYTES] = [0; HEAP_BYTES];

    // SAFETY: called once, with memory that nothing else uses.
    unsafe { HEAP.init(MEMORY.as_mut_ptr().addr(), HEAP_BYTES) };
    for &isa in Isa::ALL {
        let kernels = Kernels::for_isa(isa).filter(|_| isa != Isa::Scalar && is_wanted(isa.name()));
        if let Some(kernels) = kernels {
            run(isa, &kernels);
        }
    }
    exit(0)
}

/// Whether no argument names another instruction set or family in its place.
fn is_wanted(name: &str) -> bool {
    let is_isa = |name| Isa::from_name(name).is_some();
    let Ok(args) = args::<256>() else { return true };
    let mut rivals = (&args).filter_map(Result::ok).filter(|&arg| is_isa(arg) == is_isa(name));
    let first = rivals.next();
    first.is_none_or(|first| first == name) || rivals.any(|rival| rival == name)
}

fn run(isa: Isa, kernels: &Kernels) {
    macro_rules! families {
        ($($family:ident $case:ident,)*) => {
            $(
                let sanities = if is_wanted(stringify!($family)) { &[false, true][..] } else { &[] };
                for &sane in sanities {
                    let wrong = |case: &cases::$case| differs(kernels, case);
                    if let Some((case, setup)) = search(sane, wrong) {
                        eprintln!("{isa:?} differs from scalar in {setup:?} of {case:#?}");
                        exit(1)
                    }
                }
                if !sanities.is_empty() {
                    eprintln!("{} {}: ok", isa.name(), stringify!($family));
                }
            )*
        };
    }
    families! {
        conv_s8 Conv, pointwise_conv_s8 PointwiseConv, depthwise_conv_s8 DepthwiseConv,
        fully_connected_s8 FullyConnected, add_s8 Add, avg_pool_s8 AvgPool,
        global_avg_pool_s8 GlobalAvgPool, max_pool_s8 MaxPool, softmax_s8 Softmax, pad_s8 Pad,
        clamp_s8 ClampAll, lookup_s8 Lookup,
        conv_f16 ConvF16, pointwise_conv_f16 PointwiseConvF16,
        depthwise_conv_f16 DepthwiseConvF16, fully_connected_f16 FullyConnectedF16,
        add_f16 AddF16, avg_pool_f16 AvgPoolF16, global_avg_pool_f16 GlobalAvgPoolF16,
        max_pool_f16 MaxPoolF16, softmax_f16 SoftmaxF16, clamp_f16 ClampAllF16,
        quantize_f16 QuantizeF16, dequantize_f16 DequantizeF16,
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    exit(1)
}
