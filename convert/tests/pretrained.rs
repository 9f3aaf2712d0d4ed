//! Real pretrained networks against what their own frameworks say of them.
//!
//! Needs the development data; without it every test here is skipped and says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mote_convert::blob::{Blob, Runner};
use mote_convert::data::{Content, Dataset, Sample};
use mote_convert::emit::{Metadata, emit};
use mote_convert::graph::{Graph, Shape};
use mote_convert::import;
use mote_convert::interpret::{self, Interpreter};
use mote_convert::lower::lower;
use mote_convert::passes;
use mote_convert::picture::Picture;
use mote_convert::preprocess::{Pixels, Preprocess, Scaling};
use mote_convert::quantize::{halve, post_training};
use mote_convert::target::Target;
use mote_convert::testing::shared;
use mote_engine::{Isa, Numerics};
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator,
};

/// ResNet-8 of MLPerf Tiny is known to be right on exactly 8719 of the 10,000 test pictures.
#[test]
fn resnet8_has_its_known_accuracy() {
    let Some((graph, data)) = open("mlperf_tiny/pretrainedResnet.h5", "data/cifar10") else {
        return;
    };
    assert_eq!(correct(&graph, &data, Scaling::Raw), 8719);
}

/// Within 0.1 point of float.
#[test]
fn resnet8_loses_nothing_in_half_precision() {
    let Some((graph, data)) = open("mlperf_tiny/pretrainedResnet.h5", "data/cifar10") else {
        return;
    };
    let network = halve(&passes::standard(graph).unwrap()).unwrap();
    let program = lower(&network, Target::host(), Numerics::Fp32).unwrap();
    let blob = Blob::new(emit(&program, &Metadata::default()).unwrap()).unwrap();
    let preprocess = Preprocess::new(Scaling::Raw);
    let is_right = |runner: &mut Runner<'_>, index: usize| {
        let Content::Picture(picture) = data.sample(index).unwrap().content else { panic!() };
        let input = blob.quantize_input(&preprocess.tensor_f32(&picture, 32, 32));
        let scores = blob.output_reals(&runner.run(&input));
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        best == data.label(index)
    };
    let right = (0..data.len()).into_par_iter().map_init(
        || Runner::new(&blob, Isa::best()).unwrap(),
        |runner, index| usize::from(is_right(runner, index)),
    );
    let right: usize = right.sum();
    assert!(right.abs_diff(8719) <= 10, "{right} of 10,000, 8719 in float");
}

#[test]
fn resnet8_is_the_same_from_keras_and_tflite() {
    let Some(keras) = graph("mlperf_tiny/pretrainedResnet.h5") else { return };
    let Some(tflite) = graph("mlperf_tiny/pretrainedResnet.tflite") else { return };
    assert!(distance(&keras, &tflite, 255.0) < 1e-4);
}

#[test]
fn visual_wake_words_tells_persons() {
    let Some(keras) = graph("mlperf_tiny/vww_96.h5") else { return };
    let Some(tflite) = graph("mlperf_tiny/vww_96_float.tflite") else { return };
    assert!(distance(&keras, &tflite, 1.0) < 1e-4);
    // These pictures hold int8 pixels, 128 below the real ones and wrapped around.
    let preprocess = Preprocess { pixels: Pixels::Signed, ..Preprocess::new(Scaling::Unit) };
    for (name, class) in [("person", 1), ("no_person", 0)] {
        let Some(path) = shared(&format!("pictures/{name}.bmp")) else { return };
        let input = preprocess.tensor_f32(&Picture::open(path).unwrap(), 96, 96);
        let scores = interpret::run(&keras, &input, |_, _| ()).unwrap();
        assert!(scores[class] > 0.8, "{name}: {scores:?}");
    }
}

