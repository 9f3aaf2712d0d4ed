//! Small files in the ways of several exporters, each with what ONNX Runtime computes; `tests/data/onnx_cases.py` wrote
//! them.

use std::io::Read;

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::*;
use crate::graph::{Activation, Op, WeightRole};
use crate::interpret;

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    file: String,
    /// In the order height, width, channels.
    output: Option<Vec<f32>>,
    /// Words of the error.
    error: Option<Vec<String>>,
}

impl Case {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let byte = |place| u8::from_str_radix(&self.file[place..place + 2], 16).unwrap();
        (0..self.file.len()).step_by(2).map(byte).collect()
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let packed = &include_bytes!("../../../tests/data/onnx_cases.json.gz")[..];
    let mut json = String::new();
    GzDecoder::new(packed).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn graph(name: &str) -> Graph {
    read(&cases().into_iter().find(|case| case.name == name).unwrap().bytes()).unwrap()
}

#[test]
fn every_operator_computes_what_onnx_runtime_does() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.output.is_some()).collect();
    assert!(cases.len() > 50, "{}", cases.len());
    for case in cases {
        let name = &case.name;
        let graph = read(&case.bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let picture = (0..graph.input_shape().elements()).map(|index| index * 37 % 256);
        let picture = picture.map(|value| f32::from(u8::try_from(value).unwrap()) / 64.0 - 2.0);
        let output = interpret::run(&graph, &picture.collect::<Vec<_>>(), |_, _| ()).unwrap();
        let expected = case.output.unwrap();
        assert_eq!(output.len(), expected.len(), "{name}");
        for (output, expected) in output.iter().zip(&expected) {
            let size = expected.abs().max(1.0);
            assert!((output - expected).abs() < 2e-5 * size, "{name}: {output} {expected}");
        }
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.error.is_some()).collect();
    assert!(cases.len() > 15, "{}", cases.len());
    for case in cases {
        let message = read(&case.bytes()).unwrap_err().to_string();
        for words in case.error.unwrap() {
            assert!(message.contains(&words), "{}: `{words}` is not in: {message}", case.name);
        }
    }
}

#[test]
fn layers_stay_as_training_needs_them() {
    let graph = graph("shortcut");
    let names: Vec<_> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["x", "shortcut", "stem", "bn", "sum", "y"]);
    let shortcut = graph.node(graph.node_by_name("shortcut").unwrap());
    assert!(!shortcut.trainable);
    let Op::Conv { filter, window, .. } = &shortcut.op else { panic!("{shortcut:?}") };
    assert_eq!((&filter.shape[..], window.stride.height), (&[7, 1, 1, 3][..], 2));
    let roles: Vec<_> = graph.weights().map(|weight| weight.role).skip(2).collect();
    let norm = [WeightRole::Gamma, WeightRole::Beta, WeightRole::MovingMean];
    assert_eq!(roles, [&norm[..], &[WeightRole::MovingVariance]].concat());
}

#[test]
fn constants_of_an_operator_are_those_of_its_version() {
    let op = |name: &str| graph(name).nodes().last().unwrap().op.clone();
    assert!(matches!(op("norm"), Op::BatchNorm { momentum: 0.8, epsilon: 1e-3, .. }));
    assert!(matches!(op("old norm"), Op::BatchNorm { momentum: 0.9, epsilon: 1e-5, .. }));
    assert_eq!(op("dropout"), Op::Dropout { rate: 0.25 });
    assert_eq!(op("old dropout"), Op::Dropout { rate: 0.25 });
    let clamp = Activation::Clamp { min: -1.0, max: 1.5 };
    assert_eq!(op("old clip"), Op::Activation(clamp));
}

#[test]
fn steps_and_constants_become_one_layer() {
    for (name, layers) in
        [("steps", 2), ("scaling", 2), ("conv and addition", 2), ("flat product", 3)]
    {
        assert_eq!(graph(name).nodes().len(), layers, "{name}");
    }
}

/// Lengths that lead beyond the file, integers and nodes without end.
#[test]
fn the_frame_is_checked_before_it_is_parsed() {
    let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(message(b"\x08\x07\x3a\xff\xff\xff\xff\x0f").contains("ends beyond"));
    assert!(message(b"\x08\x07\x3a\x80").contains("ends beyond"));
    assert!(message(b"\x08\x07").contains("no graph"));
    // A tensor whose first extent has no last byte: the parser would never end.
    let dims = b"\x0a\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    assert!(message(&[b"\x08\x07\x3a\x0f\x2a\x0d", &dims[..]].concat()).contains("ends beyond"));
    let nodes = b"\x0a\x00".repeat(2 << 20);
    let mut file = b"\x08\x07\x3a\x80\x80\x80\x02".to_vec();
    file.extend(nodes);
    assert!(message(&file).contains("parts"), "{}", message(&file));
}
