//! Half precision from the graph to the output: whole networks, and single layers of int8 ones.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod networks;

use mote_convert::blob::{Blob, Runner};
use mote_convert::emit::AlignedBytes;
use mote_convert::graph::Graph;
use mote_convert::interpret;
use mote_convert::quantize::{QuantizeError, halve, quantize_mixed};
use mote_engine::format::{ElementType, OpKind};
use mote_engine::{Isa, Kernels, Model, Numerics, PlanError, Session};

/// Largest distance to the float network, relative to its largest output.
fn distance(graph: &Graph, blob: &AlignedBytes) -> f32 {
    let blob = Blob::new(blob.clone()).unwrap();
    let input = networks::values(graph.input_shape().elements(), 99);
    let float = interpret::run(graph, &input, |_, _| ()).unwrap();
    let mut runner = Runner::new(&blob, Isa::best()).unwrap();
    let found = blob.output_reals(&runner.run(&blob.quantize_input(&input)));
    assert_eq!(float.len(), found.len());
    let largest = float.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let distances = float.iter().zip(&found).map(|(a, b)| (a - b).abs());
    distances.fold(0.0, f32::max) / largest
}

#[test]
fn halves_keep_close_to_float() {
    for graph in [networks::everything(), networks::inverted_residual(), networks::classifier()] {
        for target in ["scalar", "x86-64-v3", "cortex-m4"] {
            let network = halve(&graph).unwrap();
            let blob = networks::finish(&graph, &network, Numerics::Fp32, target);
            let distance = distance(&graph, &blob);
            assert!(distance < 4e-3, "{} for {target}: {distance}", graph.name());
        }
    }
}

#[test]
fn some_layers_stay_in_half_precision() {
    let graph = networks::inverted_residual();
    let int8 = networks::blob(&graph, Numerics::Fp32, "x86-64-v3", &[]);
    let kept = ["expand", "depthwise", "project"];
    let mixed = networks::blob(&graph, Numerics::Fp32, "x86-64-v3", &kept);
    let model = Model::parse(&mixed).unwrap();
    let kinds: Vec<OpKind> = (0..model.op_count()).filter_map(|op| model.kind(op)).collect();
    assert_eq!(
        kinds,
        [
            OpKind::DequantizeF16,
            OpKind::PointwiseConvF16,
            OpKind::DepthwiseConvF16,
            OpKind::PointwiseConvF16,
            OpKind::QuantizeF16,
            OpKind::Add,
            OpKind::Conv
        ]
    );
    let (of_int8, of_mixed) = (distance(&graph, &int8), distance(&graph, &mixed));
    assert!(of_mixed < of_int8, "{of_mixed} instead of {of_int8}");
}

#[test]
fn a_session_takes_and_gives_real_numbers() {
    let graph = networks::classifier();
    let blob = networks::finish(&graph, &halve(&graph).unwrap(), Numerics::Fp32, "scalar");
    let model = Model::parse(&blob).unwrap();
    assert_eq!(model.input().element, ElementType::F16);
    let mut arena = AlignedBytes::zeroed(model.arena_bytes() + 1);
    let odd = &mut arena.as_i8_mut()[1..];
    let refused = Session::new(model, Kernels::best(), odd).map(drop);
    assert_eq!(refused, Err(PlanError::ArenaMisaligned));
    let mut session = Session::new(model, Kernels::best(), arena.as_i8_mut()).unwrap();
    assert!(session.set_input(&[0.0; 39]).is_err());
    let input = networks::values(40, 3);
    session.set_input(&input).unwrap();
    session.run();
    let float = interpret::run(&graph, &input, |_, _| ()).unwrap();
    for (found, float) in session.output_reals().zip(&float) {
        assert!((found - float).abs() < 4e-3 * float.abs().max(1.0), "{found} for {float}");
    }
    let best = session.top_k::<1>()[0];
    assert!(float.iter().all(|&other| other <= float[usize::from(best.class)]));
}

#[test]
fn what_no_half_holds_is_an_error_with_its_layer() {
    let large = networks::classifier_with("output", 65_520.0);
    let Err(QuantizeError::HalfRange { layer, value }) = halve(&large) else {
        panic!("65520 is no half")
    };
    assert_eq!((layer.as_str(), value), ("output", 65_520.0));
    assert!(halve(&networks::classifier_with("output", 65_519.0)).is_ok());
    let missing = quantize_mixed(&large, None, &["no_such_layer".to_owned()]);
    assert!(matches!(missing, Err(QuantizeError::UnknownLayer { .. })));
}
