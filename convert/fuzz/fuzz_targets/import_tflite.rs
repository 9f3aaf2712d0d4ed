//! `cargo +nightly fuzz run import_tflite`: any bytes behind TFLite's identifier.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mote_convert::import::tflite;

fuzz_target!(|bytes: &[u8]| {
    let _ = tflite::read(bytes);
});
