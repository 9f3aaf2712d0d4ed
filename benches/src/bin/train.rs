//! Pictures a second of whole training steps and of batched inference, on every core.
//!
//! `cargo run --release -p mote-benches --bin train [-- PART_OF_A_NAME]`; `benches/train_pytorch.py` does the same in
//! PyTorch. `RAYON_NUM_THREADS` sets the threads of one, `OMP_NUM_THREADS` those of the other.

use core::error::Error;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mote_convert::graph::Graph;
use mote_convert::testing::shared;
use mote_convert::train::{Batch, Optimizer, Predictor, Trainer};
use mote_convert::{import, passes};

/// Time for a network; the median of its runs counts.
const BUDGET: Duration = Duration::from_secs(6);

fn main() -> Result<(), Box<dyn Error>> {
    let part = std::env::args().nth(1).unwrap_or_default();
    let demo =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../convert/models/cifar10_mobilenet/model.h5");
    let networks = [
        ("ResNet-8 step", shared("models/mlperf_tiny/pretrainedResnet.h5"), 64),
        ("CIFAR-10 MobileNet step", Some(demo), 64),
        ("VWW MobileNetV1 0.25 step", shared("models/mlperf_tiny/vww_96.h5"), 32),
        ("MobileNetV1 0.25 224 forward", shared("models/imagenet/mobilenet_v1_0.25_224.h5"), 32),
    ];
    for (name, path, batch) in networks {
        let Some(path): Option<PathBuf> = path.filter(|_| name.contains(&part)) else { continue };
        let graph = import::open(path)?;
        let seconds =
            if name.ends_with("step") { step(graph, batch)? } else { forward(graph, batch)? };
        let pictures = f64::from(u32::try_from(batch)?);
        println!(
            "{name:30} batch {batch}  {:8.1} ms  {:8.0} images/s",
            seconds * 1e3,
            pictures / seconds
        );
    }
    Ok(())
}

fn step(graph: Graph, batch: usize) -> Result<f64, Box<dyn Error>> {
    let inputs = noise(batch * graph.input_shape().elements());
    let classes = graph.output_shape().elements();
    let mut targets = vec![0.0; batch * classes];
    for (picture, row) in targets.chunks_exact_mut(classes).enumerate() {
        row[picture % classes] = 1.0;
    }
    let mut trainer = Trainer::new(graph)?;
    let mut optimizer = Optimizer::sgd(0.9, false, 0.0);
    let batch = Batch { inputs: &inputs, targets: &targets, sample_weights: None, seed: 0 };
    median(|| trainer.step(&batch, &mut optimizer, 1e-4).map(|_| ()).map_err(Into::into))
}

fn forward(graph: Graph, batch: usize) -> Result<f64, Box<dyn Error>> {
    let inputs = noise(batch * graph.input_shape().elements());
    let mut predictor = Predictor::new(passes::standard(graph)?);
    median(|| predictor.predict(&inputs).map(drop).map_err(Into::into))
}

/// Seconds of the median run.
fn median(mut run: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    run()?;
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < BUDGET || times.len() < 5 {
        let once = Instant::now();
        run()?;
        times.push(once.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Numbers between 0 and 1.
fn noise(len: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16).to_le_bytes()[0]) / 255.0
    };
    (0..len).map(|_| next()).collect()
}
