//! What can be wrong with a network.

use thiserror::Error;

use super::{Extent, MAX_ELEMENTS, ParamError, Shape, Window};

/// A graph that cannot be, with the layer that makes it so.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A layer whose operands or parameters do not fit.
    #[error("layer `{layer}` (number {position}): {fault}")]
    Layer {
        /// Its name.
        layer: String,
        /// Its place in the graph.
        position: usize,
        /// What does not fit.
        fault: Box<ShapeError>,
    },
    /// More than one input.
    #[error("a second input `{layer}`; networks with one input are supported")]
    SecondInput {
        /// Its name.
        layer: String,
    },
    /// The output does not depend on any input.
    #[error("the output does not depend on an input; the model is damaged")]
    NoInput,
    /// An operand that is not there (yet).
    #[error("layer `{layer}` reads a layer that comes later or does not exist")]
    Order {
        /// Its name.
        layer: String,
    },
    /// Labels for another number of classes.
    #[error("{found} labels for {expected} outputs")]
    Labels {
        /// Outputs.
        expected: usize,
        /// Labels.
        found: usize,
    },
}

/// Operands or parameters that do not fit together.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Neither a map nor a vector.
    #[error(
        "shape {dims:?} without the batch; [height, width, channels] and [channels] are supported"
    )]
    Rank {
        /// The axes.
        dims: Vec<usize>,
    },
    /// An axis of 0.
    #[error("shape {dims:?} has no elements")]
    Empty {
        /// The axes.
        dims: Vec<usize>,
    },
    /// More elements than supported.
    #[error("shape {dims:?} is too large; at most {MAX_ELEMENTS} elements are supported")]
    TooLarge {
        /// The axes.
        dims: Vec<usize>,
    },
    /// A padding beyond all measure.
    #[error("padding is too large; at most {MAX_ELEMENTS} rows or columns are supported")]
    Padding,
    /// A kernel, stride or dilation of 0 or beyond all measure.
    #[error("window {window:?} has a kernel, stride or dilation that is 0 or too large")]
    Window {
        /// The window.
        window: Window,
    },
    /// A window larger than what it slides over.
    #[error("the {} window does not fit into its {input} input with padding {:?}", window.kernel, window.padding)]
    WindowTooLarge {
        /// The window.
        window: Window,
        /// What it slides over.
        input: Extent,
    },
    /// A vector where a map is needed.
    #[error("needs a [height, width, channels] input, not {found}")]
    NotAMap {
        /// What there is.
        found: Shape,
    },
    /// Operands of different shapes.
    #[error("adds tensors of different shapes, {left} and {right}; broadcasting is not supported")]
    Operands {
        /// The first.
        left: Shape,
        /// The second.
        right: Shape,
    },
    /// Another number of operands.
    #[error("has {found} inputs where {expected} are supported")]
    Arity {
        /// What the op takes.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// A parameter whose shape does not fit the input or the other parameters.
    #[error("tensor `{tensor}` has shape {found:?} where {expected} is needed")]
    Param {
        /// Its name.
        tensor: String,
        /// What would fit.
        expected: String,
        /// What there is.
        found: Vec<usize>,
    },
    /// A parameter that is wrong in itself.
    #[error(transparent)]
    Value(#[from] ParamError),
    /// Reshaping to another number of elements.
    #[error("reshapes {from} to {to}, which has another number of elements")]
    Reshape {
        /// Input shape.
        from: Shape,
        /// Output shape.
        to: Shape,
    },
    /// A constant of the op outside its range.
    #[error("{what} is {value}; {supported}")]
    Constant {
        /// Which.
        what: &'static str,
        /// What it is.
        value: f32,
        /// What would do.
        supported: &'static str,
    },
    /// A quantization that no int8 tensor can have.
    #[error(
        "quantization scale {scale}, zero point {zero_point}; the scale must be positive, the zero point within int8"
    )]
    Quantization {
        /// The scale.
        scale: f32,
        /// The zero point.
        zero_point: i32,
    },
}