/// 57.6 % of 500 photos, give or take what decoding and cutting them differently does.
#[test]
fn mobilenet_v1_has_its_known_accuracy() {
    let name = "imagenet/mobilenet_v1_0.25_224.h5";
    let Some((graph, data)) = open(name, "data/imagenet_dev500") else { return };
    assert_eq!(graph.parameters(), 475_544);
    let correct = correct(&graph, &data, Scaling::Tf);
    assert!((286..=290).contains(&correct), "{correct} of 500, 288 expected");

    // On int8 it loses at most a point.
    let preprocess = Preprocess::new(Scaling::Tf);
    let tensor = |index: &usize| {
        let Content::Picture(picture) = data.sample(*index).unwrap().content else { panic!() };
        preprocess.tensor_f32(&picture, 224, 224)
    };
    let inputs: Vec<Vec<f32>> =
        (0..data.len()).collect::<Vec<_>>().par_iter().map(tensor).collect();
    let graph = passes::standard(graph).unwrap();
    let samples: Vec<Vec<f32>> = inputs.iter().step_by(2).cloned().collect();
    let network = post_training(graph, &samples, Some((-1.0, 1.0)), &[], &|_, _| {}).unwrap();
    let program = lower(&network, Target::host(), Numerics::Fp32).unwrap();
    let blob = Blob::new(emit(&program, &Metadata::default()).unwrap()).unwrap();
    let is_right = |(index, input): (usize, &Vec<f32>)| {
        let mut runner = Runner::new(&blob, Isa::best()).unwrap();
        let scores = runner.run(&blob.quantize_input(input));
        let best = (0..scores.len()).rev().max_by_key(|&class| scores[class]);
        best == data.label(index)
    };
    let on_int8 = inputs.par_iter().enumerate().filter(|&sample| is_right(sample)).count();
    assert!(on_int8 + 5 >= correct, "{on_int8} of 500 on int8, {correct} on float");
}

#[test]
fn vgg_with_late_batch_norms_has_its_known_accuracy() {
    let Some((graph, data)) = open("cifar10/vgg_cnn_cifar10.h5", "data/cifar10") else { return };
    let data = data.subset(1000, 1);
    let correct = correct(&graph, &data, Scaling::Raw);
    assert!((770..=830).contains(&correct), "{correct} of 1000, about 801 expected");
}

/// On the whole test set 91.73, 93.39 and 90.05 %, as ONNX Runtime; shortcuts of the first two come as shape arithmetic.
#[test]
fn networks_from_onnx_have_their_known_accuracy() {
    for (name, scaling, expected) in [
        ("resnet20_cifar10_bn", Scaling::Torch, 275),
        ("resnet56_cifar10", Scaling::Torch, 280),
        ("vgg_nascifar_cifar10", Scaling::Offset128, 270),
    ] {
        let Some((graph, data)) = open(&format!("cifar10/{name}.onnx"), "data/cifar10") else {
            return;
        };
        let correct = correct(&graph, &data.subset(300, 1), scaling);
        assert!(
            correct.abs_diff(expected) <= 10,
            "{name}: {correct} of 300, about {expected} expected"
        );
    }
}

#[test]
fn mobilenet_v2_from_onnx_has_its_known_accuracy() {
    let name = "imagenet/mobilenet_v2_1.0_224_deq.onnx";
    let Some((graph, data)) = open(name, "data/imagenet_dev500") else { return };
    // Class 0 is the background.
    let class = |label| label + 1;
    let correct = correct_as(&graph, &data.subset(100, 1), Scaling::Tf, class);
    assert!((78..=94).contains(&correct), "{correct} of 100, about 86 expected");
}

/// 45.2 and 67.8 % in uint8; here in the float that it means.
#[test]
fn networks_of_the_old_uint8_scheme_have_their_known_accuracy() {
    for (name, expected) in [("0.25_128", 90), ("0.5_160", 135)] {
        let name = format!("imagenet/mobilenet_v1_{name}_quant.tflite");
        let Some((graph, data)) = open(&name, "data/imagenet_dev500") else { return };
        assert!(!graph.is_quantized());
        assert_eq!(graph.preprocess.map(|preprocess| preprocess.scaling), Some(Scaling::Offset128));
        let correct =
            correct_as(&graph, &data.subset(200, 1), Scaling::Offset128, |label| label + 1);
        assert!(
            correct.abs_diff(expected) <= 14,
            "{name}: {correct} of 200, about {expected} expected"
        );
    }
}

