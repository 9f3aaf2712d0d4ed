//! Each thing that users meet has an error of its own that says what to do.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod networks;

use core::mem::offset_of;
use std::path::Path;

use mote_convert::blob::Blob;
use mote_convert::emit::AlignedBytes;
use mote_convert::graph::{GraphBuilder, Op, Shape};
use mote_convert::import;
use mote_convert::interpret;
use mote_convert::quantize::{Calibration, QuantizeError, quantize};
use mote_engine::format::Header;
use mote_engine::{Isa, Kernels, Model, Numerics, ParseError, PlanError, Session};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/cifar10_mobilenet/model.h5");

fn blob() -> AlignedBytes {
    networks::blob(&networks::classifier(), Numerics::Tflite, "scalar", &[])
}

/// The parser's error for `bytes`, whose text must hold `words`.
fn refusal(bytes: &[u8], words: &[&str]) -> ParseError {
    let bytes = AlignedBytes::from(bytes);
    let error = Model::parse(&bytes).unwrap_err();
    says(&error.to_string(), words);
    error
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn a_newer_format() {
    let mut bytes = blob().to_vec();
    bytes[offset_of!(Header, version_major)] = 2;
    let error = refusal(&bytes, &["2.0", "1.x", "update Mote", "convert"]);
    assert_eq!(error, ParseError::Version { major: 2, minor: 0 });
}

#[test]
fn a_truncated_blob() {
    let bytes = blob();
    let expected = u32::try_from(bytes.len()).unwrap();
    let error = refusal(&bytes[..bytes.len() - 16], &["truncated", "copy", "again"]);
    assert_eq!(error, ParseError::Truncated { expected, found: expected - 16 });
    refusal(&bytes[..10], &["truncated", "10 of 80"]);
}

#[test]
fn a_wrong_checksum() {
    let mut bytes = blob().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let error = refusal(&bytes, &["damaged", "checksum", "again"]);
    assert!(matches!(error, ParseError::Checksum { .. }));
}

#[test]
fn no_blob_at_all() {
    let error = refusal(&[b'x'; 100], &["not a Mote blob", "mote quantize"]);
    assert_eq!(error, ParseError::Magic);
}

#[test]
fn a_small_arena() {
    let blob = blob();
    let model = Model::parse(&blob).unwrap();
    let needed = model.arena_bytes();
    let mut arena = AlignedBytes::zeroed(needed - 1);
    let error = Session::new(model, Kernels::best(), arena.as_i8_mut()).unwrap_err();
    let size = u32::try_from(needed).unwrap();
    assert_eq!(error, PlanError::ArenaTooSmall { needed: size, found: size - 1 });
    says(&error.to_string(), &[&needed.to_string(), "ARENA_BYTES"]);
}

#[test]
fn an_unsupported_layer_in_a_model_file() {
    let mut bytes = std::fs::read(MODEL).unwrap();
    let known = br#""class_name": "Conv2D""#;
    let place = bytes.windows(known.len()).position(|window| window == known).unwrap();
    bytes[place..place + known.len()].copy_from_slice(br#""class_name": "Conv9D""#);
    let error = import::from_bytes(&bytes).unwrap_err().to_string();
    says(&error, &["layer 1", "`stem`", "Conv9D", "not supported", "supported: ", "Conv2D"]);
}

#[test]
fn a_layer_without_integer_kernel() {
    let mut builder = GraphBuilder::new("net");
    let input = builder.input("input", Shape::Vector(2)).unwrap();
    let op = Op::Rescale { scale: vec![1.0, 2.0], offset: vec![0.0, 0.5] };
    let scaled = builder.add("scaled", op, &[input]).unwrap();
    let graph = builder.finish(scaled).unwrap();
    let mut calibration = Calibration::new(&graph);
    interpret::run(&graph, &[0.5, -0.5], |id, values| {
        calibration.observe(&graph, id, values).unwrap();
    })
    .unwrap();
    let error = quantize(&graph, Some(&calibration.finish().unwrap())).unwrap_err();
    assert!(matches!(error, QuantizeError::Unsupported { position: 1, .. }));
    says(&error.to_string(), &["`scaled`", "rescale", "number 1", "int8"]);
}

#[test]
fn a_float_model_without_pictures() {
    let error = quantize(&networks::classifier(), None).unwrap_err();
    says(&error.to_string(), &["float", "--calibration"]);
}

#[test]
fn a_missing_file() {
    let path = Path::new("no/such/model.mote");
    let blob = Blob::open(path).unwrap_err().to_string();
    let model = import::open(path).unwrap_err().to_string();
    for text in [blob, model] {
        says(&text, &["cannot read", "no/such/model.mote"]);
    }
}

#[test]
fn a_microcontroller_takes_what_was_packed_for_it() {
    const CHIPS: [(&str, Isa); 2] = [("cortex-m4", Isa::Armv7emDsp), ("cortex-m55", Isa::Mve)];
    for graph in [networks::classifier(), networks::inverted_residual()] {
        for numerics in [Numerics::Tflite, Numerics::Fp32] {
            for (target, isa) in CHIPS {
                let blob = networks::blob(&graph, numerics, target, &[]);
                let model = Model::parse(&blob).unwrap();
                assert_eq!(model.first_not_taken(isa), None, "{} for {target}", graph.name());
                for (other, isa) in CHIPS.iter().filter(|(other, _)| *other != target) {
                    assert_eq!(model.first_not_taken(*isa), Some(0), "{target} on {other}");
                }
                assert_eq!(model.first_not_taken(Isa::Scalar), None);
            }
        }
    }
    let refused = PlanError::NotPacked { op: 3 };
    says(&refused.to_string(), &["operation 3", "--target", "`fallback`"]);
}
