//! What a layer computes.

use serde::{Deserialize, Serialize};

use super::{Padding, Param, Shape, Window};

/// Keras' default momentum of a batch norm's moving statistics.
pub const BATCH_NORM_MOMENTUM: f32 = 0.99;

/// A layer's arithmetic. Layouts: maps `[H, W, C]`, filters `[O, H, W, I]`, depthwise filters `[1, H, W, C]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Op {
    /// Where the picture comes in.
    Input,
    /// Convolution.
    Conv {
        /// `[O, KH, KW, I]`.
        filter: Param,
        /// `[O]`.
        bias: Option<Param>,
        /// Its kernel is `KH x KW`.
        window: Window,
        /// Applied last.
        activation: Activation,
    },
    /// Convolution of every channel on its own; input channel `c` gives the outputs `c * multiplier ..`.
    DepthwiseConv {
        /// `[1, KH, KW, C * multiplier]`.
        filter: Param,
        /// `[C * multiplier]`.
        bias: Option<Param>,
        /// Its kernel is `KH x KW`.
        window: Window,
        /// Applied last.
        activation: Activation,
    },
    /// Fully connected; a map is read in its memory order.
    Dense {
        /// `[O, I]`.
        weights: Param,
        /// `[O]`.
        bias: Option<Param>,
        /// Applied last.
        activation: Activation,
    },
    /// `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, a channel at a time.
    BatchNorm {
        /// `[C]`; 1 when absent.
        gamma: Option<Param>,
        /// `[C]`; 0 when absent.
        beta: Option<Param>,
        /// `[C]`, the moving mean.
        mean: Param,
        /// `[C]`, the moving variance.
        variance: Param,
        /// Keeps the root away from 0.
        epsilon: f32,
        /// Share of the old moving statistics that a training step keeps; Keras' default is
        /// [`BATCH_NORM_MOMENTUM`].
        momentum: f32,
    },
    /// An activation on its own.
    Activation(Activation),
    /// Sum of two tensors of one shape.
    Add {
        /// Applied last.
        activation: Activation,
    },
    /// Mean under a window; taps in the padding do not count, as in TensorFlow.
    AvgPool {
        /// What it slides.
        window: Window,
        /// Applied last.
        activation: Activation,
    },
    /// Maximum under a window; taps in the padding do not count.
    MaxPool {
        /// What it slides.
        window: Window,
        /// Applied last.
        activation: Activation,
    },
    /// Mean over height and width, `[H, W, C] -> [C]`; `[1, 1, C]` when the axes are kept.
    GlobalAvgPool {
        /// Whether height and width stay, as 1.
        keep_axes: bool,
    },
    /// Zeros around a map.
    Pad(Padding),
    /// The same numbers under another shape.
    Reshape(Shape),
    /// The same numbers as a vector.
    Flatten,
    /// Nothing at inference; drops this share of the elements in training.
    Dropout {
        /// Between 0 and 1.
        rate: f32,
    },
    /// `exp(beta * x)` normalised over the channels.
    Softmax {
        /// Usually 1.
        beta: f32,
    },
    /// The same numbers under another quantization; nothing in float.
    Requantize,
    /// `scale * x + offset`, one of each or one a channel.
    Rescale {
        /// One, or one a channel.
        scale: Vec<f32>,
        /// One, or one a channel.
        offset: Vec<f32>,
    },
}

impl Op {
    /// What summaries call it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Conv { window, .. } if window.kernel.area() == 1 => "pointwise_conv",
            Self::Conv { .. } => "conv",
            Self::DepthwiseConv { .. } => "depthwise_conv",
            Self::Dense { .. } => "fully_connected",
            Self::BatchNorm { .. } => "batch_norm",
            Self::Activation(activation) => activation.name(),
            Self::Add { .. } => "add",
            Self::AvgPool { .. } => "avg_pool",
            Self::MaxPool { .. } => "max_pool",
            Self::GlobalAvgPool { .. } => "global_avg_pool",
            Self::Pad(_) => "pad",
            Self::Reshape(_) => "reshape",
            Self::Flatten => "flatten",
            Self::Dropout { .. } => "dropout",
            Self::Softmax { .. } => "softmax",
            Self::Requantize => "requantize",
            Self::Rescale { .. } => "rescale",
        }
    }

    /// How many operands it takes.
    #[must_use]
    pub fn arity(&self) -> usize {
        match self {
            Self::Input => 0,
            Self::Add { .. } => 2,
            _ => 1,
        }
    }

    /// The activation that it applies last, for ops that can carry one.
    #[must_use]
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Self::Conv { activation, .. }
            | Self::DepthwiseConv { activation, .. }
            | Self::Dense { activation, .. }
            | Self::Add { activation }
            | Self::AvgPool { activation, .. }
            | Self::MaxPool { activation, .. }
            | Self::Activation(activation) => Some(*activation),
            _ => None,
        }
    }

    /// The same, to change it.
    pub fn activation_mut(&mut self) -> Option<&mut Activation> {
        match self {
            Self::Conv { activation, .. }
            | Self::DepthwiseConv { activation, .. }
            | Self::Dense { activation, .. }
            | Self::Add { activation }
            | Self::AvgPool { activation, .. }
            | Self::MaxPool { activation, .. }
            | Self::Activation(activation) => Some(activation),
            _ => None,
        }
    }

    /// The window that it slides, if any.
    #[must_use]
    pub fn window(&self) -> Option<&Window> {
        match self {
            Self::Conv { window, .. }
            | Self::DepthwiseConv { window, .. }
            | Self::AvgPool { window, .. }
            | Self::MaxPool { window, .. } => Some(window),
            _ => None,
        }
    }
}

/// A function of one number that only ever clamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// The number itself.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, min), max)`, such as TFLite's RELU_N1_TO_1.
    Clamp {
        /// Lower end; may be minus infinity.
        #[serde(with = "lower_end")]
        min: f32,
        /// Upper end; may be infinity.
        #[serde(with = "upper_end")]
        max: f32,
    },
}

impl Activation {
    /// Lower and upper end.
    #[must_use]
    pub const fn range(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
            Self::Clamp { min, max } => (min, max),
        }
    }

    /// The plainest activation with that range.
    #[must_use]
    pub fn from_range(min: f32, max: f32) -> Self {
        [Self::None, Self::Relu, Self::Relu6]
            .into_iter()
            .find(|plain| plain.range() == (min, max))
            .unwrap_or(Self::Clamp { min, max })
    }

    /// This one, and then another; `None` when no clamp equals both in a row.
    #[must_use]
    pub fn then(self, next: Self) -> Option<Self> {
        let (min, max) = self.range();
        let (next_min, next_max) = next.range();
        let (min, max) = (min.max(next_min), max.min(next_max));
        (min <= max).then(|| Self::from_range(min, max))
    }

    /// Of one number.
    #[must_use]
    pub fn apply(self, x: f32) -> f32 {
        let (min, max) = self.range();
        x.max(min).min(max)
    }

    /// What summaries call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "linear",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::Clamp { .. } => "clamp",
        }
    }
}

macro_rules! end {
    ($name:ident, $open:expr) => {
        /// JSON knows no infinity: an open end is `null`.
        mod $name {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            pub(super) fn serialize<S: Serializer>(end: &f32, to: S) -> Result<S::Ok, S::Error> {
                end.is_finite().then_some(*end).serialize(to)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
                Ok(Option::deserialize(from)?.unwrap_or($open))
            }
        }
    };
}

end!(lower_end, f32::NEG_INFINITY);
end!(upper_end, f32::INFINITY);
