use super::*;
use crate::import;
use crate::interpret;
use crate::testing::shared;

fn network(name: &str, options: &Options) -> Graph {
    Network::from_name(name, None).unwrap().build(options).unwrap()
}

/// What `keras.applications` counts, with zeros for weights.
#[test]
fn parameters_are_those_of_keras() {
    let options = Options { seed: None, ..Options::default() };
    for (name, all, trainable) in [
        ("mobilenet-v1", 4_253_864, 4_231_976),
        ("mobilenet-v2", 3_538_984, 3_504_872),
        ("resnet50", 25_636_712, 25_583_592),
        ("vgg16", 138_357_544, 138_357_544),
    ] {
        let graph = network(name, &options);
        assert_eq!((graph.parameters(), graph.trainable_parameters()), (all, trainable), "{name}");
    }
}

/// What torchvision counts; its batch norms' statistics are no parameters there.
#[test]
fn parameters_are_those_of_torchvision() {
    let options = Options { seed: None, ..Options::default() };
    for (name, parameters) in [("resnet18", 11_689_512), ("resnet34", 21_797_672)] {
        assert_eq!(network(name, &options).trainable_parameters(), parameters, "{name}");
    }
}

#[test]
fn networks_for_small_pictures() {
    let options = Options { height: 32, width: 32, top: Top::Classes(10), ..Options::default() };
    for (name, trainable) in [
        ("resnet8", 78_042),
        ("resnet20", 272_474),
        ("resnet56", 855_770),
        ("vgg11-cifar", 9_228_362),
        ("vgg16-cifar", 14_724_042),
    ] {
        let graph = network(name, &options);
        assert_eq!(graph.trainable_parameters(), trainable, "{name}");
        assert_eq!(graph.output_shape().elements(), 10);
    }
}

/// Features differ from picture to picture, however small they are before batch norms have seen data.
#[test]
fn fresh_networks_run() {
    let top = Top::Features(Pooling::Avg);
    let options = Options { height: 32, width: 32, top, ..Options::default() };
    for name in ["mobilenet-v1", "mobilenet-v2", "resnet8", "vgg11-cifar"] {
        let graph = network(name, &options);
        let picture = |step: usize| {
            let pixels = (0..3072).map(|index| (index * step) % 256);
            pixels.map(|p| f32::from(u8::try_from(p).unwrap()) / 127.5 - 1.0).collect::<Vec<_>>()
        };
        let [one, other] =
            [37, 91].map(|step| interpret::run(&graph, &picture(step), |_, _| ()).unwrap());
        assert!(one.iter().all(|value| value.is_finite()), "{name}");
        let differ = one.iter().zip(&other).filter(|(a, b)| a != b).count();
        assert!(differ > one.len() / 4, "{name}: {differ} of {}", one.len());
    }
}

#[test]
fn tops() {
    let shape = |pooling| {
        let top = Top::Features(pooling);
        let options = Options { height: 64, width: 96, top, ..Options::default() };
        network("mobilenet-v1", &options).output_shape().dims()
    };
    assert_eq!(shape(Pooling::None), [2, 3, 1024]);
    assert_eq!(shape(Pooling::Avg), [1024]);
    assert_eq!(shape(Pooling::Max), [1024]);
}

#[test]
fn mistakes_are_named() {
    let text = |error: NetworkError| error.to_string();
    let name = text(Network::from_name("resnet9", None).unwrap_err());
    assert!(name.contains("resnet9") && name.contains("mobilenet-v2"), "{name}");
    assert_eq!(
        Network::from_name("vgg16", Some(0.5)).unwrap_err(),
        NetworkError::NoAlpha("vgg16".to_owned())
    );
    let small = Options { height: 16, width: 16, ..Options::default() };
    let small = text(Network::Vgg(11).build(&small).unwrap_err());
    assert!(small.contains("block5_pool") && small.contains("large enough"), "{small}");
    for alpha in [0.0, -1.0, f32::NAN, 1e9] {
        let network = Network::MobilenetV1 { alpha };
        assert!(matches!(network.build(&Options::default()), Err(NetworkError::Alpha(_))));
    }
    let huge = Options { height: usize::MAX, ..Options::default() };
    assert!(Network::Vgg(16).build(&huge).is_err());
    let classes = Options { top: Top::Classes(usize::MAX), ..Options::default() };
    assert!(Network::MobilenetV2 { alpha: 1.0 }.build(&classes).is_err());
}

