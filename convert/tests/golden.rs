//! Quantized TFLite models through import, lowering and the engine equal their peers bit for bit, on
//! every instruction set of this machine: TensorFlow Lite Micro (for MobileNetV2 the TFLite
//! reference) under the `tflite` contract, XNNPACK under `fp32`.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(clippy::cast_possible_truncation, reason = "differences of int8 values")]

use std::path::Path;

use mote_convert::blob::{Blob, Provenance, Runner};
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
    let provenance = Provenance {
        input_type: graph.io_type.input.into(),
        output_type: graph.io_type.output.into(),
        ..Provenance::default()
    };
    let provenance = Some(serde_json::to_string(&provenance).unwrap());
    Blob::new(emit(&program, &Metadata { provenance, ..Metadata::default() }).unwrap()).unwrap()
}

/// Values that differ, and by how much at most, over all samples of a golden set.
fn difference(blob: &Blob, isa: Isa, folder: &Path, expected: &str) -> (usize, i32) {
    let mut runner = Runner::new(blob, isa).unwrap();
    let inputs = blob.inputs(&Array::read(folder.join("input.npy")).unwrap()).unwrap();
    let outputs: Vec<Vec<i8>> = inputs.iter().map(|input| runner.run(input)).collect();
    let expected = Array::read(folder.join(expected)).unwrap();
    let expected = expected.values().to_f32();
    let found = blob.outputs(&outputs).values().to_f32();
    assert_eq!(expected.len(), found.len());
    let differences =
        expected.iter().zip(&found).map(|(a, b)| (a - b).abs() as i32).filter(|d| *d > 0);
    (differences.clone().count(), differences.max().unwrap_or(0))
}

/// No value differs, on any instruction set.
fn check(model: &str, golden: &str, contract: Numerics, expected: &str) {
    check_within(model, golden, contract, expected, (0, 0));
}

/// At most `most.0` values differ, by at most `most.1`, on every instruction set alike.
fn check_within(model: &str, golden: &str, contract: Numerics, expected: &str, most: (usize, i32)) {
    let (Some(model), Some(folder)) = (shared(model), shared(golden)) else { return };
    for target in ["scalar", "x86-64-v3"] {
        let blob = convert(&model, target, contract);
        for &isa in Isa::ALL {
            if !isa.is_available() {
                eprintln!("SKIPPED: this machine has no {}", isa.name());
                continue;
            }
            let found = difference(&blob, isa, &folder, expected);
            assert!(
                found.0 <= most.0 && found.1 <= most.1,
                "{} packed for {target} on {} against {expected}: {} values differ by up to {}",
                model.display(),
                isa.name(),
                found.0,
                found.1,
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

#[test]
fn mobilenet_v2_equals_the_tflite_reference() {
    let model = "models/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite";
    check(model, "golden/mobilenet_v2_224_ptq", Numerics::Tflite, "tflite_reference.npy");
}

#[test]
fn mlperf_tiny_equals_xnnpack() {
    for (model, golden) in [
        ("models/mlperf_tiny/pretrainedResnet_quant.tflite", "golden/resnet8_int8"),
        ("models/mlperf_tiny/vww_96_int8.tflite", "golden/vww_96_int8"),
        ("models/mlperf_tiny/kws_ref_model.tflite", "golden/kws_int8"),
    ] {
        check(model, golden, Numerics::Fp32, "xnnpack.npy");
    }
}

#[test]
fn mobilenet_v2_is_within_one_value_of_xnnpack() {
    // Its mean rounds elsewhere; docs/numerics.md.
    let model = "models/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite";
    let golden = "golden/mobilenet_v2_224_ptq";
    check_within(model, golden, Numerics::Fp32, "xnnpack.npy", (1, 1));
}
