//! A session on several threads gives the bits of one thread, layer by layer.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod networks;

use core::num::NonZeroUsize;
use std::path::Path;

use mote_convert::blob::{Blob, Runner};
use mote_convert::emit::AlignedBytes;
use mote_convert::graph::Graph;
use mote_convert::quantize::halve;
use mote_convert::{import, passes};
use mote_engine::{Isa, Numerics, Observer, Op};
use proptest::prelude::*;

/// The output of every layer.
#[derive(Default)]
struct Layers(Vec<Vec<i8>>);

impl Observer for Layers {
    fn after(&mut self, _: usize, _: &Op<'_>, output: &[i8]) {
        self.0.push(output.to_vec());
    }
}

fn committed() -> Graph {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/cifar10_mobilenet/model.h5");
    passes::standard(import::open(model).unwrap()).unwrap()
}

/// A real network, large enough to be shared, for both contracts and in halves; and small ones with
/// every operation. Packed for the fastest kernels of this machine, and plain.
fn blobs() -> Vec<Blob> {
    let target = if cfg!(target_arch = "aarch64") { "pi4" } else { "x86-64-v3" };
    let graph = committed();
    let mut blobs = networks::blobs();
    for target in [target, "scalar"] {
        for numerics in [Numerics::Tflite, Numerics::Fp32] {
            blobs.push(networks::blob(&graph, numerics, target, &[]));
        }
        let halves: AlignedBytes =
            networks::finish(&graph, &halve(&graph).unwrap(), Numerics::Fp32, target);
        blobs.push(halves);
    }
    let blobs: Vec<Blob> = blobs.into_iter().map(|blob| Blob::new(blob).unwrap()).collect();
    // Smaller operations are not worth sharing.
    let model = blobs[blobs.len() - 1].model();
    let large =
        (0..model.op_count()).filter(|&op| model.op(op).is_some_and(|op| op.macs() > 100_000));
    assert!(large.count() >= 10);
    blobs
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let blobs = blobs();
    let isas: Vec<Isa> = Isa::ALL.iter().copied().filter(|isa| isa.is_available()).collect();
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() };
    proptest!(config, |(which in 0..blobs.len(), seed in any::<u32>())| {
        let blob = &blobs[which];
        let input = networks::values(blob.input().len(), seed);
        let input = blob.quantize_input(&input);
        let mut expected = Layers::default();
        Runner::new(blob, isas[0]).unwrap().run_observed(&input, &mut expected);
        for (&isa, count) in isas.iter().flat_map(|isa| (1..=5).map(move |count| (isa, count))) {
            let count = NonZeroUsize::new(count).unwrap();
            let mut runner = Runner::new(blob, isa).unwrap().with_threads(count).unwrap();
            let mut found = Layers::default();
            runner.run_observed(&input, &mut found);
            prop_assert!(found.0 == expected.0, "{isa:?}, {count} threads");
        }
    });
}
