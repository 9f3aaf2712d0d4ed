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
use mote_convert::quantize::quantize;
use mote_convert::target::Target;
use mote_convert::testing::shared;
use mote_convert::{import, passes};
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
