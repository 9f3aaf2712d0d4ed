//! The zip archive of Keras 3.

use std::io::{Cursor, Read};

use serde_json::Value;
use zip::ZipArchive;

use super::KerasError;

pub(super) struct Parts {
    pub(super) model: Value,
    /// An HDF5 file.
    pub(super) weights: Vec<u8>,
}

pub(super) fn parts(file: &[u8]) -> Result<Parts, KerasError> {
    let odd = |error: zip::result::ZipError| KerasError::Archive(error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(file)).map_err(odd)?;
    let mut entry = |name: &str, limit: usize| {
        let mut bytes = Vec::new();
        let entry = archive
            .by_name(name)
            .map_err(|error| KerasError::Archive(format!("{name}: {error}")))?;
        // One more byte than allowed tells too many from just enough.
        let read = entry.take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| KerasError::Archive(format!("{name}: {error}")))?;
        if bytes.len() > limit {
            return Err(KerasError::Archive(format!("{name} is larger than its archive explains")));
        }
        Ok(bytes)
    };
    let json = entry("config.json", MAX_CONFIG_BYTES)?;
    // Keras stores its parts as they are, and weights that somebody packed again hardly shrink.
    let weights = entry("model.weights.h5", file.len().saturating_mul(EXPANSION))?;
    let model =
        serde_json::from_slice(&json).map_err(|error| KerasError::Json(error.to_string()))?;
    Ok(Parts { model, weights })
}

const EXPANSION: usize = 8;
const MAX_CONFIG_BYTES: usize = 1 << 24;
