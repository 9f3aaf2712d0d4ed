//! One picture through the blob in flash, as it would come from a camera; reports what it cost.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use mote_engine::{Arena, Kernels, Session, include_model};
use mote_firmware_common::{
    counter::{Counter, instructions},
    exit, stack,
};

include_model!(mod model = concat!(env!("OUT_DIR"), "/model.mote"));

/// The picture, preprocessed on the host by the rule in the blob.
static PICTURE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/input.bin"));

#[entry]
fn main() -> ! {
    // The runtime hands the static out once, as `&'static mut`.
    static mut ARENA: Arena<{ model::ARENA_BYTES }> = Arena::new();

    let Some(peripherals) = cortex_m::Peripherals::take() else { exit::failure() };
    let counter = Counter::start(peripherals.SYST);
    stack::paint();

    let model = match model::parse() {
        Ok(model) => model,
        Err(error) => {
            defmt::error!("the blob does not parse: {}", error);
            exit::failure()
        }
    };
    let mut session = match Session::new(model, Kernels::best(), ARENA.as_mut_slice()) {
        Ok(session) => session,
        Err(error) => {
            defmt::error!("no session: {}", error);
            exit::failure()
        }
    };
    let place = session.input_mut();
    if place.len() != PICTURE.len() {
        defmt::error!("the network reads {} bytes, the picture has {}", place.len(), PICTURE.len());
        exit::failure()
    }
    place.copy_from_slice(bytemuck::cast_slice(PICTURE));

    let (ticks, ()) = counter.measure(|| {
        session.run();
    });
    let stack_bytes = stack::high_water_bytes();

    for best in session.top_k::<1>() {
        match session.model().label(usize::from(best.class)) {
            Some(label) => defmt::info!("label {=str}", label),
            None => defmt::info!("label {=u16}", best.class),
        }
        defmt::info!("score {=f32}", best.score);
    }
    defmt::info!("output {=[u8]:02x}", bytemuck::cast_slice(session.output()));
    defmt::info!("instructions {=u64}", instructions(ticks));
    defmt::info!("arena_bytes {=usize}", model::ARENA_BYTES);
    defmt::info!("stack_bytes {=u32}", stack_bytes);
    exit::success()
}
