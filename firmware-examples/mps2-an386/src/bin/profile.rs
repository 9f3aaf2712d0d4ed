//! What every layer costs: executed instructions, one line a layer.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use mote_engine::{Arena, Kernels, Observer, Op, Session, include_model};
use mote_firmware_common::{
    counter::{Counter, instructions},
    exit,
};

include_model!(mod model = concat!(env!("OUT_DIR"), "/model.mote"));

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ model::ARENA_BYTES }> = Arena::new();

    let Some(peripherals) = cortex_m::Peripherals::take() else { exit::failure() };
    let mut profile = Profile { counter: Counter::start(peripherals.SYST), start: 0 };
    let session = model::parse().map(|m| Session::new(m, Kernels::best(), ARENA.as_mut_slice()));
    let Ok(Ok(mut session)) = session else {
        defmt::error!("the blob does not parse, or its plan does not fit; classify says more");
        exit::failure()
    };
    session.run_observed(&mut profile);
    exit::success()
}

struct Profile {
    counter: Counter,
    start: u64,
}

impl Observer for Profile {
    fn before(&mut self, _: usize, _: &Op<'_>) {
        self.start = self.counter.ticks();
    }

    fn after(&mut self, _: usize, _: &Op<'_>, _: &[i8]) {
        let ticks = self.counter.ticks() - self.start;
        defmt::info!("layer {=u64}", instructions(ticks));
    }
}