/// The float meaning of a quantized network is close to what the quantized one computes.
#[test]
fn quantized_networks_are_accurate_in_float() {
    let name = "mlperf_tiny/pretrainedResnet_quant.tflite";
    let Some((graph, data)) = open(name, "data/cifar10") else { return };
    assert!(graph.is_quantized());
    let data = data.subset(1000, 1);
    let correct = correct(&graph, &data, Scaling::Raw);
    assert!((850..=900).contains(&correct), "{correct} of 1000, about 870 expected");
}

#[test]
fn passes_keep_what_networks_compute() {
    for (name, range, layers) in [
        ("mlperf_tiny/pretrainedResnet.h5", 255.0, 17),
        ("mlperf_tiny/vww_96.h5", 1.0, 32),
        ("mlperf_tiny/vww_96_float.tflite", 1.0, 32),
        ("imagenet/mobilenet_v1_0.25_224.h5", 1.0, 32),
        ("cifar10/vgg_cnn_cifar10.h5", 255.0, 14),
        ("cifar10/resnet20_cifar10_bn.onnx", 2.0, 34),
    ] {
        let Some(before) = graph(name) else { return };
        let after = passes::standard(before.clone()).unwrap();
        let distance = distance(&before, &after, range);
        assert!(distance < 1e-4, "{name}: {distance}");
        assert_eq!(after.nodes().len(), layers, "{name}");
    }
}

#[test]
fn every_model_imports() {
    for name in [
        "mlperf_tiny/kws_ref_model.tflite",
        "mlperf_tiny/kws_ref_model_float32.tflite",
        "mlperf_tiny/vww_96_int8.tflite",
        "imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite",
        "imagenet/mobilenet_v1_0.25_128_quant.tflite",
        "imagenet/mobilenet_v1_0.5_160_quant.tflite",
        "cifar10/resnet20_cifar10_bn.onnx",
        "cifar10/resnet56_cifar10.onnx",
        "cifar10/vgg_nascifar_cifar10.onnx",
        "imagenet/mobilenet_v2_1.0_224_deq.onnx",
    ] {
        let Some(path) = shared(&format!("models/{name}")) else { return };
        let error = import::open(path).err();
        assert!(error.is_none(), "{}", error.unwrap());
    }
}

fn graph(name: &str) -> Option<Graph> {
    Some(import::open(shared(&format!("models/{name}"))?).unwrap())
}

fn open(model: &str, data: &str) -> Option<(Graph, Dataset)> {
    Some((graph(model)?, Dataset::open(shared(data)?, None).unwrap()))
}

/// How many samples have the highest score at their label.
fn correct(graph: &Graph, data: &Dataset, scaling: Scaling) -> usize {
    correct_as(graph, data, scaling, |label| label)
}

/// The same, with the network's class of a label.
fn correct_as(graph: &Graph, data: &Dataset, scaling: Scaling, class: fn(usize) -> usize) -> usize {
    let preprocess = Preprocess::new(scaling);
    let Shape::Map { height, width, .. } = graph.input_shape() else { panic!("a map goes in") };
    let [height, width] = [height, width].map(|side| u32::try_from(side).unwrap());
    let next = AtomicUsize::new(0);
    let count = || {
        let mut interpreter = Interpreter::new(graph);
        let mut correct = 0;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= data.len() {
                return correct;
            }
            let Sample { label, content: Content::Picture(picture), .. } =
                data.sample(index).unwrap()
            else {
                panic!("pictures are stored")
            };
            let input = preprocess.tensor_f32(&picture, height, width);
            let scores = interpreter.run(&input, |_, _| ()).unwrap();
            let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            correct += usize::from(best == label.map(class));
        }
    };
    thread::scope(|scope| {
        let threads = [scope.spawn(count), scope.spawn(count)];
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

/// Largest difference of outputs over a few reproducible noise pictures, relative to outputs beyond 1.
fn distance(left: &Graph, right: &Graph, range: f32) -> f32 {
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(seed >> 16).unwrap()) / 65536.0 * range
    };
    let mut largest = 0.0_f32;
    for _ in 0..5 {
        let input: Vec<f32> = (0..left.input_shape().elements()).map(|_| noise()).collect();
        let [a, b] = [left, right].map(|graph| interpret::run(graph, &input, |_, _| ()).unwrap());
        let size = a.iter().fold(1.0, |size: f32, a| size.max(a.abs()));
        largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs() / size).fold(largest, f32::max);
    }
    largest
}
