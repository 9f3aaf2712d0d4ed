//! Gradients against finite differences, and what training must not do.

mod reference;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::blob::{Blob, Runner};
use crate::emit::{Metadata, emit};
use crate::graph::{Activation, Extent, GraphBuilder, NodeId, Padding, Param, WeightRole, Window};
use crate::interpret;
use crate::lower::lower;
use crate::passes;
use crate::quantize;
use crate::target::Target;

/// Numbers without structure, in -1..1.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..8).for_each(|_| {
        next();
    });
    (0..len).map(|_| next()).collect()
}

fn param(shape: &[usize], seed: u64) -> Param {
    Param::new("p", shape, values(shape.iter().product(), seed)).unwrap()
}

/// Inputs and targets of a batch, kept alive.
struct Data {
    inputs: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
}

impl Data {
    fn new(graph: &Graph, pictures: usize, seed: u64) -> Self {
        let classes = graph.output_shape().elements();
        let mut targets = values(pictures * classes, seed + 1);
        for row in targets.chunks_exact_mut(classes) {
            row.iter_mut().for_each(|value| *value = value.abs());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|value| *value /= sum);
        }
        Self {
            inputs: values(pictures * graph.input_shape().elements(), seed),
            targets,
            weights: values(pictures, seed + 2).iter().map(|value| value + 1.5).collect(),
        }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            inputs: &self.inputs,
            targets: &self.targets,
            sample_weights: Some(&self.weights),
            seed: 7,
        }
    }
}

/// What an op is made from in a generated case.
#[derive(Clone, Debug)]
struct Case {
    kind: usize,
    map: (usize, usize, usize),
    outputs: usize,
    window: Window,
    activation: Activation,
    has_bias: bool,
    seed: u64,
}

const KINDS: usize = 13;

fn cases() -> impl Strategy<Value = Case> {
    let extent = |max: usize| (1..=max, 1..=max).prop_map(|(h, w)| Extent::new(h, w));
    let padding = (0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize);
    let window = (extent(3), extent(3), extent(2), padding);
    let activation = prop_oneof![
        Just(Activation::None),
        Just(Activation::Relu),
        Just(Activation::Clamp { min: -0.4, max: 0.5 })
    ];
    let channels = prop_oneof![1..5_usize, 15..19_usize];
    let outputs = prop_oneof![1..5_usize, 7..19_usize];
    let map = (1..7_usize, 1..7_usize, channels);
    (0..KINDS, map, outputs, window, activation, any::<bool>(), any::<u64>()).prop_map(
        |(kind, map, outputs, (kernel, stride, dilation, pad), activation, has_bias, seed)| {
            let padding = Padding { top: pad.0, bottom: pad.1, left: pad.2, right: pad.3 };
            let window = Window { kernel, stride, dilation, padding };
            Case { kind, map, outputs, window, activation, has_bias, seed: seed >> 8 }
        },
    )
}

impl Case {
    /// The op under test between two dense layers, so that the first one's bias shows the slopes by every input.
    fn graph(&self) -> Option<Graph> {
        let (height, width, channels) = self.map;
        let mut b = GraphBuilder::new("case");
        let input = b.input("input", Shape::Vector(2)).ok()?;
        let len = height * width * channels;
        let x = b.add("spread", self.dense(len, 2, 1), &[input]).ok()?;
        let map = Op::Reshape(Shape::Map { height, width, channels });
        let x = b.add("map", map, &[x]).ok()?;
        let x = self.add_op(&mut b, x)?;
        let x = b.add("flat", Op::Flatten, &[x]).ok()?;
        let len = b.shape(x).elements();
        let x = b.add("scores", self.dense(3, len, 2), &[x]).ok()?;
        let x = b.add("softmax", Op::Softmax { beta: 1.5 }, &[x]).ok()?;
        b.finish(x).ok()
    }

