//! Mote.
#![no_std]
