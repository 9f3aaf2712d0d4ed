//! Keras.
use thiserror::Error;

use crate::graph::Graph;

/// E.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("not yet")]
pub struct KerasError;

/// R.
///
/// # Errors
/// Always.
pub fn read(_file: &[u8]) -> Result<Graph, KerasError> {
    Err(KerasError)
}
