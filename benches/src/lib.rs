//! Layers of real networks, ready to run: what the criterion bench and `ratio` measure.

pub mod cases;
mod layer;

pub use layer::{Layer, Numerics};
