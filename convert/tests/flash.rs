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

/// Engine, kernels and runtime, all families, without the blob.
const ENGINE_BYTES: u32 = 32 * 1024;

fn convert(path: &Path) -> Blob {
    let graph = passes::standard(import::open(path).expect("a model")).expect("passes");
    let network = quantize(&graph, None).expect("a quantized model");
    let target = Target::from_name("scalar").expect("a target");
    let program = lower(&network, target, Numerics::Tflite).expect("lowers");
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

fn check(name: &str, model: &str, golden: &str, arena_bytes: u32) {
    let (Some(model), Some(golden)) = (shared(model), shared(golden)) else { return };
    let blob = convert(&model);
    let inputs = blob.inputs(&Array::read(golden.join("input.npy")).expect("inputs")).expect("fit");
    let report = run(name, &blob, &inputs);

    let mut host = Runner::new(&blob, Isa::best()).expect("a session");
    let on_host: Vec<Vec<i8>> = inputs.iter().map(|input| host.run(input)).collect();
    assert_eq!(report.outputs, on_host, "{name}: chip and host differ");
    let expected = Array::read(golden.join("tflm.npy")).expect("outputs").values().to_f32();
    let found: Vec<f32> = blob.outputs(&report.outputs).values().to_f32();
    assert_eq!(found, expected, "{name}: chip and TensorFlow Lite Micro differ");

    assert!(report.arena_bytes <= arena_bytes, "{name}: arena {}", report.arena_bytes);
    assert!(report.engine_bytes <= ENGINE_BYTES, "{name}: engine {}", report.engine_bytes);
}

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
    let target = Target::from_name("scalar").expect("a target");
    for numerics in [Numerics::Fp32, Numerics::Tflite] {
        let program = lower(&network, target, numerics).expect("lowers");
        let blob = Blob::new(emit(&program, &Metadata::default()).expect("emits")).expect("parses");
        let inputs: Vec<Vec<i8>> = (4..8).map(|seed| noise(seed, len).collect()).collect();
        let report = run("cifar10_mobilenet", &blob, &inputs);
        let mut host = Runner::new(&blob, Isa::best()).expect("a session");
        let on_host: Vec<Vec<i8>> = inputs.iter().map(|input| host.run(input)).collect();
        assert_eq!(report.outputs, on_host, "chip and host differ with {}", numerics.name());
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
    check("vww_96", model, "golden/vww_96_int8", 56 * 1024);
}

#[test]
#[ignore = "needs QEMU and a cross compiler"]
fn resnet8_on_the_chip() {
    let model = "models/mlperf_tiny/pretrainedResnet_quant.tflite";
    check("ResNet-8", model, "golden/resnet8_int8", 49 * 1024);
}

#[test]
#[ignore = "needs QEMU and a cross compiler"]
fn kws_on_the_chip() {
    check("kws", "models/mlperf_tiny/kws_ref_model.tflite", "golden/kws_int8", 24 * 1024);
}
