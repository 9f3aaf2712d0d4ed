//! A parameter tensor of a layer.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::MAX_ELEMENTS;

/// Weights, biases or statistics of a layer.
///
/// Its serialized form is a description: the values travel beside it (see [`model_file`](crate::model_file)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// The source's name.
    pub name: String,
    /// Axes, in the layout that the [`Op`](super::Op) states.
    pub shape: Vec<usize>,
    /// Values; of a quantized source the dequantized ones.
    #[serde(skip)]
    pub data: Vec<f32>,
    /// The source's integers, when it was quantized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantized: Option<QuantizedParam>,
}

/// The integers of a quantized source, symmetric (zero point 0).
///
/// `scales` has one entry for the whole tensor or one an output channel (the axis `O` of conv and dense weights, `C` of
/// depthwise ones), as the source has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuantizedParam {
    /// Weights.
    I8 {
        /// In the order of [`Param::data`].
        #[serde(skip)]
        values: Vec<i8>,
        /// One, or one an output channel.
        scales: Vec<f32>,
    },
    /// Biases.
    I32 {
        /// In the order of [`Param::data`].
        #[serde(skip)]
        values: Vec<i32>,
        /// One, or one an output channel.
        scales: Vec<f32>,
    },
}

impl Param {
    /// A float parameter.
    ///
    /// # Errors
    /// When shape and data disagree or a value is not finite.
    pub fn new(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        data: Vec<f32>,
    ) -> Result<Self, ParamError> {
        let param = Self { name: name.into(), shape: shape.into(), data, quantized: None };
        param.check()?;
        Ok(param)
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no values; never so inside a graph.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Proves that shape, data and integers agree and that everything is finite.
    pub(super) fn check(&self) -> Result<(), ParamError> {
        let tensor = || self.name.clone();
        let elements =
            self.shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        match elements {
            Some(elements) if elements == self.data.len() && elements > 0 => {}
            _ => {
                return Err(ParamError::Len {
                    tensor: tensor(),
                    shape: self.shape.clone(),
                    found: self.data.len(),
                });
            }
        }
        if self.data.len() > MAX_ELEMENTS {
            return Err(ParamError::TooLarge { tensor: tensor(), elements: self.data.len() });
        }
        if let Some(index) = self.data.iter().position(|value| !value.is_finite()) {
            return Err(ParamError::NotFinite { tensor: tensor(), index, value: self.data[index] });
        }
        let (len, scales) = match &self.quantized {
            None => return Ok(()),
            Some(QuantizedParam::I8 { values, scales }) => (values.len(), scales),
            Some(QuantizedParam::I32 { values, scales }) => (values.len(), scales),
        };
        if len != self.data.len() {
            return Err(ParamError::Len {
                tensor: tensor(),
                shape: self.shape.clone(),
                found: len,
            });
        }
        let channels = [self.shape.first(), self.shape.last()];
        if scales.len() != 1 && !channels.contains(&Some(&scales.len())) {
            return Err(ParamError::Scales { tensor: tensor(), found: scales.len() });
        }
        match scales.iter().position(|scale| !(scale.is_finite() && *scale > 0.0)) {
            Some(channel) => {
                Err(ParamError::Scale { tensor: tensor(), channel, scale: scales[channel] })
            }
            None => Ok(()),
        }
    }
}

/// A parameter tensor that no network can use.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ParamError {
    /// Shape and number of values disagree.
    #[error("tensor `{tensor}` has shape {shape:?} but {found} values; the file is damaged")]
    Len {
        /// Its name.
        tensor: String,
        /// The shape it claims.
        shape: Vec<usize>,
        /// The values there are.
        found: usize,
    },
    /// More values than supported.
    #[error("tensor `{tensor}` has {elements} values; at most {MAX_ELEMENTS} are supported")]
    TooLarge {
        /// Its name.
        tensor: String,
        /// The values it claims.
        elements: usize,
    },
    /// NaN or infinity.
    #[error("tensor `{tensor}` holds {value} at index {index}; train or export the network again")]
    NotFinite {
        /// Its name.
        tensor: String,
        /// Where.
        index: usize,
        /// What.
        value: f32,
    },
    /// A number of scales that fits no axis.
    #[error(
        "tensor `{tensor}` has {found} quantization scales; one, or one an output channel, are supported"
    )]
    Scales {
        /// Its name.
        tensor: String,
        /// How many.
        found: usize,
    },
    /// A scale that is not a positive number.
    #[error(
        "tensor `{tensor}` has the quantization scale {scale} for channel {channel}; it must be positive and finite"
    )]
    Scale {
        /// Its name.
        tensor: String,
        /// Which.
        channel: usize,
        /// What.
        scale: f32,
    },
}
