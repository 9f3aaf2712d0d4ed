//! Pictures and new models over the serial line; `mote send` is the other end.
//!
//! The emulated board has no flash that outlives a reset, so a part of its RAM behaves like one.
#![no_std]
#![no_main]

use core::ops::Range;

use cortex_m_rt::entry;
use mote_engine::{Arena, include_model};
use mote_firmware_common::{
    exit,
    session::{runnable, serve_forever},
};
use mote_link::Slots;

use crate::{nor::Nor, uart::Uart};

#[path = "../nor.rs"]
mod nor;
#[path = "../uart.rs"]
mod uart;

include_model!(mod model = concat!(env!("OUT_DIR"), "/model.mote"));

/// For the model that is built in and for those that come.
const ARENA_BYTES: usize = 512 * 1024;
const SLOT_BYTES: u32 = 1024 * 1024;

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<ARENA_BYTES> = Arena::new();

    let slots = Slots::open(Nor::new(), 0, SLOT_BYTES, |_, place: Range<u32>| {
        runnable(Nor::view(place), ARENA_BYTES).is_some()
    });
    let Ok(slots) = slots else {
        defmt::error!("the slots do not fit the flash");
        exit::failure()
    };
    serve_forever(Uart::new(), slots, Nor::view, model::parse(), ARENA.as_mut_slice())
}
