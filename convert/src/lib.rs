//! Mote.
