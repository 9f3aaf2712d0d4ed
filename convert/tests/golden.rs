//! Quantized TFLite models through import, lowering and the engine equal TensorFlow Lite Micro bit
//! for bit, on every instruction set of this machine.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(clippy::cast_possible_truncation, reason = "differences of int8 values")]

use std::path::Path;

use mote_convert::blob::{Blob, Runner};
use mote_convert::emit::{Metadata, emit};
use mote_convert::lower::lower;
use mote_convert::npy::Array;
use mote_convert::quantize::quantize;
use mote_convert::target::Target;
use mote_convert::testing::shared;
use mote_convert::{import, passes};
use mote_engine::{Isa, Numerics};

/// Blob of a quantized model.
fn convert(path: &Path, target: &str, numerics: Numerics) -> Blob {
    let graph = passes::standard(import::open(path).unwrap()).unwrap();
    let network = quantize(&graph, None).unwrap();
    let target = Target::from_name(target).unwrap();
    let program = lower(&network, target, numerics).unwrap();
    Blob::new(emit(&program, &Metadata::default()).unwrap()).unwrap()
}

/// Values that differ, and by how much at most, over all samples of a golden set.
fn difference(blob: &Blob, isa: Isa, folder: &Path, expected: &str) -> (usize, i32) {
    let mut runner = Runner::new(blob, isa).unwrap();
    let inputs = blob.inputs(&Array::read(folder.join("input.npy")).unwrap()).unwrap();
    let outputs: Vec<Vec<i8>> = inputs.iter().map(|input| runner.run(input)).collect();
    let expected = Array::read(folder.join(expected)).unwrap();
    let expected = expected.values().to_f32();
    let found: Vec<f32> = outputs.concat().into_iter().map(f32::from).collect();
    assert_eq!(expected.len(), found.len());
    let differences =
        expected.iter().zip(&found).map(|(a, b)| (a - b).abs() as i32).filter(|d| *d > 0);
    (differences.clone().count(), differences.max().unwrap_or(0))
}

fn check(model: &str, golden: &str, contract: Numerics, expected: &str) {
    let (Some(model), Some(folder)) = (shared(model), shared(golden)) else { return };
    for target in ["scalar", "x86-64-v3"] {
        let blob = convert(&model, target, contract);
        for &isa in Isa::ALL {
            if !isa.is_available() {
                eprintln!("SKIPPED: this machine has no {}", isa.name());
                continue;
            }
            assert_eq!(
                difference(&blob, isa, &folder, expected),
                (0, 0),
                "{} packed for {target} on {} against {expected}",
                model.display(),
                isa.name()
            );
        }
    }
}

#[test]
fn resnet8_equals_tflm() {
    let model = "models/mlperf_tiny/pretrainedResnet_quant.tflite";
    check(model, "golden/resnet8_int8", Numerics::Tflite, "tflm.npy");
}

#[test]
fn vww_equals_tflm() {
    let model = "models/mlperf_tiny/vww_96_int8.tflite";
    check(model, "golden/vww_96_int8", Numerics::Tflite, "tflm.npy");
}

#[test]
fn kws_equals_tflm() {
    let model = "models/mlperf_tiny/kws_ref_model.tflite";
    check(model, "golden/kws_int8", Numerics::Tflite, "tflm.npy");
}