    fn dense(&self, outputs: usize, depth: usize, seed: u64) -> Op {
        Op::Dense {
            weights: param(&[outputs, depth], self.seed + seed),
            bias: Some(param(&[outputs], self.seed + seed + 10)),
            activation: Activation::None,
        }
    }

    fn add_op(&self, b: &mut GraphBuilder, x: NodeId) -> Option<NodeId> {
        let (window, activation, seed) = (self.window, self.activation, self.seed);
        let (channels, outputs) = (self.map.2, self.outputs);
        let Extent { height, width } = window.kernel;
        let bias = |outputs: usize| self.has_bias.then(|| param(&[outputs], seed + 4));
        let op = match self.kind {
            0..3 => Op::Conv {
                filter: param(&[outputs, height, width, channels], seed + 3),
                bias: bias(outputs),
                window: if self.kind == 2 && window.kernel == Extent::ONE {
                    Window::POINT
                } else {
                    window
                },
                activation,
            },
            3..5 => {
                let outputs = channels * (outputs % 3 + 1);
                Op::DepthwiseConv {
                    filter: param(&[1, height, width, outputs], seed + 3),
                    bias: bias(outputs),
                    window,
                    activation,
                }
            }
            5 => {
                let norm = self.batch_norm(channels);
                let x = b.add("norm", norm, &[x]).ok()?;
                return b.add("clamp", Op::Activation(activation), &[x]).ok();
            }
            6 => {
                let y = b.add("clamp", Op::Activation(activation), &[x]).ok()?;
                let y = b.add("norm", self.batch_norm(channels), &[y]).ok()?;
                if self.has_bias {
                    b.set_trainable(y, false);
                }
                return b.add("sum", Op::Add { activation }, &[x, y]).ok();
            }
            7 => Op::AvgPool { window: self.pool_window(), activation },
            8 => Op::MaxPool { window: self.pool_window(), activation },
            9 => Op::GlobalAvgPool { keep_axes: self.has_bias },
            10 => Op::Pad(window.padding),
            11 => {
                let x = b.add("dropout", Op::Dropout { rate: 0.4 }, &[x]).ok()?;
                let scale = values(channels, seed + 5);
                return b.add("rescale", Op::Rescale { scale, offset: vec![0.25] }, &[x]).ok();
            }
            _ => Op::Softmax { beta: 0.7 },
        };
        b.add("op", op, &[x]).ok()
    }

    /// A pool's taps lie side by side and never all in the padding.
    fn pool_window(&self) -> Window {
        let Window { kernel, padding, .. } = self.window;
        let padding = Padding {
            top: padding.top.min(kernel.height - 1),
            bottom: padding.bottom.min(kernel.height - 1),
            left: padding.left.min(kernel.width - 1),
            right: padding.right.min(kernel.width - 1),
        };
        Window { dilation: Extent::ONE, padding, ..self.window }
    }

    fn batch_norm(&self, channels: usize) -> Op {
        let seed = self.seed;
        Op::BatchNorm {
            gamma: (!seed.is_multiple_of(3)).then(|| param(&[channels], seed + 6)),
            beta: (!seed.is_multiple_of(5)).then(|| param(&[channels], seed + 7)),
            mean: param(&[channels], seed + 8),
            variance: Param::new("v", [channels], vec![0.7; channels]).unwrap(),
            epsilon: 0.1,
            momentum: 0.9,
        }
    }
}

