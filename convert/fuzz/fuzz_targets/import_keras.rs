//! `cargo +nightly fuzz run import_keras`: any bytes as HDF5, model or weights, and as a `.keras`
//! archive. Start from `tests/data/*.h5.gz` and `small.keras.gz`, unpacked.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mote_convert::import::keras;

fuzz_target!(|bytes: &[u8]| {
    let _ = keras::read(bytes);
    let _ = keras::read_archive(bytes);
    let _ = keras::read_weights(bytes);
});