#[test]
fn keras_weights_fit() {
    let name = "models/imagenet/mobilenet_v1_0.25_224.h5";
    let Some(path) = shared(name) else { return };
    let source = import::open(path).unwrap();
    let options = Options { seed: None, ..Options::default() };
    let mut graph = Network::MobilenetV1 { alpha: 0.25 }.build(&options).unwrap();
    let loaded = load_weights(&mut graph, &source).unwrap();
    assert_eq!((loaded.loaded.len(), loaded.missing.len()), (55, 0));
    let picture: Vec<f32> = (0..224 * 224 * 3)
        .map(|i| f32::from(u8::try_from(i % 251).unwrap()) / 125.5 - 1.0)
        .collect();
    let run = |graph: &Graph| interpret::run(graph, &picture, |_, _| ()).unwrap();
    for (ours, theirs) in run(&graph).iter().zip(run(&source)) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    }

    let mut wide = Network::MobilenetV1 { alpha: 0.5 }.build(&options).unwrap();
    let before = wide.clone();
    let message = load_weights(&mut wide, &source).unwrap_err().to_string();
    assert!(message.contains("`conv1`") && message.contains("[3, 3, 3, 16]"), "{message}");
    assert!(message.contains("mobilenet_0.25_224 has kernel [3, 3, 3, 8]"), "{message}");
    assert_eq!(wide, before);
    let mut other = Network::CifarResnet(8).build(&options).unwrap();
    assert!(load_weights(&mut other, &source).is_err());
}

/// The same network with names of another exporter; its output numbered, too.
fn renamed(graph: Graph) -> Graph {
    let (mut builder, nodes, output) = graph.into_builder();
    for (index, mut node) in nodes.into_iter().enumerate() {
        node.name = format!("node_{index}");
        builder.push(node).unwrap();
    }
    builder.finish(output).unwrap()
}

#[test]
fn weights_without_common_names_go_in_order() {
    let options = |seed, classes| Options {
        height: 32,
        width: 32,
        top: Top::Classes(classes),
        seed,
        ..Options::default()
    };
    let build = |seed, classes| Network::CifarResnet(8).build(&options(seed, classes)).unwrap();
    let source = renamed(build(Some(5), 10));
    let mut graph = build(None, 10);
    let loaded = load_weights(&mut graph, &source).unwrap();
    assert!(loaded.in_order && loaded.missing.is_empty());
    assert!(graph.weights().zip(source.weights()).all(|(a, b)| a.param.data == b.param.data));

    let top = Top::Features(Pooling::Avg);
    let mut features = Network::CifarResnet(8).build(&Options { top, ..options(None, 0) }).unwrap();
    assert!(load_weights(&mut features, &source).unwrap().in_order);

    let mut other = build(None, 3);
    let before = other.clone();
    let message = load_weights(&mut other, &source).unwrap_err().to_string();
    let expected = "in order `fc` needs kernel [64, 3], bias [3] where `node_";
    assert!(message.contains(expected), "{message}");
    assert_eq!(other, before);
    let mut deep = Network::CifarResnet(14).build(&options(None, 10)).unwrap();
    assert!(load_weights(&mut deep, &source).is_err());
}

/// Each value of the sample is its array's place, plus eighths that count its elements modulo 7.
#[test]
fn weights_of_keras_fit_by_name() {
    let layers = import::keras::read_weights(&import::keras::sample::weights()).unwrap();
    let options = |top| Options { height: 32, width: 32, top, seed: None, ..Options::default() };
    let build = |alpha: f32, top| Network::MobilenetV1 { alpha }.build(&options(top)).unwrap();
    let mut graph = build(0.05, Top::Features(Pooling::None));
    let loaded = load_layers(&mut graph, &layers).unwrap();
    assert_eq!((loaded.loaded.len(), loaded.missing.len()), (54, 0));
    for (place, weight) in graph.weights().enumerate() {
        let name = weight.name();
        let element = |index: usize| {
            f32::from(u8::try_from(place).unwrap())
                + f32::from(u8::try_from(index % 7).unwrap()) / 8.0
        };
        let expected = (0..weight.param.len()).map(element);
        assert!(weight.keras_data().iter().copied().eq(expected), "{name}");
    }

    let mut with_top = build(0.05, Top::Classes(3));
    assert_eq!(load_layers(&mut with_top, &layers).unwrap().missing, ["conv_preds"]);
    let mut wide = build(0.25, Top::Features(Pooling::None));
    let before = wide.clone();
    let message = load_layers(&mut wide, &layers).unwrap_err().to_string();
    assert!(message.contains("`conv1/kernel` needs shape [3, 3, 3, 8]"), "{message}");
    assert_eq!(wide, before);
    let mut other = Network::CifarVgg(11).build(&options(Top::Classes(10))).unwrap();
    let message = load_layers(&mut other, &layers).unwrap_err().to_string();
    assert!(message.contains("is among those of the weights"), "{message}");
}

#[test]
fn small_networks_are_for_small_pictures_unless_told_otherwise() {
    for (name, about) in Network::NAMES {
        let options = Network::from_name(name, None).unwrap().options();
        let (side, classes) = if about.contains("32x32") { (32, 10) } else { (224, 1000) };
        let found = (options.height, options.width, options.channels, options.top);
        assert_eq!(found, (side, side, 3, Top::Classes(classes)), "{name}");
    }
}
