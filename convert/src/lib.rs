//! Puts an image network onto a chip: import, inspect, train, quantize, plan, verify, flash.
//!
//! ```text
//! model file --import--> Graph --passes--> Graph --quantize--> Network --lower--> Program --emit--> blob
//!               base --> Graph --fit--> Graph in a model file
//! ```
//!
//! [`graph::Graph`] is the one description of a network, [`interpret`] its meaning in f32,
//! [`train`] the same in training, [`fit`] teaches it the classes of pictures,
//! [`quantized::Network`] its meaning on integers, [`lower::Program`] what a blob says, before it
//! is bytes. The `mote` command ([`cli`]) only calls these.

pub mod blob;
pub mod chart;
pub mod cli;
pub mod data;
pub mod detect;
pub mod emit;
pub mod export;
pub mod fetch;
pub mod files;
pub mod fit;
pub mod flash;
pub mod graph;
pub mod import;
pub mod interpret;
pub mod lower;
pub mod memory_map;
pub mod model_file;
pub mod networks;
pub mod npy;
pub mod passes;
pub mod picture;
pub mod plan;
pub mod preprocess;
pub mod quantize;
pub mod quantized;
mod random;
mod rank;
pub mod send;
pub mod target;
#[doc(hidden)]
pub mod testing;
pub mod train;
