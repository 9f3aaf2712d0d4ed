//! What parses also runs, to the same bits on every instruction set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mote_engine::{Isa, Kernels, Model, Session};
use mote_engine_fuzz::sealed;

const MAX_ARENA_BYTES: usize = 1 << 20;
const MAX_STEPS: u64 = 10_000_000;

fuzz_target!(|data: &[u8]| sealed(data, run));

fn run(bytes: &[u8]) {
    let Ok(model) = Model::parse(bytes) else { return };
    if model.arena_bytes() > MAX_ARENA_BYTES || steps(&model) > MAX_STEPS {
        return;
    }
    let outputs = [Isa::Scalar, Isa::best()].map(|isa| {
        let kernels = Kernels::for_isa(isa).expect("this machine has it");
        let mut arena = vec![0; model.arena_bytes()];
        let mut session = Session::new(model, kernels, &mut arena).expect("made for the model");
        for (place, value) in session.input_mut().iter_mut().zip((i8::MIN..=i8::MAX).cycle()) {
            *place = value;
        }
        session.run().to_vec()
    });
    assert_eq!(outputs[0], outputs[1]);
}

/// Multiply-accumulates, and taps of poolings.
fn steps(model: &Model<'_>) -> u64 {
    (0..model.op_count())
        .map(|index| {
            let [height, width] =
                model.blob().ops()[index].kernel.map(|taps| u64::from(taps.max(1)));
            let outputs = model.tensor(index + 1).map_or(0, |tensor| tensor.len() as u64);
            model.op(index).map_or(0, |op| op.macs()).max(outputs * height * width)
        })
        .fold(0, u64::saturating_add)
}
