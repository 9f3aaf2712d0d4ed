//! Mote.

pub mod files;
pub mod graph;
pub mod npy;
pub mod picture;
pub mod preprocess;
#[doc(hidden)]
pub mod testing;
