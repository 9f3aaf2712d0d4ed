//! Small blobs with every operation in them, for tests that need some blob and no data.

use mote_convert::emit::{AlignedBytes, Metadata, emit};
use mote_convert::graph::{
    Activation, Extent, Graph, GraphBuilder, NodeId, Op, Padding, Param, Shape, Window,
};
use mote_convert::interpret;
use mote_convert::lower::lower;
use mote_convert::quantize::{Calibration, halve, quantize_mixed};
use mote_convert::quantized::Network;
use mote_convert::target::Target;
use mote_engine::Numerics;

/// Each network for each contract, packed for each layout.
pub fn blobs() -> Vec<AlignedBytes> {
    let mut blobs = Vec::new();
    for graph in [everything(), inverted_residual(), classifier()] {
        for numerics in [Numerics::Tflite, Numerics::Fp32] {
            for target in ["scalar", "x86-64-v3"] {
                blobs.push(blob(&graph, numerics, target, &[]));
            }
        }
        for target in ["scalar", "x86-64-v3"] {
            blobs.push(finish(&graph, &halve(&graph).unwrap(), Numerics::Fp32, target));
        }
    }
    for numerics in [Numerics::Tflite, Numerics::Fp32] {
        blobs.push(blob(&everything(), numerics, "x86-64-v3", &["depthwise", "max_pool"]));
    }
    blobs
}

/// `graph` calibrated on numbers without structure, some layers kept in half precision.
pub fn blob(graph: &Graph, numerics: Numerics, target: &str, halves: &[&str]) -> AlignedBytes {
    let mut calibration = Calibration::new(graph);
    for seed in 0..2 {
        let input = values(graph.input_shape().elements(), 99 + seed);
        interpret::run(graph, &input, |id, values| {
            calibration.observe(graph, id, values).unwrap();
        })
        .unwrap();
    }
    let halves: Vec<String> = halves.iter().map(|&name| name.to_owned()).collect();
    let ranges = calibration.finish().unwrap();
    let network = quantize_mixed(graph, Some(&ranges), &halves).unwrap();
    finish(graph, &network, numerics, target)
}

/// The blob of a quantized `graph`.
pub fn finish(graph: &Graph, network: &Network, numerics: Numerics, target: &str) -> AlignedBytes {
    let program = lower(network, Target::from_name(target).unwrap(), numerics).unwrap();
    let outputs = graph.output_shape().elements();
    let metadata = Metadata {
        labels: Some((0..outputs).map(|class| format!("class {class}")).collect()),
        preprocess: Some("scaling=unit".to_owned()),
        provenance: Some("{}".to_owned()),
    };
    emit(&program, &metadata).unwrap()
}

/// One of each operation that the engine knows.
pub fn everything() -> Graph {
    let mut net = Net::new("everything", Shape::Map { height: 9, width: 8, channels: 3 });
    let x = net.add("conv", conv([6, 3, 3, 3], 2, (1, 1)), &[net.input]);
    let y = net.add("depthwise", depthwise(6, 3, 1), &[x]);
    let y = net.add("pointwise", conv([6, 1, 1, 6], 1, (0, 0)), &[y]);
    let x = net.add("add", Op::Add { activation: Activation::Relu }, &[x, y]);
    let window = Window::valid(Extent::square(2), Extent::ONE, Extent::ONE);
    let pool = Op::AvgPool { window, activation: Activation::None };
    let x = net.add("avg_pool", pool, &[x]);
    let x = net.add("clamp", Op::Activation(Activation::Relu6), &[x]);
    let x = net.add("pad", Op::Pad(Padding { top: 1, bottom: 0, left: 1, right: 2 }), &[x]);
    let pool = Op::MaxPool { window, activation: Activation::None };
    let x = net.add("max_pool", pool, &[x]);
    let x = net.add("lookup", Op::Rescale { scale: vec![0.5], offset: vec![0.25] }, &[x]);
    let x = net.add("gap", Op::GlobalAvgPool { keep_axes: false }, &[x]);
    let x = net.add("dense", dense(5, 6), &[x]);
    let x = net.add("softmax", Op::Softmax { beta: 1.0 }, &[x]);
    net.finish(x)
}

/// Wide in the middle, so that the planner puts a depthwise convolution in place.
pub fn inverted_residual() -> Graph {
    let mut net = Net::new("inverted_residual", Shape::Map { height: 10, width: 10, channels: 4 });
    let x = net.add("expand", conv([24, 1, 1, 4], 1, (0, 0)), &[net.input]);
    let x = net.add("depthwise", depthwise(24, 3, 1), &[x]);
    let x = net.add("project", conv([4, 1, 1, 24], 1, (0, 0)), &[x]);
    let x = net.add("add", Op::Add { activation: Activation::None }, &[net.input, x]);
    let x = net.add("conv", conv([10, 3, 3, 4], 1, (0, 1)), &[x]);
    net.finish(x)
}

/// A vector in, a vector out.
pub fn classifier() -> Graph {
    let mut net = Net::new("classifier", Shape::Vector(40));
    let x = net.add("hidden", dense(17, 40), &[net.input]);
    let x = net.add("twice", Op::Add { activation: Activation::None }, &[x, x]);
    let x = net.add("output", dense(3, 17), &[x]);
    net.finish(x)
}

/// [`classifier`] with one weight of a layer changed.
pub fn classifier_with(layer: &str, weight: f32) -> Graph {
    let (mut builder, nodes, output) = classifier().into_builder();
    for mut node in nodes {
        if node.name == layer
            && let Op::Dense { weights, .. } = &mut node.op
        {
            weights.data[1] = weight;
        }
        builder.push(node).unwrap();
    }
    builder.finish(output).unwrap()
}

/// Numbers without structure, in -1..1.
pub fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16).to_le_bytes()[0]) / 128.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

struct Net {
    builder: GraphBuilder,
    input: NodeId,
}

impl Net {
    fn new(name: &str, shape: Shape) -> Self {
        let mut builder = GraphBuilder::new(name);
        let input = builder.input("input", shape).unwrap();
        Self { builder, input }
    }

    fn add(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> NodeId {
        self.builder.add(name, op, inputs).unwrap()
    }

    fn finish(self, output: NodeId) -> Graph {
        self.builder.finish(output).unwrap()
    }
}

fn param(shape: &[usize], seed: u32) -> Param {
    Param::new("values", shape, values(shape.iter().product(), seed)).unwrap()
}

fn conv(shape: [usize; 4], stride: usize, (before, after): (usize, usize)) -> Op {
    let kernel = Extent::new(shape[1], shape[2]);
    let padding = Padding { top: before, bottom: after, left: before, right: after };
    Op::Conv {
        filter: param(&shape, 1),
        bias: Some(param(&[shape[0]], 2)),
        window: Window { padding, ..Window::valid(kernel, Extent::square(stride), Extent::ONE) },
        activation: Activation::Relu,
    }
}

fn depthwise(channels: usize, kernel: usize, pad: usize) -> Op {
    let padding = Padding { top: pad, bottom: pad, left: pad, right: pad };
    Op::DepthwiseConv {
        filter: param(&[1, kernel, kernel, channels], 3),
        bias: Some(param(&[channels], 4)),
        window: Window {
            padding,
            ..Window::valid(Extent::square(kernel), Extent::ONE, Extent::ONE)
        },
        activation: Activation::Relu6,
    }
}

fn dense(outputs: usize, inputs: usize) -> Op {
    Op::Dense {
        weights: param(&[outputs, inputs], 5),
        bias: Some(param(&[outputs], 6)),
        activation: Activation::None,
    }
}
