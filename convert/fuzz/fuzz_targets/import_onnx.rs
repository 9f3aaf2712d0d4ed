//! `cargo +nightly fuzz run import_onnx`: any bytes as ONNX. Start from the files in `tests/data/onnx_cases.json.gz`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mote_convert::import::onnx;

fuzz_target!(|bytes: &[u8]| {
    let _ = onnx::read(bytes);
});
