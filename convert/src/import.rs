//! Files to a [`Graph`]: TFLite, Keras HDF5 and archives, ONNX, and Mote's own ([`model_file`]).
//!
//! The bytes come from strangers. Every size is checked against the file before anything is allocated, recursion is
//! bounded, weights must be finite, and whatever is wrong or unsupported is a typed error that names the place.

pub mod keras;
#[cfg(test)]
mod mutations;
pub mod onnx;
pub mod tflite;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files::{FileError, read_bounded};
use crate::graph::Graph;
use crate::model_file::{self, ModelFileError};
use crate::npy::Array;
use keras::KerasError;
use onnx::OnnxError;
use tflite::TfliteError;

/// The largest model file that is read.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// Reads a model file; its content, not its name, tells the format.
///
/// # Errors
/// When the file cannot be read, has no supported format, is damaged, or uses what is not supported.
pub fn open(path: impl AsRef<Path>) -> Result<Graph, ImportError> {
    let path = path.as_ref();
    let bytes = read_bounded(path, MAX_FILE_BYTES)?;
    from_bytes(&bytes).map_err(|fault| ImportError::Model { file: path.to_owned(), fault })
}

/// Reads a model from memory.
///
/// # Errors
/// When the bytes have no supported format, are damaged, or use what is not supported.
pub fn from_bytes(bytes: &[u8]) -> Result<Graph, ImportFault> {
    match Format::of(bytes) {
        Some(Format::Tflite) => Ok(tflite::read(bytes)?),
        Some(Format::Keras) => Ok(keras::read(bytes)?),
        Some(Format::KerasArchive) => Ok(keras::read_archive(bytes)?),
        Some(Format::Onnx) => Ok(onnx::read(bytes)?),
        Some(Format::Mote) => Ok(model_file::from_bytes(bytes)?),
        None => Err(ImportFault::Format { guess: guess(bytes) }),
    }
}

/// Where weights for a network come from.
#[derive(Clone, Debug)]
pub enum Weights {
    /// A whole network.
    Network(Box<Graph>),
    /// A Keras file of weights only: layers with their weights in Keras' order.
    Layers(Vec<(String, Vec<Array>)>),
}

/// Reads a model file, or a Keras file of weights only.
///
/// # Errors
/// Those of [`open`], and when the layers of weights have no names.
pub fn open_weights(path: impl AsRef<Path>) -> Result<Weights, ImportError> {
    let path = path.as_ref();
    let bytes = read_bounded(path, MAX_FILE_BYTES)?;
    let weights = match from_bytes(&bytes) {
        Err(ImportFault::Keras(KerasError::WeightsOnly)) => {
            keras::read_weights(&bytes).map(Weights::Layers).map_err(ImportFault::from)
        }
        result => result.map(|graph| Weights::Network(Box::new(graph))),
    };
    weights.map_err(|fault| ImportError::Model { file: path.to_owned(), fault })
}

/// A supported file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A TensorFlow Lite flatbuffer.
    Tflite,
    /// A Keras model in HDF5.
    Keras,
    /// A Keras model in a zip archive.
    KerasArchive,
    /// An ONNX model.
    Onnx,
    /// A safetensors file of Mote's own.
    Mote,
}

impl Format {
    /// What the bytes begin like, if that is supported.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.get(4..8) == Some(b"TFL3") {
            Some(Self::Tflite)
        } else if bytes.starts_with(HDF5_MAGIC) {
            Some(Self::Keras)
        } else if keras::is_archive(bytes) {
            Some(Self::KerasArchive)
        } else if is_safetensors(bytes) {
            Some(Self::Mote)
        } else if is_onnx(bytes) {
            Some(Self::Onnx)
        } else {
            None
        }
    }
}

/// A file that could not be imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no model that Mote can take.
    #[error("{}: {fault}", file.display())]
    Model {
        /// Which.
        file: PathBuf,
        /// Why.
        fault: ImportFault,
    },
}

/// Why a model could not be imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportFault {
    /// No supported format.
    #[error("{guess}; supported: {SUPPORTED}")]
    Format {
        /// What it looks like.
        guess: &'static str,
    },
    /// A TFLite file that is damaged or uses what is not supported.
    #[error("TFLite: {0}")]
    Tflite(#[from] TfliteError),
    /// A Keras file that is damaged or uses what is not supported.
    #[error("Keras: {0}")]
    Keras(#[from] KerasError),
    /// An ONNX file that is damaged or uses what is not supported.
    #[error("ONNX: {0}")]
    Onnx(#[from] OnnxError),
    /// A file of Mote's own that is damaged or newer than this program.
    #[error("safetensors: {0}")]
    ModelFile(#[from] ModelFileError),
}

fn guess(bytes: &[u8]) -> &'static str {
    if bytes.is_empty() {
        "the file is empty"
    } else if bytes.starts_with(b"PK\x03\x04") {
        "looks like a zip archive (.npz or PyTorch), not of Keras"
    } else if bytes.starts_with(b"\x89PNG") || bytes.starts_with(b"\xff\xd8\xff") {
        "looks like a picture, not a model"
    } else {
        "not a model in a known format"
    }
}

/// The length of a JSON object, then the object.
fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.split_first_chunk().is_some_and(|(len, rest)| {
        rest.first() == Some(&b'{') && u64::from_le_bytes(*len) <= rest.len() as u64
    })
}

/// A protobuf whose first field is `ir_version`, a small number, and whose second is a field of ModelProto.
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=0x7f, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..])
}

const SUPPORTED: &str = "TensorFlow Lite (.tflite), Keras (.keras, or .h5 with the full model), ONNX (.onnx) and Mote's own (.safetensors)";

const HDF5_MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bytes_are_named_for_what_they_are() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"PK\x03\x04....", "zip archive"),
            (b"\x89PNG\r\n\x1a\n", "picture"),
            (b"hello, world", "not a model"),
        ] {
            let message = from_bytes(bytes).unwrap_err().to_string();
            assert!(message.contains(word) && message.contains(".tflite"), "{message}");
        }
        let missing = open("no/such/file.tflite").unwrap_err().to_string();
        assert!(missing.starts_with("cannot read no/such/file.tflite"), "{missing}");
    }
}
