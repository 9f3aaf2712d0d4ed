//! One picture through the blob in flash; the LED then blinks the class: once for 0, twice for 1.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use mote_engine::{Arena, include_model};
use mote_firmware_common::{
    counter::Counter,
    session::{blink, classify, open},
};

include_model!(mod model = concat!(env!("OUT_DIR"), "/model.mote"));

/// The picture, preprocessed on the host by the rule in the blob; a camera's pixels take its place.
static PICTURE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/input.bin"));

#[entry]
fn main() -> ! {
    // The runtime hands the static out once, as `&'static mut`.
    static mut ARENA: Arena<{ model::ARENA_BYTES }> = Arena::new();

    let board = embassy_nrf::init(embassy_nrf::config::Config::default());
    let mut led = Output::new(board.P0_13, Level::High, OutputDrive::Standard);
    // SAFETY: the HAL leaves SysTick alone.
    let counter = Counter::start(unsafe { cortex_m::Peripherals::steal() }.SYST);

    let mut session = open(model::parse(), ARENA.as_mut_slice());
    let class = classify(&mut session, PICTURE, &counter);
    blink(class, || led.toggle())
}
