//! Three training steps agree with PyTorch's: see `data/golden_training.py`. `MOTE_GOLDEN_TRAINING` names another file of
//! that script's, such as one that `cargo xtask pytorch` has just made.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeMap;

use mote_convert::graph::{
    Activation, BATCH_NORM_MOMENTUM, Extent, Graph, GraphBuilder, NodeId, Op, Param, Shape, Window,
};
use mote_convert::train::{Batch, Optimizer, Trainer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    losses: Vec<f32>,
    weights: BTreeMap<String, Vec<f32>>,
}

/// As in the script.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..len + 8).map(|_| next()).skip(8).collect()
}

fn param(shape: &[usize], seed: u64, factor: f32, offset: f32) -> Param {
    let data = values(shape.iter().product(), seed);
    let data = data.iter().map(|value| value * factor + offset).collect();
    Param::new("p", shape, data).unwrap()
}

fn norm(b: &mut GraphBuilder, name: &str, x: NodeId, seed: u64, beta: f32) -> NodeId {
    let norm = Op::BatchNorm {
        gamma: Some(param(&[8], seed, 0.5, 1.0)),
        beta: Some(param(&[8], seed + 1, 0.5, beta)),
        mean: Param::new("m", [8], vec![0.0; 8]).unwrap(),
        variance: Param::new("v", [8], vec![1.0; 8]).unwrap(),
        epsilon: 1e-3,
        momentum: BATCH_NORM_MOMENTUM,
    };
    b.add(name, norm, &[x]).unwrap()
}

fn network() -> Graph {
    let activation = Activation::None;
    let same = |stride| {
        let (input, three) = (Extent::square(8), Extent::square(3));
        Window::same(input, three, Extent::square(stride), Extent::ONE).unwrap()
    };
    let mut b = GraphBuilder::new("golden");
    let x = b.input("input", Shape::Map { height: 8, width: 8, channels: 3 }).unwrap();
    let filter = param(&[8, 3, 3, 3], 1, 0.4, 0.0);
    let conv = Op::Conv { filter, bias: None, window: same(1), activation };
    let x = b.add("conv", conv, &[x]).unwrap();
    let x = norm(&mut b, "conv_norm", x, 2, 0.5);
    let x = b.add("relu", Op::Activation(Activation::Relu6), &[x]).unwrap();
    let depthwise = Op::DepthwiseConv {
        filter: param(&[1, 3, 3, 8], 4, 0.5, 0.0),
        bias: Some(param(&[8], 5, 0.2, 0.0)),
        window: same(2),
        activation,
    };
    let x = b.add("depthwise", depthwise, &[x]).unwrap();
    let x = norm(&mut b, "depthwise_norm", x, 6, 0.5);
    let x = b.add("relu_2", Op::Activation(Activation::Relu6), &[x]).unwrap();
    let filter = param(&[8, 1, 1, 8], 8, 0.5, 0.0);
    let pointwise = Op::Conv { filter, bias: None, window: Window::POINT, activation };
    let y = b.add("pointwise", pointwise, &[x]).unwrap();
    let y = norm(&mut b, "pointwise_norm", y, 9, 0.0);
    let x = b.add("sum", Op::Add { activation: Activation::Relu }, &[x, y]).unwrap();
    let window = Window::valid(Extent::square(2), Extent::square(2), Extent::ONE);
    let x = b.add("pool", Op::AvgPool { window, activation }, &[x]).unwrap();
    let x = b.add("flatten", Op::Flatten, &[x]).unwrap();
    let dense = Op::Dense {
        weights: param(&[5, 32], 11, 0.3, 0.0),
        bias: Some(param(&[5], 12, 0.1, 0.0)),
        activation,
    };
    let x = b.add("dense", dense, &[x]).unwrap();
    let x = b.add("softmax", Op::Softmax { beta: 1.0 }, &[x]).unwrap();
    b.finish(x).unwrap()
}

#[test]
fn three_steps_agree_with_pytorch() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden_training.json");
    let path = std::env::var("MOTE_GOLDEN_TRAINING").unwrap_or_else(|_| committed.to_owned());
    let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).expect("valid JSON");
    let inputs = values(6 * 8 * 8 * 3, 20);
    let mut targets = vec![0.0; 6 * 5];
    (0..6).for_each(|picture| targets[picture * 5 + picture % 5] = 1.0);
    let batch = Batch { inputs: &inputs, targets: &targets, sample_weights: None, seed: 0 };
    let mut trainer = Trainer::new(network()).unwrap();
    let mut optimizer = Optimizer::sgd(0.9, false, 0.0);
    assert_eq!(golden.losses.len(), 3);
    for expected in golden.losses {
        let found = trainer.step(&batch, &mut optimizer, 0.05).unwrap().loss;
        assert!((found - expected).abs() < 1e-4, "loss {found} is not {expected}");
    }
    assert_eq!(trainer.graph().weights().count(), golden.weights.len());
    for weight in trainer.graph().weights() {
        let expected = &golden.weights[&weight.name()];
        assert_eq!(expected.len(), weight.param.len(), "{}", weight.name());
        for (found, expected) in weight.param.data.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{}: {found}, {expected}", weight.name());
        }
    }
}
