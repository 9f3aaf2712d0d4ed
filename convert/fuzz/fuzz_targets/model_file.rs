//! `cargo +nightly fuzz run model_file`: any bytes as a model file of Mote's own. Start from what `mote new` writes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mote_convert::model_file;

fuzz_target!(|bytes: &[u8]| {
    let _ = model_file::from_bytes(bytes);
});
