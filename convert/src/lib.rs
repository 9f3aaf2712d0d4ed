//! Mote.

pub mod data;
pub mod emit;
pub mod fetch;
pub mod files;
pub mod flash;
pub mod graph;
pub mod import;
pub mod interpret;
pub mod lower;
pub mod npy;
pub mod picture;
pub mod plan;
pub mod preprocess;
pub mod quantize;
pub mod quantized;
pub mod target;
#[doc(hidden)]
pub mod testing;
