//! Networks without their classifier, as features for another one.

use core::str::FromStr;

use thiserror::Error;

use super::{
    Activation, ElementType, Extent, Graph, GraphError, Node, NodeId, Op, Quantization, Shape,
    Window,
};

/// What becomes of the last feature map of a network without its top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// It is the output.
    #[default]
    None,
    /// The mean of every channel.
    Avg,
    /// The maximum of every channel.
    Max,
}

impl Pooling {
    /// The layers that do it on a map of this shape, with Keras' names.
    pub(crate) fn ops(self, map: Shape) -> Vec<(&'static str, Op)> {
        match self {
            Self::None => Vec::new(),
            Self::Avg => {
                vec![("global_average_pooling2d", Op::GlobalAvgPool { keep_axes: false })]
            }
            Self::Max => {
                let window = Window::valid(map.extent(), Extent::ONE, Extent::ONE);
                let pool = Op::MaxPool { window, activation: Activation::None };
                vec![("global_max_pooling2d", pool), ("global_max_pooling2d/flatten", Op::Flatten)]
            }
        }
    }
}

impl FromStr for Pooling {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "none" => Ok(Self::None),
            "avg" => Ok(Self::Avg),
            "max" => Ok(Self::Max),
            _ => Err(format!("`{name}` is no pooling; there are none, avg, max")),
        }
    }
}

impl Graph {
    /// The network up to its last feature map, Keras' `include_top=False`: the end is cut off from the global pooling, or
    /// from the flattening, on. Labels go with it.
    ///
    /// ```
    /// # use mote_convert::graph::Pooling;
    /// # use mote_convert::networks::{Network, Options};
    /// let graph = Network::MobilenetV1 { alpha: 0.25 }.build(&Options::default())?;
    /// let map = graph.clone().without_top(Pooling::None)?;
    /// assert_eq!(map.output_shape().dims(), [7, 7, 256]);
    /// assert_eq!(map.node(map.output()).name, "conv_pw_13_relu");
    /// assert_eq!(graph.without_top(Pooling::Avg)?.output_shape().dims(), [256]);
    /// # Ok::<_, Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the network does not end in a classifier behind a feature map.
    pub fn without_top(self, pooling: Pooling) -> Result<Self, TopError> {
        let cut = self.last_map().ok_or_else(|| TopError::NoTop {
            network: self.name().to_owned(),
            layer: self.node(self.output()).name.clone(),
            kind: self.node(self.output()).op.kind(),
        })?;
        let quantization = self.node(cut).quantization;
        let trainable = self.node(cut).trainable;
        let map = self.node(cut).shape;
        let mut builder = self.builder_up_to(cut)?;
        builder.io_type.output = external(builder.io_type.output, quantization);
        let mut last = cut;
        for (name, op) in pooling.ops(map) {
            // A mean or a maximum lies where its operands lie.
            last = builder.push(Node {
                name: name.to_owned(),
                op,
                inputs: vec![last],
                shape: map,
                quantization,
                trainable,
            })?;
        }
        Ok(builder.finish(last)?)
    }

    /// The last node of the base, that is, of everything below the classifier: what the last global
    /// average pool reads, else what the last flattening reads, else the last node that is still a
    /// map. `None` where nothing of that kind leads to the output.
    #[must_use]
    pub fn last_map(&self) -> Option<NodeId> {
        // The classifier is the chain of single-input layers before the output, as far as it is flat.
        let mut chain = Vec::new();
        let mut id = self.output();
        while let [input] = self.node(id).inputs[..] {
            let (from, to) = (self.node(input).shape, self.node(id).shape);
            if to.extent().area() > 1 {
                break;
            }
            chain.push((id, input, from));
            id = input;
        }
        let find = |wanted: &dyn Fn(&Op, Shape) -> bool| {
            let found = chain.iter().find(|(id, _, from)| wanted(&self.node(*id).op, *from));
            found.map(|(_, input, _)| *input)
        };
        let pools = |op: &Op, from: Shape| match op {
            Op::GlobalAvgPool { .. } => true,
            Op::AvgPool { window, .. } => {
                window.kernel == from.extent() && from.extent().area() > 1
            }
            _ => false,
        };
        let flattens = |op: &Op, from: Shape| {
            matches!(op, Op::Flatten | Op::Reshape(Shape::Vector(_)))
                && matches!(from, Shape::Map { .. })
        };
        let grows = |_: &Op, from: Shape| from.extent().area() > 1;
        let cut = find(&pools).or_else(|| find(&flattens)).or_else(|| find(&grows))?;
        (cut != self.input()).then_some(cut)
    }
}

