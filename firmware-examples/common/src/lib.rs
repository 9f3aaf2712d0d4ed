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

// Linked for their symbols: the critical section that defmt needs, the global logger, the vectors.
use cortex_m as _;
#[cfg(feature = "probe")]
use defmt_rtt as _;
#[cfg(feature = "semihosting")]
use defmt_semihosting as _;
#[cfg(feature = "semihosting")]
use mote_firmware_vectors as _;
