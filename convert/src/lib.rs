//! Mote.

pub mod files;
pub mod graph;
#[doc(hidden)]
pub mod testing;
