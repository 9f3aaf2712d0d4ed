//! `cargo +nightly fuzz run import_keras`: any bytes as HDF5. Start from `tests/data/*.h5.gz`, unpacked.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mote_convert::import::keras;

fuzz_target!(|bytes: &[u8]| {
    let _ = keras::read(bytes);
});
