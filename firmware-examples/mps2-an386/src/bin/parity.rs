//! Many input tensors, one after another; the host compares the raw outputs with its own.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use mote_engine::{Arena, Kernels, Session, include_model};
use mote_firmware_common::{exit, input::Vectors};

include_model!(mod model = concat!(env!("OUT_DIR"), "/model.mote"));

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ model::ARENA_BYTES }> = Arena::new();

    let session = model::parse().map(|m| Session::new(m, Kernels::best(), ARENA.as_mut_slice()));
    let Ok(Ok(mut session)) = session else {
        defmt::error!("the blob does not parse, or its plan does not fit; classify says more");
        exit::failure()
    };
    let Ok(mut vectors) = Vectors::open() else {
        defmt::error!("no input.bin in the emulator's working directory");
        exit::failure()
    };
    loop {
        match vectors.next(bytemuck::cast_slice_mut(session.input_mut())) {
            Ok(true) => defmt::info!("output {=[u8]:02x}", bytemuck::cast_slice(session.run())),
            Ok(false) => exit::success(),
            Err(_) => {
                defmt::error!("input.bin cannot be read");
                exit::failure()
            }
        }
    }
}