fn trained(graph: &Graph) -> Vec<Vec<f64>> {
    let weights = graph.weights().filter(|weight| weight.trainable);
    weights.map(|weight| weight.param.data.iter().copied().map(f64::from).collect()).collect()
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    // Generated windows need not fit their maps.
    let Some(graph) = case.graph() else { return Err(TestCaseError::reject("no such layer")) };
    let data = Data::new(&graph, 5, case.seed);
    let batch = data.batch();
    let mut weights = trained(&graph);
    let expected = reference::loss(&graph, &batch, &weights);
    let found = Trainer::new(graph.clone()).unwrap().gradients(&batch).unwrap();
    prop_assert!((f64::from(found.report.loss) - expected).abs() < 1e-5 * expected.max(1.0));
    prop_assert_eq!(found.weights.len(), weights.len());
    for (which, (name, gradient)) in found.weights.iter().enumerate() {
        let mut differences = Vec::new();
        for index in 0..gradient.len() {
            const STEP: f64 = 1e-6;
            let own = weights[which][index];
            let mut at = |value: f64| {
                weights[which][index] = value;
                reference::loss(&graph, &batch, &weights)
            };
            let difference = (at(own + STEP) - at(own - STEP)) / (2.0 * STEP);
            weights[which][index] = own;
            differences.push(difference);
        }
        let largest = differences.iter().fold(0.0_f64, |largest, d| largest.max(d.abs()));
        for (index, (found, expected)) in gradient.iter().zip(&differences).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            prop_assert!(
                error <= 2e-5 * largest + 2e-6,
                "{} [{}]: {} is not {}",
                name,
                index,
                found,
                expected
            );
        }
    }
    Ok(())
}

