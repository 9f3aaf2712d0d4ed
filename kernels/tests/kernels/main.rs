//! One test program: `cases` generates, `parity` compares cells, `reference` and `golden` check
//! the specification itself.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

extern crate alloc;

mod cases;
mod cases_f16;
mod errors;
mod golden;
mod parity;
mod reference;
mod search;
