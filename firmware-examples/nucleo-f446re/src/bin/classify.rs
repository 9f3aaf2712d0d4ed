//! One picture through the blob in flash; the LED then blinks the class: once for 0, twice for 1.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_stm32::{
    Config,
    gpio::{Level, Output, Speed},
    rcc::{AHBPrescaler, APBPrescaler, Pll, PllMul, PllPDiv, PllPreDiv, PllSource, Sysclk},
};
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

    let board = embassy_stm32::init(config());
    let mut led = Output::new(board.PA5, Level::Low, Speed::Low);
    // SAFETY: the HAL leaves SysTick alone.
    let counter = Counter::start(unsafe { cortex_m::Peripherals::steal() }.SYST);

    let mut session = open(model::parse(), ARENA.as_mut_slice());
    let class = classify(&mut session, PICTURE, &counter);
    blink(class, || led.toggle())
}

/// 16 MHz of the internal oscillator / 8 * 168 / 2: what `.cargo/config.toml` says.
fn config() -> Config {
    let mut config = Config::default();
    config.rcc.hsi = true;
    config.rcc.pll_src = PllSource::HSI;
    config.rcc.pll = Some(Pll {
        prediv: PllPreDiv::DIV8,
        mul: PllMul::MUL168,
        divp: Some(PllPDiv::DIV2),
        divq: None,
        divr: None,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.ahb_pre = AHBPrescaler::DIV1;
    config.rcc.apb1_pre = APBPrescaler::DIV4;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config
}