#[test]
fn gradients_equal_finite_differences() {
    // Always the same cases: a difference across a kink of a clamp would be none of the trainer's fault.
    let config = Config { cases: 200, max_global_rejects: 4000, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(
        proptest::test_runner::RngAlgorithm::ChaCha,
    );
    let mut kinds = [0; KINDS];
    let counted = core::cell::RefCell::new(&mut kinds);
    let result = TestRunner::new_with_rng(config, rng).run(&cases(), |case| {
        check(&case)?;
        counted.borrow_mut()[case.kind] += 1;
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(kinds.iter().all(|&count| count >= 5), "{kinds:?}");
}

/// A small residual network with everything in it.
fn network(seed: u64) -> Graph {
    let mut b = GraphBuilder::new("network");
    let case = Case {
        kind: 0,
        map: (7, 6, 3),
        outputs: 10,
        window: Window::POINT,
        activation: Activation::None,
        has_bias: true,
        seed: seed * 100 + 1,
    };
    let same = |input, stride| {
        let (kernel, stride) = (Extent::square(3), Extent::square(stride));
        Window::same(input, kernel, stride, Extent::ONE).unwrap()
    };
    let x = b.input("input", Shape::Map { height: 7, width: 6, channels: 3 }).unwrap();
    let conv = |outputs, inputs, window: Window, seed| Op::Conv {
        filter: param(&[outputs, window.kernel.height, window.kernel.width, inputs], seed),
        bias: Some(param(&[outputs], seed + 50)),
        window,
        activation: Activation::None,
    };
    let stem = conv(20, 3, same(Extent::new(7, 6), 2), seed + 1);
    let x = b.add("stem", stem, &[x]).unwrap();
    let x = b.add("stem_norm", case.batch_norm(20), &[x]).unwrap();
    let x = b.add("stem_relu", Op::Activation(Activation::Relu6), &[x]).unwrap();
    let depthwise = Op::DepthwiseConv {
        filter: param(&[1, 3, 3, 20], seed + 2),
        bias: None,
        window: same(Extent::new(4, 3), 1),
        activation: Activation::Relu,
    };
    let y = b.add("depthwise", depthwise, &[x]).unwrap();
    let y = b.add("project", conv(20, 20, Window::POINT, seed + 3), &[y]).unwrap();
    let y = b.add("project_norm", case.batch_norm(20), &[y]).unwrap();
    let x = b.add("sum", Op::Add { activation: Activation::Relu }, &[x, y]).unwrap();
    let x = b.add("pool", Op::GlobalAvgPool { keep_axes: false }, &[x]).unwrap();
    let x = b.add("dropout", Op::Dropout { rate: 0.2 }, &[x]).unwrap();
    let x = b.add("scores", case.dense(10, 20, 5), &[x]).unwrap();
    let x = b.add("softmax", Op::Softmax { beta: 1.0 }, &[x]).unwrap();
    b.finish(x).unwrap()
}

/// The network with the layers of these names frozen.
fn freeze(graph: Graph, is_frozen: impl Fn(&str) -> bool) -> Graph {
    let (mut builder, nodes, output) = graph.into_builder();
    for mut node in nodes {
        node.trainable &= !is_frozen(&node.name);
        builder.push(node).unwrap();
    }
    builder.finish(output).unwrap()
}

#[test]
fn predictions_equal_the_reference() {
    for seed in 0..10 {
        let graph = network(seed);
        let data = Data::new(&graph, 37, seed);
        let mut trainer = Trainer::new(graph.clone()).unwrap();
        let found = trainer.predict(&data.inputs).unwrap().to_vec();
        assert_eq!(found.len(), 370);
        for (found, picture) in found.chunks(10).zip(data.inputs.chunks(7 * 6 * 3)) {
            let expected = interpret::run(&graph, picture, |_, _| ()).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() <= 1e-4 * expected.max(1e-3),
                    "{found} {expected}"
                );
            }
        }
        let features = Predictor::new(graph).predict(&data.inputs).unwrap().to_vec();
        assert_eq!(features, found);
    }
}

#[test]
fn what_is_frozen_keeps_every_bit() {
    let frozen = ["stem", "stem_norm", "project_norm"];
    let graph = freeze(network(3), |name| frozen.contains(&name));
    let data = Data::new(&graph, 9, 5);
    let mut trainer = Trainer::new(graph.clone()).unwrap();
    let mut optimizer = Optimizer::adamw(0.9, 0.999, 1e-7, 0.1);
    for _ in 0..3 {
        trainer.step(&data.batch(), &mut optimizer, 0.01).unwrap();
    }
    for (before, after) in graph.weights().zip(trainer.graph().weights()) {
        let bits = |param: &Param| param.data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let is_same = bits(before.param) == bits(after.param);
        assert_eq!(is_same, frozen.contains(&before.layer), "{}", before.name());
    }
}

#[test]
fn moving_statistics_follow_the_batch() {
    let graph = freeze(network(3), |name| name == "stem");
    let data = Data::new(&graph, 9, 5);
    let mut stem = Vec::new();
    for picture in data.inputs.chunks(7 * 6 * 3) {
        let place = graph.node_by_name("stem").unwrap();
        interpret::run(&graph, picture, |id, y| {
            if id == place {
                stem.extend(y.iter().copied().map(f64::from));
            }
        })
        .unwrap();
    }
    let (mean, variance) = reference::moments(&stem, 20);
    let mut trainer = Trainer::new(graph.clone()).unwrap();
    trainer.step(&data.batch(), &mut Optimizer::sgd(0.0, false, 0.0), 0.01).unwrap();
    let statistics = |graph: &Graph| {
        let weights = graph.weights().filter(|weight| weight.layer == "stem_norm");
        let statistics = weights.filter(|weight| weight.role.is_statistic());
        statistics.map(|weight| weight.param.data.clone()).collect::<Vec<_>>()
    };
    let (before, after) = (statistics(&graph), statistics(trainer.graph()));
    for (which, batch) in [mean, variance].iter().enumerate() {
        for channel in 0..20 {
            let expected = 0.9 * f64::from(before[which][channel]) + 0.1 * batch[channel];
            assert!((f64::from(after[which][channel]) - expected).abs() < 1e-5);
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let train = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let graph = network(4);
            let data = Data::new(&graph, 33, 6);
            let mut trainer = Trainer::new(graph).unwrap();
            let mut optimizer = Optimizer::sgd(0.9, true, 1e-3);
            let mut reports = Vec::new();
            for _ in 0..3 {
                reports.push(trainer.step(&data.batch(), &mut optimizer, 0.02).unwrap());
            }
            let scores = trainer.predict(&data.inputs).unwrap().to_vec();
            (reports, scores, trainer.into_graph())
        })
    };
    let alone = train(1);
    for threads in [2, 3, 8] {
        assert!(train(threads) == alone, "{threads} threads");
    }
}

