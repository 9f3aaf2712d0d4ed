//! Every case on every instruction set of this machine, both contracts; throughput in MACs.

use core::hint::black_box;
use core::time::Duration;
use criterion::{Criterion, Throughput};
use mote_benches::cases::CASES;
use mote_benches::{Layer, Numerics};
use mote_kernels::{Isa, Kernels, ShapeError};

fn main() -> Result<(), ShapeError> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .configure_from_args();
    for &case in CASES {
        let mut group = criterion.benchmark_group(case.name);
        group.throughput(Throughput::Elements(case.macs()));
        for numerics in [Numerics::Tflite, Numerics::Fp32] {
            for &isa in Isa::ALL {
                let Some(kernels) = Kernels::for_isa(isa) else { continue };
                let mut layer = Layer::new(case, numerics, kernels)?;
                let name = format!("{}/{numerics:?}", isa.name());
                group.bench_function(name, |bencher| {
                    bencher.iter(|| {
                        layer.run().map(|()| black_box(layer.output()).len()).unwrap_or_default()
                    });
                });
            }
        }
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}
