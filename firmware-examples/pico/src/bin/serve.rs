//! Pictures and new models over UART 0 (GP0 sends, GP1 receives); `mote send` is the other end.
#![no_std]
#![no_main]

use core::{ops::Range, slice};

use cortex_m_rt::entry;
use embassy_rp::{
    bind_interrupts,
    flash::{Blocking, Flash},
    peripherals::{FLASH, UART0},
    uart::{BufferedInterruptHandler, BufferedUart, Config},
};
use mote_engine::{Arena, include_model};
use mote_firmware_common::{
    number,
    session::{runnable, serve_forever},
};
use mote_link::Slots;

include_model!(mod model = concat!(env!("OUT_DIR"), "/model.mote"));

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

/// Where the processor sees the flash.
const FLASH_ADDRESS: usize = 0x1000_0000;
/// The program ends before half of it, see memory.x; two slots are the other half.
const FLASH_BYTES: usize = number(env!("MOTE_FLASH_KIB")) as usize * 1024;
const SLOTS_START: u32 = number(env!("MOTE_FLASH_KIB")) * 1024 / 2;
const SLOT_BYTES: u32 = SLOTS_START / 2;
/// For the model that is built in and for those that come.
const ARENA_BYTES: usize = number(env!("MOTE_ARENA_KIB")) as usize * 1024;

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<ARENA_BYTES> = Arena::new();
    static mut SEND: [u8; 64] = [0; 64];
    static mut RECEIVE: [u8; 256] = [0; 256];

    let board = embassy_rp::init(embassy_rp::config::Config::default());
    let (tx, rx) = (board.PIN_0, board.PIN_1);
    // 115 200 baud, 8 bits, no parity.
    let config = Config::default();
    let uart = BufferedUart::new(board.UART0, tx, rx, Interrupts, SEND, RECEIVE, config);

    let flash = Flash::<FLASH, Blocking, FLASH_BYTES>::new_blocking(board.FLASH);
    let slots = Slots::open(flash, SLOTS_START, SLOT_BYTES, |_, place: Range<u32>| {
        runnable(view(place), ARENA_BYTES).is_some()
    });
    match slots {
        Ok(slots) => serve_forever(uart, slots, view, model::parse(), ARENA.as_mut_slice()),
        Err(_) => defmt::panic!("the slots do not fit the flash"),
    }
}

fn view(place: Range<u32>) -> &'static [u8] {
    let start = (place.start as usize).min(FLASH_BYTES);
    let end = (place.end as usize).min(FLASH_BYTES);
    let first = core::ptr::with_exposed_provenance::<u8>(FLASH_ADDRESS + start);
    // SAFETY: inside the flash, which is always mapped; the slot that is viewed is not the one that
    // is written.
    unsafe { slice::from_raw_parts(first, end.saturating_sub(start)) }
}
