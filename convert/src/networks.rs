//! Networks by name, for training from scratch or for weights from elsewhere.
//!
//! | network | layer names of | input scaling | initialisation |
//! |---|---|---|---|
//! | MobileNet V1, V2, ResNet-50, VGG-16, VGG-19 | Keras | as in Keras | Glorot uniform |
//! | ResNet-18, ResNet-34, VGG-11, VGG-13 | torchvision; Keras' scheme | torch; caffe | He normal, fan out |
//! | CIFAR MobileNet, ResNets, VGGs with batch norms | torchvision's and Keras' scheme | tf; torch | He normal, fan out |
//!
//! ```
//! use mote_convert::networks::{Network, Options, Top};
//!
//! let options = Options { height: 32, width: 32, top: Top::Classes(10), ..Options::default() };
//! let graph = Network::MobilenetV1 { alpha: 0.25 }.build(&options)?;
//! assert_eq!(graph.output_shape().elements(), 10);
//! assert!(graph.node_by_name("conv_pw_13_bn").is_some());
//! # Ok::<_, mote_convert::networks::NetworkError>(())
//! ```

mod init;
mod layers;
mod load;
mod mobilenet_v1;
mod mobilenet_v2;
mod resnet;
mod vgg;

use core::fmt;

use thiserror::Error;

use crate::graph::{Graph, GraphError, Pooling};
use crate::preprocess::{Preprocess, Scaling};
use init::Init;
use layers::Layers;
pub use load::{LoadError, Loaded, load_layers, load_weights};

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Network {
    /// Howard et al. 2017, as in Keras.
    MobilenetV1 {
        /// Factor on the channels of every layer.
        alpha: f32,
    },
    /// The same kind of network for 32x32 pictures.
    CifarMobilenet {
        /// Factor on the channels of every layer.
        alpha: f32,
    },
    /// Sandler et al. 2018, as in Keras.
    MobilenetV2 {
        /// Factor on the channels of every layer.
        alpha: f32,
    },
    /// He et al. 2016 for ImageNet, of this depth: 18, 34, 50.
    Resnet(u32),
    /// He et al. 2016 for 32x32 pictures, of this depth: 8, 14, 20, 32, 44, 56 and on by 6. Shortcuts are the identity, and a
    /// projection with batch norm where the shape changes.
    CifarResnet(u32),
    /// Simonyan and Zisserman 2015, of this depth: 11, 13, 16, 19.
    Vgg(u32),
    /// The same with batch norms and a single dense layer, for 32x32 pictures.
    CifarVgg(u32),
}

/// What a network is built for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels of the input.
    pub channels: usize,
    /// What comes behind the last feature map.
    pub top: Top,
    /// Share of the features that training drops before the classifier; the architecture's own when absent.
    pub dropout: Option<f32>,
    /// Of the initial weights; without one they are 0, for weights to be loaded.
    pub seed: Option<u64>,
}

/// What comes behind the last feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    /// The architecture's own classifier for so many classes; Keras' `include_top=True`.
    Classes(usize),
    /// None; Keras' `include_top=False`.
    Features(Pooling),
}

impl Default for Options {
    /// Keras' defaults: 224x224 RGB, 1000 classes, seed 0.
    fn default() -> Self {
        Self {
            height: 224,
            width: 224,
            channels: 3,
            top: Top::Classes(1000),
            dropout: None,
            seed: Some(0),
        }
    }
}

impl Network {
    /// Names that [`from_name`](Self::from_name) takes, with what they are.
    pub const NAMES: [(&str, &str); 18] = [
        ("mobilenet-v1", "depthwise separable convolutions; Keras' layers; takes --alpha"),
        ("mobilenet-v2", "inverted residuals; Keras' layers; takes --alpha"),
        ("mobilenet-cifar", "MobileNet V1 for 32x32 pictures; takes --alpha"),
        ("resnet8", "for 32x32 pictures, one block a stage"),
        ("resnet14", "for 32x32 pictures, two blocks a stage"),
        ("resnet20", "for 32x32 pictures, three blocks a stage"),
        ("resnet32", "for 32x32 pictures, five blocks a stage"),
        ("resnet56", "for 32x32 pictures, nine blocks a stage"),
        ("resnet18", "for ImageNet, two 3x3 convolutions a block; torchvision's layers"),
        ("resnet34", "for ImageNet, two 3x3 convolutions a block; torchvision's layers"),
        ("resnet50", "for ImageNet, bottleneck blocks; Keras' layers"),
        ("vgg11", "for ImageNet, 133 million parameters"),
        ("vgg13", "for ImageNet, 133 million parameters"),
        ("vgg16", "for ImageNet, 138 million parameters; Keras' layers"),
        ("vgg19", "for ImageNet, 144 million parameters; Keras' layers"),
        ("vgg11-cifar", "for 32x32 pictures, with batch norms and one dense layer"),
        ("vgg13-cifar", "for 32x32 pictures, with batch norms and one dense layer"),
        ("vgg16-cifar", "for 32x32 pictures, with batch norms and one dense layer"),
    ];

