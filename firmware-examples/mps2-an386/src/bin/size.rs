//! The smallest program around a blob: its sections are what Mote costs in flash and RAM.
//!
//! It knows no logger and no formatting. With feature `prove-no-panic` its panic handler needs a
//! function that nobody defines: should a single panic path of the engine or the kernels survive
//! the optimizer, the program does not link.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use mote_engine::{Arena, Kernels, Model, Session, include_model};
use mote_firmware_vectors as _;

include_model!(mod model = concat!(env!("OUT_DIR"), "/model.mote"));

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ model::ARENA_BYTES }> = Arena::new();

    // Neither the blob nor the arena is known to the optimizer: what is left serves any blob.
    let arena = black_box(ARENA.as_mut_slice());
    let model = Model::parse(black_box(model::BLOB));
    if let Ok(Ok(mut session)) = model.map(|model| Session::new(model, Kernels::best(), arena)) {
        loop {
            black_box(session.input_mut());
            black_box(session.run());
        }
    }
    loop {
        cortex_m::asm::wfi();
    }
}

#[cfg(feature = "prove-no-panic")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn a_panic_path_survived() -> !;
    }
    a_panic_path_survived()
}

#[cfg(not(feature = "prove-no-panic"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::bkpt();
    }
}
