//! The committed networks are what their READMEs say: imported and run by the reference interpreter.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;

use mote_convert::data::{Content, Dataset};
use mote_convert::import;
use mote_convert::interpret::Interpreter;
use mote_convert::preprocess::{Preprocess, Scaling};
use mote_convert::testing::shared;

#[test]
fn the_network_of_ten_classes_has_the_accuracy_of_its_readme() {
    let Some(cifar10) = shared("data/cifar10") else { return };
    let test = Dataset::open(cifar10, Some("test")).unwrap();
    assert_eq!(count_right("cifar10_mobilenet/model.h5", &test), 8842);
}

#[test]
fn the_network_of_six_classes_has_the_accuracy_of_its_readme() {
    let Some(cifar10) = shared("data/cifar10") else { return };
    let classes = ["airplane", "automobile", "bird", "cat", "dog", "ship"].map(String::from);
    let test = Dataset::open(cifar10, Some("test")).unwrap().with_classes(&classes).unwrap();
    assert_eq!(count_right("cifar6_mobilenet/model.safetensors", &test), 4833);
}

/// The pictures whose class scores highest.
fn count_right(model: &str, set: &Dataset) -> usize {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model);
    let graph = import::open(model).unwrap();
    let preprocess = Preprocess::new(Scaling::Tf);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let run = &|first: usize| {
        let mut interpreter = Interpreter::new(&graph);
        let indices = (first..set.len()).step_by(threads);
        let right = indices.filter(|&index| {
            let sample = set.sample(index).unwrap();
            let Content::Picture(picture) = sample.content else { panic!("not a picture") };
            let input = preprocess.tensor_f32(&picture, 32, 32);
            let scores = interpreter.run(&input, |_, _| {}).unwrap();
            let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            best == sample.label
        });
        right.count()
    };
    std::thread::scope(|scope| {
        let start = |first| scope.spawn(move || run(first));
        let workers: Vec<_> = (0..threads).map(start).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}
