//! Each pass keeps the output and leaves out what it should.

use super::*;
use crate::graph::{Activation, Extent, Op, Padding, Param, Shape, Window};
use crate::interpret;

/// Numbers without structure, in -1..1.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16).to_le_bytes()[0]) / 128.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn param(name: &str, shape: &[usize], seed: u32) -> Param {
    Param::new(name, shape, values(shape.iter().product(), seed)).unwrap()
}

fn batch_norm(channels: usize, seed: u32) -> Op {
    let variance = values(channels, seed + 3).iter().map(|v| v.abs() + 0.1).collect();
    Op::BatchNorm {
        gamma: Some(param("gamma", &[channels], seed)),
        beta: Some(param("beta", &[channels], seed + 1)),
        mean: param("mean", &[channels], seed + 2),
        variance: Param::new("variance", [channels], variance).unwrap(),
        epsilon: 1e-3,
        momentum: 0.99,
    }
}

fn conv(outputs: usize, inputs: usize, seed: u32) -> Op {
    Op::Conv {
        filter: param("filter", &[outputs, 3, 3, inputs], seed),
        bias: None,
        window: Window::valid(Extent::square(3), Extent::ONE, Extent::ONE),
        activation: Activation::None,
    }
}

/// Everything that the passes know, in one network.
fn network() -> Graph {
    let mut b = GraphBuilder::new("all");
    let input = b.input("input", Shape::Map { height: 8, width: 7, channels: 3 }).unwrap();
    let pad = Op::Pad(Padding { top: 0, bottom: 1, left: 1, right: 0 });
    let x = b.add("pad", pad, &[input]).unwrap();
    let x = b.add("conv", conv(4, 3, 1), &[x]).unwrap();
    let x = b.add("bn", batch_norm(4, 10), &[x]).unwrap();
    let x = b.add("relu", Op::Activation(Activation::Relu6), &[x]).unwrap();
    let x = b.add("bn_after_relu", batch_norm(4, 20), &[x]).unwrap();
    let depthwise = Op::DepthwiseConv {
        filter: param("filter", &[1, 3, 3, 4], 30),
        bias: Some(param("bias", &[4], 31)),
        window: Window::same(Extent::new(7, 6), Extent::square(3), Extent::ONE, Extent::ONE)
            .unwrap(),
        activation: Activation::None,
    };
    let y = b.add("depthwise", depthwise, &[x]).unwrap();
    let y = b.add("bn_depthwise", batch_norm(4, 40), &[y]).unwrap();
    let x = b.add("add", Op::Add { activation: Activation::None }, &[x, y]).unwrap();
    let x = b.add("relu_2", Op::Activation(Activation::Relu), &[x]).unwrap();
    let x = b.add("dropout", Op::Dropout { rate: 0.5 }, &[x]).unwrap();
    let x = b.add("gap", Op::GlobalAvgPool { keep_axes: false }, &[x]).unwrap();
    let x = b.add("bn_vector", batch_norm(4, 50), &[x]).unwrap();
    let dense = Op::Dense {
        weights: param("weights", &[5, 4], 60),
        bias: Some(param("bias", &[5], 61)),
        activation: Activation::None,
    };
    let x = b.add("dense", dense, &[x]).unwrap();
    let x = b.add("softmax", Op::Softmax { beta: 1.0 }, &[x]).unwrap();
    b.finish(x).unwrap()
}

fn output(graph: &Graph) -> Vec<f32> {
    interpret::run(graph, &values(8 * 7 * 3, 99), |_, _| {}).unwrap()
}

fn check(pass: fn(Graph) -> Result<Graph, GraphError>, gone: &[&str], kept: &[&str]) {
    let before = network();
    let after = pass(before.clone()).unwrap();
    for (a, b) in output(&before).iter().zip(&output(&after)) {
        assert!((a - b).abs() < 1e-5, "{a} became {b}");
    }
    for name in gone {
        assert!(after.node_by_name(name).is_none(), "{name} is still there");
    }
    for name in kept {
        assert!(after.node_by_name(name).is_some(), "{name} is gone");
    }
}

#[test]
fn batch_norms_fold() {
    let kept = ["bn_after_relu", "conv", "depthwise", "dense"];
    check(fold_batch_norm, &["bn", "bn_depthwise", "bn_vector"], &kept);
}

#[test]
fn padding_folds() {
    check(fold_pad, &["pad"], &["conv"]);
}