/// The same kind of element under another quantization.
fn external(old: ElementType, inside: Option<Quantization>) -> ElementType {
    match (old, inside) {
        (ElementType::I8(_), Some(inside)) => ElementType::I8(inside),
        (ElementType::U8(_), Some(inside)) => {
            ElementType::U8(Quantization { zero_point: inside.zero_point + 128, ..inside })
        }
        _ => ElementType::F32,
    }
}

/// A network that has no top to leave out.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TopError {
    /// No feature map before a classifier.
    #[error(
        "`{network}` ends in `{layer}` ({kind}) without a global pooling, flattening or dense layer behind a feature \
         map; only a classifier's top can be left out"
    )]
    NoTop {
        /// The network.
        network: String,
        /// Its last layer.
        layer: String,
        /// What that layer is.
        kind: &'static str,
    },
    /// Layers that do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{self, tflite};
    use crate::interpret;
    use crate::networks::{Network, Options};
    use crate::testing::shared;

    #[test]
    fn networks_built_without_top_are_networks_cut() {
        let options = Options { height: 32, width: 32, ..Options::default() };
        for network in [
            Network::MobilenetV1 { alpha: 0.25 },
            Network::MobilenetV2 { alpha: 0.35 },
            Network::CifarResnet(8),
            Network::CifarVgg(11),
        ] {
            for pooling in [Pooling::None, Pooling::Avg, Pooling::Max] {
                let cut = network.build(&options).unwrap().without_top(pooling).unwrap();
                let top = crate::networks::Top::Features(pooling);
                let built = network.build(&Options { top, ..options.clone() }).unwrap();
                assert_eq!(cut, built, "{network} {pooling:?}");
            }
        }
    }

    #[test]
    fn pools_are_what_they_say() {
        let network = Network::CifarResnet(8);
        let options = Options { height: 32, width: 32, ..Options::default() };
        let graph = network.build(&options).unwrap();
        let picture: Vec<f32> =
            (0..3072_usize).map(|index| (index * 31 % 256) as f32 / 128.0 - 1.0).collect();
        let run = |pooling| {
            let graph = graph.clone().without_top(pooling).unwrap();
            interpret::run(&graph, &picture, |_, _| ()).unwrap()
        };
        let map = run(Pooling::None);
        let channel = |channel| map.iter().skip(channel).step_by(64).copied();
        for (index, max) in run(Pooling::Max).into_iter().enumerate() {
            assert_eq!(max, channel(index).fold(f32::NEG_INFINITY, f32::max));
        }
        for (index, mean) in run(Pooling::Avg).into_iter().enumerate() {
            assert!((mean - channel(index).sum::<f32>() / 64.0).abs() < 1e-5);
        }
    }

    #[test]
    fn imported_networks() {
        for (name, last) in [
            ("mlperf_tiny/pretrainedResnet.h5", vec![8, 8, 64]),
            ("mlperf_tiny/vww_96.h5", vec![3, 3, 256]),
            ("imagenet/mobilenet_v1_0.25_224.h5", vec![7, 7, 256]),
            ("imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite", vec![7, 7, 1280]),
        ] {
            let Some(path) = shared(&format!("models/{name}")) else { return };
            let graph = import::open(path).unwrap().without_top(Pooling::None).unwrap();
            assert_eq!(graph.output_shape().dims(), last, "{name}");
        }
    }

    #[test]
    fn quantized_networks_stay_quantized() {
        let graph = tflite::read(&tflite::sample::int8()).unwrap();
        let cut = graph.without_top(Pooling::Max).unwrap();
        assert!(cut.is_quantized());
    }

    #[test]
    fn no_top_is_an_error() {
        let options = Options { height: 32, width: 32, ..Options::default() };
        let graph = Network::CifarResnet(8).build(&options).unwrap();
        let map = graph.without_top(Pooling::None).unwrap();
        let message = map.without_top(Pooling::None).unwrap_err().to_string();
        assert!(message.contains("`layer3.0.relu2` (relu)"), "{message}");
    }
}
