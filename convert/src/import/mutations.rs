//! Thousands of damaged files: each a typed error or a network that runs, never a panic.
//!
//! `MOTE_MUTATIONS` sets how many of each kind (with a seed of its own for every number of them); the fuzz targets in
//! `fuzz/` search on.

use core::time::Duration;
use std::fs;
use std::time::Instant;

use super::from_bytes;
use super::keras::sample as keras;
use super::onnx::tests as onnx;
use super::tflite::sample as tflite;
use crate::interpret;
use crate::model_file;
use crate::testing::shared;

#[test]
fn damaged_tflite_files() {
    let shared = ["mlperf_tiny/kws_ref_model.tflite", "mlperf_tiny/pretrainedResnet_quant.tflite"];
    let samples = vec![tflite::int8(), tflite::float()];
    damage(&samples, &real(&shared), count(3000));
}

#[test]
fn damaged_keras_files() {
    let shared = ["mlperf_tiny/pretrainedResnet.h5"];
    damage(&[keras::keras2(), keras::keras3()], &real(&shared), count(1500));
}

#[test]
fn damaged_keras_archives() {
    damage(&[keras::archive()], &[], count(1500));
}

/// Weights alone are no model; the reader of them must bear the same.
#[test]
fn damaged_keras_weights() {
    let samples = [keras::weights(), keras::keras2()];
    for seed in 0..count(1500) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut file = samples[random.below(2)].clone();
        for _ in 0..1 + random.below(6) {
            mutate(&mut file, &mut random);
        }
        if let Ok(layers) = super::keras::read_weights(&file) {
            assert!(layers.iter().all(|(_, weights)| !weights.is_empty()));
        }
    }
}

#[test]
fn damaged_onnx_files() {
    let samples: Vec<_> = onnx::cases().iter().map(onnx::Case::bytes).collect();
    damage(&samples, &real(&["cifar10/resnet20_cifar10_bn.onnx"]), count(3000));
}

#[test]
fn damaged_model_files() {
    let quantized = model_file::to_bytes(&from_bytes(&tflite::int8()).unwrap()).unwrap();
    damage(&[model_file::tests::sample(), quantized], &[], count(3000));
}

fn count(usual: u64) -> u64 {
    std::env::var("MOTE_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

fn real(names: &[&str]) -> Vec<Vec<u8>> {
    let paths = names.iter().filter_map(|name| shared(&format!("models/{name}")));
    paths.map(|path| fs::read(path).unwrap()).collect()
}

/// The small samples have the same structure as the real ones and are read far faster.
fn damage(small: &[Vec<u8>], real: &[Vec<u8>], count: u64) {
    for seed in 0..count {
        let mut random = Random(seed.wrapping_add(count).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let samples = if random.below(20) == 0 && !real.is_empty() { real } else { small };
        let mut file = samples[random.below(samples.len())].clone();
        for _ in 0..1 + random.below(6) {
            mutate(&mut file, &mut random);
        }
        let start = Instant::now();
        let runs = from_bytes(&file).is_ok_and(|graph| {
            let mut elements = graph.nodes().iter().map(|node| node.shape.elements());
            if graph.total_macs() < 20_000_000 && elements.all(|elements| elements < 1 << 20) {
                let input = vec![0.5; graph.input_shape().elements()];
                interpret::run(&graph, &input, |_, _| ()).unwrap();
            }
            true
        });
        let seconds = start.elapsed();
        assert!(seconds < Duration::from_secs(10), "seed {seed} of {count}: {seconds:?} ({runs})");
    }
}

fn mutate(file: &mut Vec<u8>, random: &mut Random) {
    if file.len() < 16 {
        return;
    }
    // Structure is denser than weights: half of the changes go where a byte is not 0.
    let mut at = random.below(file.len() - 8);
    if random.below(2) == 0 {
        at = (at..file.len() - 8).find(|&at| file[at] != 0).unwrap_or(at);
    }
    match random.below(8) {
        0 => file[at] ^= 1 << random.below(8),
        1 => file[at] = random.byte(),
        2 => {
            file[at..at + 4].copy_from_slice(&EXTREMES[random.below(EXTREMES.len())].to_le_bytes())
        }
        3 => file[at..at + 8].fill([0, 0xff, 0x7f, 0x80][random.below(4)]),
        4 => {
            let from = random.below(file.len() - 8);
            file.copy_within(from..from + 8, at);
        }
        5 => {
            let len = random.below(64).min(file.len() - at);
            file.drain(at..at + len);
        }
        6 => {
            let value = i32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
            let step = [1, -1, 4, -4, 256][random.below(5)];
            file[at..at + 4].copy_from_slice(&value.wrapping_add(step).to_le_bytes());
        }
        _ if random.below(8) == 0 => file.truncate(at),
        _ => file.insert(at, random.byte()),
    }
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap() % end
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[5]
    }
}

const EXTREMES: [u32; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
