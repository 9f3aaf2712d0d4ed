//! What can go wrong in training.

use thiserror::Error;

/// A network, batch or step that cannot be trained.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A layer without a gradient.
    #[error("layer `{layer}` ({kind}) cannot be trained: {reason}")]
    Unsupported {
        /// Its name.
        layer: String,
        /// Its kind.
        kind: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// Rounding to int8 that no node says how to do.
    #[error(
        "layer `{layer}` does not state its quantization; calibrate the network first (quantize::calibrated)"
    )]
    NoQuantization {
        /// Its name.
        layer: String,
    },
    /// The network does not end in one score a class.
    #[error(
        "the network gives {found}; training needs a vector of at least two classes: end it in a dense layer"
    )]
    Output {
        /// Its output shape.
        found: String,
    },
    /// Every weight is frozen, or there is none.
    #[error("no weight is trainable; unfreeze a layer or add a head")]
    NothingTrainable,
    /// A batch whose lengths do not fit.
    #[error("the batch has {found} {what} where {expected} are needed")]
    Batch {
        /// What is counted.
        what: &'static str,
        /// How many would fit.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// NaN or infinity.
    #[error(
        "{what} of `{layer}` became {value} in step {step}; lower the learning rate or check the preprocessing"
    )]
    NotFinite {
        /// `the loss`, `a gradient`, `a weight` or `an output`.
        what: &'static str,
        /// The layer.
        layer: String,
        /// The first step is 0.
        step: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// An optimizer's state that belongs to another network or optimizer.
    #[error(
        "the optimizer's state has {found} where {expected} is needed; start with a new optimizer after changing what is trainable"
    )]
    OptimizerState {
        /// What this network and optimizer need.
        expected: String,
        /// What there is.
        found: String,
    },
}