    /// The network of a name; `alpha` is for those that have one.
    ///
    /// # Errors
    /// An unknown name, or an `alpha` for a network that has none.
    pub fn from_name(name: &str, alpha: Option<f32>) -> Result<Self, NetworkError> {
        let unknown = || NetworkError::Name(name.to_owned());
        let depth = |prefix: &str| -> Result<u32, NetworkError> {
            let depth = name.strip_prefix(prefix).and_then(|rest| rest.split('-').next());
            depth.and_then(|depth| depth.parse().ok()).ok_or_else(unknown)
        };
        if !Self::NAMES.iter().any(|(known, _)| *known == name) {
            return Err(unknown());
        }
        let network = match name {
            "mobilenet-v1" => return Ok(Self::MobilenetV1 { alpha: alpha.unwrap_or(1.0) }),
            "mobilenet-v2" => return Ok(Self::MobilenetV2 { alpha: alpha.unwrap_or(1.0) }),
            "mobilenet-cifar" => return Ok(Self::CifarMobilenet { alpha: alpha.unwrap_or(1.0) }),
            "resnet18" | "resnet34" | "resnet50" => Self::Resnet(depth("resnet")?),
            _ if name.ends_with("-cifar") => Self::CifarVgg(depth("vgg")?),
            _ if name.starts_with("vgg") => Self::Vgg(depth("vgg")?),
            _ => Self::CifarResnet(depth("resnet")?),
        };
        match alpha {
            Some(_) => Err(NetworkError::NoAlpha(name.to_owned())),
            None => Ok(network),
        }
    }

    /// What the network is for unless told otherwise: 32x32 RGB and 10 classes, or Keras' 224x224 RGB and 1000.
    #[must_use]
    pub fn options(self) -> Options {
        match self {
            Self::CifarMobilenet { .. } | Self::CifarResnet(_) | Self::CifarVgg(_) => {
                Options { height: 32, width: 32, top: Top::Classes(10), ..Options::default() }
            }
            Self::MobilenetV1 { .. }
            | Self::MobilenetV2 { .. }
            | Self::Resnet(_)
            | Self::Vgg(_) => Options::default(),
        }
    }

    /// Builds the network.
    ///
    /// # Errors
    /// An input too small for the network's strides, an unknown depth, or an `alpha` or dropout rate out of range.
    pub fn build(self, options: &Options) -> Result<Graph, NetworkError> {
        let scaling = match self {
            Self::MobilenetV1 { .. } | Self::CifarMobilenet { .. } | Self::MobilenetV2 { .. } => {
                Scaling::Tf
            }
            Self::Resnet(50) | Self::Vgg(_) => Scaling::Caffe,
            _ => Scaling::Torch,
        };
        let init = match self {
            Self::MobilenetV1 { .. } | Self::MobilenetV2 { .. } => Init::Glorot,
            Self::Resnet(50) | Self::Vgg(16 | 19) => Init::Glorot,
            _ => Init::He,
        };
        if let Self::MobilenetV1 { alpha }
        | Self::CifarMobilenet { alpha }
        | Self::MobilenetV2 { alpha } = self
            && !(alpha > 0.0 && alpha <= MAX_ALPHA)
        {
            return Err(NetworkError::Alpha(alpha));
        }
        let mut layers = Layers::new(self.to_string(), options, init)?;
        match self {
            Self::MobilenetV1 { alpha } => mobilenet_v1::build(&mut layers, alpha)?,
            Self::CifarMobilenet { alpha } => mobilenet_v1::cifar(&mut layers, alpha)?,
            Self::MobilenetV2 { alpha } => mobilenet_v2::build(&mut layers, alpha)?,
            Self::Resnet(depth @ (18 | 34)) => resnet::basic(&mut layers, depth)?,
            Self::Resnet(50) => resnet::bottleneck(&mut layers)?,
            Self::CifarResnet(depth) if (8..=MAX_DEPTH).contains(&depth) && depth % 6 == 2 => {
                resnet::cifar(&mut layers, depth)?;
            }
            Self::Vgg(depth) if vgg::convolutions(depth).is_some() => {
                vgg::build(&mut layers, depth)?;
            }
            Self::CifarVgg(depth) if vgg::convolutions(depth).is_some() => {
                vgg::cifar(&mut layers, depth)?;
            }
            _ => return Err(NetworkError::Name(self.to_string())),
        }
        let mut graph = layers.finish()?;
        graph.preprocess = matches!(options.channels, 1 | 3)
            .then(|| Preprocess::for_channels(scaling, options.channels));
        graph.provenance.insert("network".to_owned(), self.to_string());
        if let Some(seed) = options.seed {
            graph.provenance.insert("seed".to_owned(), seed.to_string());
        }
        Ok(graph)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MobilenetV1 { alpha } => write!(f, "mobilenet-v1-{alpha}"),
            Self::CifarMobilenet { alpha } => write!(f, "mobilenet-cifar-{alpha}"),
            Self::MobilenetV2 { alpha } => write!(f, "mobilenet-v2-{alpha}"),
            Self::Resnet(depth) | Self::CifarResnet(depth) => write!(f, "resnet{depth}"),
            Self::Vgg(depth) => write!(f, "vgg{depth}"),
            Self::CifarVgg(depth) => write!(f, "vgg{depth}-cifar"),
        }
    }
}

/// A network that cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No network of that name or depth.
    #[error("no network `{0}`; there are {known}", known = names())]
    Name(String),
    /// A width for a network of one width.
    #[error("`{0}` has no alpha; the MobileNets have one")]
    NoAlpha(String),
    /// A width out of range.
    #[error("alpha is {0}; it must lie above 0 and up to {MAX_ALPHA}")]
    Alpha(f32),
    /// Layers that do not fit, most often because the input is too small.
    #[error("{0}; is the input large enough for the network?")]
    Graph(#[from] GraphError),
}

fn names() -> String {
    Network::NAMES.map(|(name, _)| name).join(", ")
}

const MAX_ALPHA: f32 = 8.0;
const MAX_DEPTH: u32 = 1202;

#[cfg(test)]
mod tests;
