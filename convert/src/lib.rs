//! Mote.

pub mod files;
pub mod graph;
pub mod npy;
#[doc(hidden)]
pub mod testing;
