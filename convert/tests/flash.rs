//! Networks on the emulated boards: the same bits as TensorFlow Lite Micro and as this machine, and
//! no more memory than promised.
//!
//! They need QEMU and a cross compiler, so they run only when asked: `cargo xtask test` does, or
//! `cargo test -p mote-convert --test flash -- --ignored`.

use std::path::Path;

use mote_convert::blob::{Blob, Runner};
use mote_convert::emit::{Metadata, emit};
use mote_convert::flash::{self, FlashReport, Options};
use mote_convert::lower::lower;
use mote_convert::npy::Array;
use mote_convert::quantize::{Calibration, quantize};
use mote_convert::target::Target;
use mote_convert::testing::shared;
use mote_convert::{import, interpret, passes};
use mote_engine::{Isa, Numerics};

const BOARD: &str = "mps2-an386";

/// Engine, runtime and the kernels that the blob uses, without the blob.
const ENGINE_BYTES: u32 = 32 * 1024;

/// From opening the blob to the last layer.
const STACK_BYTES: u32 = 2048;

fn convert(path: &Path, numerics: Numerics) -> Blob {
    let graph = passes::standard(import::open(path).expect("a model")).expect("passes");
    let network = quantize(&graph, None).expect("a quantized model");
    let target = Target::from_name("cortex-m4").expect("a target");
    let program = lower(&network, target, numerics).expect("lowers");
    Blob::new(emit(&program, &Metadata::default()).expect("emits")).expect("parses")
}

fn run(name: &str, blob: &Blob, inputs: &[Vec<i8>]) -> FlashReport {
    let inputs: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
    let board = flash::board(BOARD).expect("a board");
    let report = flash::flash(blob.bytes(), board, &inputs, &Options::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    println!(
        "{name} on {BOARD}: {} instructions, flash {} of which engine {}, arena {}, stack {}, bss {}",
        report.instructions,
        report.flash_bytes,
        report.engine_bytes,
        report.arena_bytes,
        report.stack_bytes,
        report.bss_bytes,
    );
    report
}

/// What a network may cost: bytes of arena, instructions an inference with `tflite` and `fp32`.
/// A few instructions more than measured, so that none gets lost unseen.
struct Budget {
    arena_bytes: u32,
    tflite: u64,
    fp32: u64,
}

fn check(name: &str, model: &str, golden: &str, budget: &Budget) {
    let (Some(model), Some(golden)) = (shared(model), shared(golden)) else { return };
    let input = Array::read(golden.join("input.npy")).expect("inputs");
    for (numerics, instructions) in
        [(Numerics::Tflite, budget.tflite), (Numerics::Fp32, budget.fp32)]
    {
        let name = format!("{name}, {}", numerics.name());
        let blob = convert(&model, numerics);
        let inputs = blob.inputs(&input).expect("fit");
        let report = run(&name, &blob, &inputs);
        compare(&name, &blob, &inputs, &report);
        if numerics == Numerics::Tflite {
            let expected = Array::read(golden.join("tflm.npy")).expect("outputs").values().to_f32();
            let found: Vec<f32> = blob.outputs(&report.outputs).values().to_f32();
            assert_eq!(found, expected, "{name}: chip and TensorFlow Lite Micro differ");
        }
        let Budget { arena_bytes, .. } = *budget;
        assert!(report.arena_bytes <= arena_bytes, "{name}: arena {}", report.arena_bytes);
        assert!(report.engine_bytes <= ENGINE_BYTES, "{name}: engine {}", report.engine_bytes);
        assert!(report.stack_bytes <= STACK_BYTES, "{name}: stack {}", report.stack_bytes);
        let found = report.instructions;
        assert!(found <= instructions, "{name}: {found} instructions, {instructions} allowed");
    }
}

/// The host's kernels and the scalar ones give the chip's bits.
fn compare(name: &str, blob: &Blob, inputs: &[Vec<i8>], report: &FlashReport) {
    for isa in [Isa::best(), Isa::Scalar] {
        let mut host = Runner::new(blob, isa).expect("a session");
        let on_host: Vec<Vec<i8>> = inputs.iter().map(|input| host.run(input)).collect();
        assert_eq!(report.outputs, on_host, "{name}: chip and host with {isa:?} differ");
    }
}

/// Of the committed network, with either contract.
const DEMO_INSTRUCTIONS: u64 = 9_930_000;

/// The committed network under both contracts; what it calibrates on does not matter for the bits.
#[test]
#[ignore = "needs QEMU and a cross compiler"]
fn the_committed_network_on_the_chip() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/cifar10_mobilenet/model.h5");
    let graph = passes::standard(import::open(&model).expect("a model")).expect("passes");
    let len = graph.input_shape().elements();
    let mut calibration = Calibration::new(&graph);
    for seed in 1..4 {
        let picture: Vec<f32> = noise(seed, len).map(|value| f32::from(value) / 128.0).collect();
        interpret::run(&graph, &picture, |id, values| {
            calibration.observe(&graph, id, values).expect("finite values");
        })
        .expect("the input's length");
    }
    let ranges = calibration.finish().expect("samples");
    let network = quantize(&graph, Some(&ranges)).expect("quantizes");
    let target = Target::from_name("cortex-m4").expect("a target");
    for numerics in [Numerics::Fp32, Numerics::Tflite] {
        let program = lower(&network, target, numerics).expect("lowers");
        let blob = Blob::new(emit(&program, &Metadata::default()).expect("emits")).expect("parses");
        let inputs: Vec<Vec<i8>> = (4..8).map(|seed| noise(seed, len).collect()).collect();
        let report = run("cifar10_mobilenet", &blob, &inputs);
        compare(numerics.name(), &blob, &inputs, &report);
        let found = report.instructions;
        assert!(found <= DEMO_INSTRUCTIONS, "{found} instructions, {DEMO_INSTRUCTIONS} allowed");
    }
}

/// Reproducible bytes (xorshift).
fn noise(seed: u32, len: usize) -> impl Iterator<Item = i8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9);
    core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0].cast_signed()
    })
    .take(len)
}

#[test]
#[ignore = "needs QEMU and a cross compiler"]
fn vww_on_the_chip() {
    let model = "models/mlperf_tiny/vww_96_int8.tflite";
    let budget = Budget { arena_bytes: 56 * 1024, tflite: 9_850_000, fp32: 10_000_000 };
    check("vww_96", model, "golden/vww_96_int8", &budget);
}

#[test]
#[ignore = "needs QEMU and a cross compiler"]
fn resnet8_on_the_chip() {
    let model = "models/mlperf_tiny/pretrainedResnet_quant.tflite";
    let budget = Budget { arena_bytes: 49 * 1024, tflite: 13_170_000, fp32: 12_520_000 };
    check("ResNet-8", model, "golden/resnet8_int8", &budget);
}

#[test]
#[ignore = "needs QEMU and a cross compiler"]
fn kws_on_the_chip() {
    let model = "models/mlperf_tiny/kws_ref_model.tflite";
    let budget = Budget { arena_bytes: 18 * 1024, tflite: 3_690_000, fp32: 3_770_000 };
    check("kws", model, "golden/kws_int8", &budget);
}
