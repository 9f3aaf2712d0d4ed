//! What every board example shares, so that a board's own folder holds only what is its own.
//!
//! A binary that uses this crate gets a defmt logger, a panic handler and a hard-fault handler that
//! end the run with a failure code. A binary that never mentions it gets none of them: `size.rs`
//! relies on that to prove that no panic path is left.
#![no_std]

pub mod counter;
#[cfg(feature = "semihosting")]
pub mod exit;
#[cfg(feature = "semihosting")]
pub mod input;
mod panic;
pub mod session;
pub mod stack;

/// A number of the board's `.cargo/config.toml`.
///
/// # Panics
/// When it is none: to be called where the compiler computes it.
#[must_use]
pub const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("a number of .cargo/config.toml is none"),
    }
}

// Linked for their symbols: the critical section that defmt needs, the global logger, the vectors.
use cortex_m as _;
#[cfg(feature = "probe")]
use defmt_rtt as _;
#[cfg(feature = "semihosting")]
use defmt_semihosting as _;
#[cfg(feature = "semihosting")]
use mote_firmware_vectors as _;