#[test]
fn identities_go() {
    check(drop_identity, &["dropout"], &["relu", "gap"]);
}

#[test]
fn activations_fuse_where_nothing_else_reads() {
    check(fuse_activation, &["relu_2"], &["add", "conv"]);
}

#[test]
fn all_together() {
    let gone = ["pad", "bn", "relu", "bn_depthwise", "relu_2", "dropout", "bn_vector"];
    check(standard, &gone, &["conv", "bn_after_relu", "depthwise", "add", "gap", "dense"]);
}

#[test]
fn a_layer_with_two_readers_keeps_its_batch_norm_apart() {
    let mut b = GraphBuilder::new("shared");
    let input = b.input("input", Shape::Map { height: 8, width: 7, channels: 3 }).unwrap();
    let x = b.add("conv", conv(4, 3, 1), &[input]).unwrap();
    let y = b.add("bn", batch_norm(4, 10), &[x]).unwrap();
    let x = b.add("add", Op::Add { activation: Activation::None }, &[x, y]).unwrap();
    let before = b.finish(x).unwrap();
    let after = standard(before.clone()).unwrap();
    assert!(matches!(
        after.nodes()[after.node_by_name("bn").unwrap().index()].op,
        Op::DepthwiseConv { .. }
    ));
    for (a, b) in output(&before).iter().zip(&output(&after)) {
        assert!((a - b).abs() < 1e-5, "{a} became {b}");
    }
}

/// A network of `ops` in a row, each named by its place.
fn chain(ops: Vec<Op>) -> Graph {
    let mut b = GraphBuilder::new("chain");
    let mut x = b.input("input", Shape::Map { height: 8, width: 7, channels: 3 }).unwrap();
    for (place, op) in ops.into_iter().enumerate() {
        x = b.add(place.to_string(), op, &[x]).unwrap();
    }
    b.finish(x).unwrap()
}

fn check_chain(ops: Vec<Op>, layers_left: usize) {
    let before = chain(ops);
    let after = standard(before.clone()).unwrap();
    for (a, b) in output(&before).iter().zip(&output(&after)) {
        assert!((a - b).abs() < 1e-4, "{a} became {b}");
    }
    assert_eq!(after.nodes().len(), layers_left + 1, "{:?}", after.nodes());
}

#[test]
fn a_batch_norm_folds_forward_past_pools_and_reshapes() {
    let relu = || Op::Activation(Activation::Relu);
    let window = Window::valid(Extent::square(2), Extent::square(2), Extent::ONE);
    let average = || Op::AvgPool { window, activation: Activation::None };
    let depthwise = Op::DepthwiseConv {
        filter: param("filter", &[1, 3, 3, 6], 30),
        bias: Some(param("bias", &[6], 31)),
        window: Window::valid(Extent::square(3), Extent::ONE, Extent::ONE),
        activation: Activation::None,
    };
    let dense = |depth| Op::Dense {
        weights: param("weights", &[5, depth], 60),
        bias: None,
        activation: Activation::None,
    };
    check_chain(vec![relu(), batch_norm(3, 1), conv(4, 3, 2)], 2);
    check_chain(vec![relu(), batch_norm(3, 1), average(), conv(4, 3, 2)], 3);
    check_chain(vec![relu(), batch_norm(3, 1), depthwise], 2);
    check_chain(vec![relu(), batch_norm(3, 1), Op::Flatten, dense(168)], 3);
    // Only scales above 0 pass a max pool; this batch norm has others.
    let max = Op::MaxPool { window, activation: Activation::None };
    check_chain(vec![relu(), batch_norm(3, 1), max.clone(), conv(4, 3, 2)], 4);
    let mut positive = batch_norm(3, 1);
    if let Op::BatchNorm { gamma, .. } = &mut positive {
        *gamma = None;
    }
    check_chain(vec![relu(), positive, max, conv(4, 3, 2)], 3);
    // Zeros are padded behind the batch norm.
    let pad = Op::Pad(Padding { top: 1, bottom: 1, left: 1, right: 1 });
    check_chain(vec![relu(), batch_norm(3, 1), pad.clone(), conv(4, 3, 2)], 3);
    let pool = Op::MaxPool { window, activation: Activation::None };
    check_chain(vec![relu(), pad.clone(), pool.clone()], 2);
    check_chain(vec![pad, pool], 2);
}
