//! A network of integers, of halves, or of both: what quantization makes of a
//! [`Graph`](crate::graph::Graph) and what [`lower`](crate::lower) turns into a blob. It knows scales
//! and zero points, but no target, no contract and no memory.

use mote_engine::ElementType;
use mote_kernels::{Clamp, ClampF16, F16, Shape, Window};

use crate::graph::IoType;

/// A quantized network: one input, one output, nodes in execution order.
#[derive(Clone, Debug)]
pub struct Network {
    /// The source's name.
    pub name: String,
    /// The input first, then every operation.
    pub nodes: Vec<Node>,
    /// Class names.
    pub labels: Option<Vec<String>>,
    /// Types of the arrays that a caller hands in and gets back.
    pub io_type: IoType,
}

/// The input, or an operation with its output tensor.
#[derive(Clone, Debug)]
pub struct Node {
    /// The source's name of the layer.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Positions of its operands.
    pub inputs: Vec<usize>,
    /// Shape of the output.
    pub shape: Shape,
    /// How the output is stored.
    pub element: ElementType,
    /// Real value of one step of the output; 1 for halves.
    pub scale: f32,
    /// Stored value of real zero in the output; 0 for halves.
    pub zero_point: i8,
}

/// What a node computes, on integers unless it says otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Op {
    /// Where the picture comes in.
    Input,
    /// Convolution; depth is `[kernel_height, kernel_width, in_channels]`.
    Conv {
        /// Weights and biases.
        weights: Weights,
        /// What slides.
        window: Window,
        /// Range of the output.
        clamp: Clamp,
    },
    /// Depthwise convolution; depth is the taps.
    DepthwiseConv {
        /// Weights and biases.
        weights: Weights,
        /// What slides.
        window: Window,
        /// Range of the output.
        clamp: Clamp,
    },
    /// Fully connected; depth is the whole input.
    FullyConnected {
        /// Weights and biases.
        weights: Weights,
        /// Range of the output.
        clamp: Clamp,
    },
    /// Addition of two maps.
    Add {
        /// Range of the output.
        clamp: Clamp,
    },
    /// Average pooling.
    AvgPool {
        /// What slides.
        window: Window,
        /// Range of the output.
        clamp: Clamp,
    },
    /// Maximum pooling.
    MaxPool {
        /// What slides.
        window: Window,
        /// Range of the output.
        clamp: Clamp,
    },
    /// Global average pooling.
    GlobalAvgPool,
    /// Softmax over the channels.
    Softmax {
        /// Usually 1.
        beta: f32,
    },
    /// Padding with the zero point.
    Pad {
        /// Rows above.
        top: usize,
        /// Columns to the left.
        left: usize,
    },
    /// Activation clamp.
    Clamp(Clamp),
    /// Element-wise function: its values at -128, -127, .., 127.
    Lookup(Box<[i8; 256]>),
    /// An operation that reads or writes halves.
    Half(HalfOp),
}

/// What a node computes on halves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HalfOp {
    /// Convolution; depth is `[kernel_height, kernel_width, in_channels]`.
    Conv {
        /// Weights and biases.
        weights: HalfWeights,
        /// What slides.
        window: Window,
        /// Range of the output.
        clamp: ClampF16,
    },
    /// Depthwise convolution; depth is the taps.
    DepthwiseConv {
        /// Weights and biases.
        weights: HalfWeights,
        /// What slides.
        window: Window,
        /// Range of the output.
        clamp: ClampF16,
    },
    /// Fully connected; depth is the whole input.
    FullyConnected {
        /// Weights and biases.
        weights: HalfWeights,
        /// Range of the output.
        clamp: ClampF16,
    },
    /// Addition of two maps.
    Add {
        /// Range of the output.
        clamp: ClampF16,
    },
    /// Average pooling.
    AvgPool {
        /// What slides.
        window: Window,
        /// Range of the output.
        clamp: ClampF16,
    },
    /// Maximum pooling.
    MaxPool {
        /// What slides.
        window: Window,
        /// Range of the output.
        clamp: ClampF16,
    },
    /// Global average pooling.
    GlobalAvgPool,
    /// Softmax over the channels.
    Softmax {
        /// Usually 1.
        beta: f32,
    },
    /// Padding with zeros.
    Pad {
        /// Rows above.
        top: usize,
        /// Columns to the left.
        left: usize,
    },
    /// Activation clamp.
    Clamp(ClampF16),
    /// From halves to int8.
    Quantize,
    /// From int8 to halves.
    Dequantize,
}

/// Weights in half precision, biases in single.
#[derive(Clone, Debug)]
pub struct HalfWeights {
    /// `[channels, depth]`.
    pub values: Vec<F16>,
    /// One a channel.
    pub bias: Vec<f32>,
    /// Steps of a channel.
    pub depth: usize,
}

impl Op {
    /// Its int8 weights, for the operations that have some.
    #[must_use]
    pub fn weights(&self) -> Option<&Weights> {
        match self {
            Self::Conv { weights, .. }
            | Self::DepthwiseConv { weights, .. }
            | Self::FullyConnected { weights, .. } => Some(weights),
            _ => None,
        }
    }

    /// The same, to change them.
    pub fn weights_mut(&mut self) -> Option<&mut Weights> {
        match self {
            Self::Conv { weights, .. }
            | Self::DepthwiseConv { weights, .. }
            | Self::FullyConnected { weights, .. } => Some(weights),
            _ => None,
        }
    }
}

/// Symmetric int8 weights with one scale a channel.
#[derive(Clone, Debug)]
pub struct Weights {
    /// `[channels, depth]`.
    pub values: Vec<i8>,
    /// One a channel.
    pub scales: Vec<f32>,
    /// One a channel, in steps of `input_scale * scales[channel]`.
    pub bias: Vec<i32>,
    /// Steps of a channel.
    pub depth: usize,
}

impl Weights {
    /// Output channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.scales.len()
    }

    /// The weights of each channel.
    pub fn rows(&self) -> impl Iterator<Item = &[i8]> {
        self.values.chunks_exact(self.depth)
    }
}
