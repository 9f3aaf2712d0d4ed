//! Mote.

pub mod graph;
