//! Every case, every instruction set of this machine, one run: GMAC/s and ratio to scalar, and
//! the same output as scalar or a panic.
//!
//! `cargo run --release -p mote-benches --bin ratio [-- PART_OF_A_NAME]`

use core::hint::black_box;
use core::time::Duration;
use mote_benches::cases::{CASES, Case};
use mote_benches::{Layer, Numerics};
use mote_kernels::{Isa, Kernels, ShapeError};
use std::time::Instant;

/// Time for a case, an instruction set and a contract.
const BUDGET: Duration = Duration::from_millis(150);

fn main() -> Result<(), ShapeError> {
    let part = std::env::args().nth(1).unwrap_or_default();
    println!("GMAC/s (G values/s where nothing is multiplied), best of a few runs, one thread");
    for case in CASES.iter().filter(|case| case.name.contains(&part)) {
        for numerics in [Numerics::Tflite, Numerics::Fp32] {
            let mut scalar = None;
            let mut expected = Vec::new();
            print!("{:28} {:6}", case.name, format!("{numerics:?}").to_lowercase());
            for &isa in Isa::ALL {
                let Some(kernels) = Kernels::for_isa(isa) else { continue };
                let mut layer = Layer::new(*case, numerics, kernels)?;
                let speed = measure(case, &mut layer)?;
                if expected.is_empty() {
                    expected.extend_from_slice(layer.output());
                }
                assert_eq!(layer.output(), expected, "{} differs on {}", isa.name(), case.name);
                let scalar = *scalar.get_or_insert(speed);
                print!("  {} {speed:8.3} ({:6.1}x)", isa.name(), speed / scalar);
            }
            println!();
        }
    }
    Ok(())
}

/// GMAC/s of the fastest run.
fn measure(case: &Case, layer: &mut Layer) -> Result<f64, ShapeError> {
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    // Short layers are repeated until a clock can see them.
    let mut repeats = 1;
    loop {
        let once = Instant::now();
        for _ in 0..repeats {
            layer.run()?;
            black_box(layer.output());
        }
        let seconds = once.elapsed().as_secs_f64();
        best = best.min(seconds / f64::from(repeats));
        if start.elapsed() > BUDGET {
            return Ok(case.macs() as f64 / best / 1e9);
        }
        if seconds < 1e-4 {
            repeats *= 2;
        }
    }
}