#[test]
fn a_network_learns_its_batch() {
    let graph = network(5);
    let mut data = Data::new(&graph, 16, 8);
    for (picture, row) in data.targets.chunks_exact_mut(10).enumerate() {
        row.fill(0.0);
        row[picture % 10] = 1.0;
    }
    data.weights.fill(1.0);
    let mut trainer = Trainer::new(graph).unwrap();
    let mut optimizer = Optimizer::adam(0.9, 0.999, 1e-7);
    let first = trainer.step(&data.batch(), &mut optimizer, 0.02).unwrap();
    let mut last = first;
    for _ in 0..150 {
        last = trainer.step(&data.batch(), &mut optimizer, 0.02).unwrap();
    }
    assert!(last.loss < 0.3 * first.loss && last.correct >= 14, "{first:?} became {last:?}");
}

#[test]
fn what_cannot_be_trained_is_told() {
    let graph = network(6);
    let frozen = freeze(graph.clone(), |_| true);
    assert_eq!(Trainer::new(frozen).unwrap_err(), TrainError::NothingTrainable);
    let mut b = GraphBuilder::new("map");
    let input = b.input("input", Shape::Map { height: 4, width: 4, channels: 3 }).unwrap();
    let relu = b.add("relu", Op::Activation(Activation::Relu), &[input]).unwrap();
    let error = Trainer::new(b.finish(relu).unwrap()).unwrap_err();
    assert_eq!(error, TrainError::Output { found: "4x4x3".to_owned() });

    let mut data = Data::new(&graph, 4, 1);
    let mut trainer = Trainer::new(graph.clone()).unwrap();
    let mut optimizer = Optimizer::sgd(0.9, false, 0.0);
    let short = Batch { targets: &data.targets[1..], ..data.batch() };
    let error = trainer.step(&short, &mut optimizer, 0.1).unwrap_err();
    assert_eq!(error, TrainError::Batch { what: "targets", expected: 40, found: 39 });
    let error = trainer.predict(&data.inputs[1..]).unwrap_err();
    assert!(matches!(error, TrainError::Batch { what: "input elements", .. }), "{error}");
    assert!(trainer.predict(&[]).is_err());
    data.inputs[5] = f32::NAN;
    let error = trainer.step(&data.batch(), &mut optimizer, 0.1).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { step: 0, .. }), "{error}");
    assert_eq!(*trainer.graph(), graph, "a failed step changes nothing");
}

/// The folded network with the quantization that its pictures calibrate.
fn calibrated(seed: u64) -> (Graph, Data) {
    let graph = passes::standard(network(seed)).unwrap();
    let data = Data::new(&graph, 24, seed);
    let samples: Vec<Vec<f32>> = data.inputs.chunks(7 * 6 * 3).map(<[f32]>::to_vec).collect();
    (quantize::calibrated(graph, &samples, None, &|_, _| ()).unwrap(), data)
}

