//! Any bytes: a typed error or a model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mote_engine::Model;
use mote_engine_fuzz::sealed;

fuzz_target!(|data: &[u8]| {
    let _ = Model::parse(data);
    sealed(data, |bytes| {
        if let Err(error) = Model::parse(bytes) {
            assert!(!error.to_string().is_empty());
        }
    });
});
