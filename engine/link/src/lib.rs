//! What a host and a board say to each other over a serial line: pictures in, labels out, and new
//! models into the board's flash.
//!
//! ```text
//! host --[Hello | Run | Begin | Chunk | Commit]--> board
//! host <--[Info | Label | Ready | Fault]---------- board
//! ```
//!
//! A [`frame`] carries one [`message`]; every request has one answer. [`serve`] is the board's
//! side. [`Slots`] keeps two models in flash, so that there is always a whole one.
#![no_std]
#![forbid(unsafe_code)]

mod board;
pub mod frame;
pub mod message;
mod slots;

pub use board::{Ended, Store, serve};
pub use slots::{Slots, SlotsError};