#[test]
fn rounded_training_predicts_what_int8_gives() {
    let (graph, data) = calibrated(7);
    let mut trainer = Trainer::quantization_aware(graph).unwrap();
    let mut optimizer = Optimizer::sgd(0.9, false, 0.0);
    let first = trainer.step(&data.batch(), &mut optimizer, 0.01).unwrap();
    let mut last = first;
    for _ in 0..60 {
        last = trainer.step(&data.batch(), &mut optimizer, 0.01).unwrap();
    }
    assert!(last.loss < first.loss, "{first:?} became {last:?}");
    let graph = trainer.graph();
    let logits = graph.node(graph.output()).inputs[0];
    let logits = graph.builder_up_to(logits).unwrap().finish(logits).unwrap();
    let rounded = Predictor::rounded(logits.clone()).predict(&data.inputs).unwrap().to_vec();
    let float = Predictor::new(logits.clone()).predict(&data.inputs).unwrap().to_vec();
    let blob = blob(&logits);
    let mut runner = Runner::new(&blob, mote_kernels::Isa::best()).unwrap();
    let (mut beside, mut apart) = (0, 0);
    let answers = rounded.len() / 24;
    for (place, picture) in data.inputs.chunks(7 * 6 * 3).enumerate() {
        let row = place * answers..(place + 1) * answers;
        let int8 = runner.run(&blob.quantize_input(picture));
        for ((stored, rounded), float) in int8.iter().zip(&rounded[row.clone()]).zip(&float[row]) {
            let distance = |value: f32| {
                (blob.output().dequantize(*stored) - value).abs() / blob.output().scale
            };
            assert!(
                distance(*rounded) < 1.01,
                "{place}: {stored} is {} steps off",
                distance(*rounded)
            );
            beside += usize::from(distance(*rounded) > 0.01);
            apart += usize::from(distance(*float) > 0.51);
        }
    }
    // A sum on the middle of two steps may go either way; without rounding much would be another step.
    let of = rounded.len();
    assert!(beside * 20 <= of && apart > 5 * beside, "{beside} beside, {apart} apart of {of}");
}

fn blob(graph: &Graph) -> Blob {
    let network = quantize::quantize(graph, None).unwrap();
    let program = lower(&network, Target::host(), mote_engine::Numerics::Fp32).unwrap();
    Blob::new(emit(&program, &Metadata::default()).unwrap()).unwrap()
}

#[test]
fn slopes_pass_straight_through_the_rounding() {
    let (graph, data) = calibrated(8);
    let mut plain = Trainer::new(graph.clone()).unwrap();
    let plain = plain.gradients(&data.batch()).unwrap();
    let mut rounded = Trainer::quantization_aware(graph).unwrap();
    let rounded = rounded.gradients(&data.batch()).unwrap();
    for ((name, a), (_, b)) in plain.weights.iter().zip(&rounded.weights) {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(cosine > 0.98 && a != b, "{name}: {cosine}");
    }
}

#[test]
fn weak_layers_learn_in_rounded_training_as_strong_ones_do() {
    // The same function: one layer 64 times weaker, its steps 64 times finer, the next as much stronger.
    const WEAKER: f32 = 1.0 / 64.0;
    let (graph, data) = calibrated(11);
    let (mut builder, nodes, output) = graph.clone().into_builder();
    for mut node in nodes {
        let factors = match &*node.name {
            "depthwise" => [WEAKER, WEAKER],
            "project" => [WEAKER.recip(), 1.0],
            _ => [1.0, 1.0],
        };
        for (role, param) in node.op.weights_mut() {
            let factor = factors[usize::from(role == WeightRole::Bias)];
            param.data.iter_mut().for_each(|value| *value *= factor);
        }
        if node.name == "depthwise" {
            node.quantization.as_mut().unwrap().scale *= WEAKER;
        }
        builder.push(node).unwrap();
    }
    let weak = builder.finish(output).unwrap();
    let losses = |graph: Graph| -> Vec<f32> {
        let mut trainer = Trainer::quantization_aware(graph).unwrap();
        let mut optimizer = Optimizer::adamw(0.9, 0.999, 1e-7, 0.01);
        let mut step = |_| trainer.step(&data.batch(), &mut optimizer, 1e-2).unwrap().loss;
        (0..20).map(&mut step).collect()
    };
    let [strong, weak] = [graph, weak].map(losses);
    assert!(strong[19] < strong[0], "{strong:?}");
    // Powers of two round alike.
    assert_eq!(strong, weak);
}

#[test]
fn batch_norms_are_folded_before_rounded_training() {
    let error = Trainer::quantization_aware(network(9)).unwrap_err();
    assert!(error.to_string().contains("stem_norm"), "{error}");
    let folded = passes::standard(network(9)).unwrap();
    let error = Trainer::quantization_aware(folded).unwrap_err();
    assert!(matches!(error, TrainError::NoQuantization { .. }), "{error}");
}
