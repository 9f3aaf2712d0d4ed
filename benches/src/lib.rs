//! Mote benches.
