//! Helium leaves: whole loops in assembly, since no vector type crosses it. Cortex-M55 and M85.
//!
//! Vectors have 16 bytes. `VMLADAVA.S8` adds 16 products to an int32 in a general register, of which
//! only the even ones can take part: eight sums are two pixels by four channels.

#![allow(unsafe_code, reason = "the leaves of an instruction set")]

pub(crate) mod columns;
pub(crate) mod elementwise;
pub(crate) mod factors;
#[macro_use]
pub(crate) mod half;
pub(crate) mod interleave;
pub(crate) mod strip;
pub(crate) mod taps;
pub(crate) mod windows;
