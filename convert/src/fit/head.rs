//! New classifiers to put on a base.

use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::graph::{Activation, Graph, GraphError, NodeId, Op, Param, Shape};
use crate::random::SplitMix;

/// What turns the base's last map into classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// Global average pooling, dropout, a dense layer with softmax.
    Gap,
    /// Flattening, dropout, a dense layer with softmax.
    Flatten,
    /// [`Head::Gap`] where the last map has [`Head::MANY_CHANNELS`] or more, else
    /// [`Head::Flatten`]: the mean of many channels still tells the classes apart, that of a few
    /// does not.
    #[default]
    Auto,
}

impl Head {
    /// The rule of thumb's threshold.
    pub const MANY_CHANNELS: usize = 64;

    /// The name in the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Flatten => "flatten",
            Self::Auto => "auto",
        }
    }

    /// Which of the two it is over a map of this shape.
    #[must_use]
    pub fn over(self, shape: Shape) -> Self {
        match (self, shape) {
            (Self::Auto, Shape::Map { channels, .. }) if channels >= Self::MANY_CHANNELS => {
                Self::Gap
            }
            (Self::Auto, _) => Self::Flatten,
            (head, _) => head,
        }
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Gap, Self::Flatten, Self::Auto];
        all.into_iter()
            .find(|head| head.name() == text)
            .ok_or_else(|| format!("head `{text}` is not known; there are gap, flatten and auto"))
    }
}

/// The base up to `cut` under a new classifier for `classes`, and where the classifier begins.
///
/// The dense weights are Glorot-uniform by `seed`, the biases 0.
///
/// # Errors
/// [`GraphError`] where the result has a shape that cannot be.
pub fn with_head(
    graph: &Graph,
    cut: NodeId,
    head: Head,
    dropout: f32,
    classes: &[String],
    seed: u64,
) -> Result<(Graph, NodeId), GraphError> {
    let mut builder = graph.builder_up_to(cut)?;
    builder.labels = Some(classes.to_vec());
    builder.io_type.output = Default::default();
    let shape = builder.shape(cut);
    let mut top = cut;
    if let Shape::Map { .. } = shape {
        let (name, op) = match head.over(shape) {
            Head::Gap => ("head_pool", Op::GlobalAvgPool { keep_axes: false }),
            Head::Flatten | Head::Auto => ("head_flatten", Op::Flatten),
        };
        top = builder.add(name, op, &[top])?;
    }
    let first = top;
    if dropout > 0.0 {
        top = builder.add("head_dropout", Op::Dropout { rate: dropout }, &[top])?;
    }
    let dense = glorot(builder.shape(top).elements(), classes.len(), seed)?;
    top = builder.add("head_dense", dense, &[top])?;
    top = builder.add("head_softmax", Op::Softmax { beta: 1.0 }, &[top])?;
    let graph = builder.finish(top)?;
    // Nodes that only the old classifier needed are gone, so places may have moved.
    let begin = match shape {
        Shape::Map { .. } => first,
        Shape::Vector(_) => top,
    };
    let name = ["head_pool", "head_flatten", "head_dropout", "head_dense"];
    let found = name.iter().find_map(|name| graph.node_by_name(name)).unwrap_or(begin);
    Ok((graph, found))
}

fn glorot(inputs: usize, outputs: usize, seed: u64) -> Result<Op, GraphError> {
    let mut random = SplitMix::of(&[seed, 0x6865_6164]);
    #[expect(clippy::cast_precision_loss, reason = "a bound of random numbers")]
    let limit = (6.0 / (inputs + outputs) as f32).sqrt();
    let weights = (0..inputs * outputs).map(|_| random.between(-limit, limit)).collect();
    let param = |name: &str, shape: &[usize], data| {
        Param::new(name, shape, data).map_err(|fault| GraphError::Layer {
            layer: "head_dense".into(),
            position: 0,
            fault: Box::new(fault.into()),
        })
    };
    Ok(Op::Dense {
        weights: param("kernel", &[outputs, inputs], weights)?,
        bias: Some(param("bias", &[outputs], vec![0.0; outputs])?),
        activation: Activation::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::split::tests::residual;
    use crate::graph::{Extent, GraphBuilder, Window};
    use crate::import;
    use crate::interpret;
    use crate::testing::shared;

    const CLASSES: [&str; 2] = ["left", "right"];

    fn put(graph: &Graph, cut: NodeId, head: Head, dropout: f32) -> (Graph, NodeId) {
        let classes = CLASSES.map(String::from);
        with_head(graph, cut, head, dropout, &classes, 3).unwrap()
    }

    #[test]
    fn a_new_classifier_takes_the_place_of_the_old() {
        let graph = residual();
        let cut = graph.last_map().unwrap();
        assert_eq!(graph.node(cut).name, "conv3");
        for (head, first, inputs) in [
            (Head::Gap, "head_pool", 6),
            (Head::Flatten, "head_flatten", 6 * 64),
            (Head::Auto, "head_flatten", 6 * 64),
        ] {
            let (made, begin) = put(&graph, cut, head, 0.5);
            assert_eq!(made.node(begin).name, first);
            assert!(made.node_by_name("dense").is_none());
            let dense = made.node(made.node_by_name("head_dense").unwrap());
            assert_eq!(dense.parameters(), 2 * inputs + 2);
            assert_eq!(made.labels.as_deref(), Some(&CLASSES.map(String::from)[..]));
            let sum: f32 = interpret::run(&made, &[0.5; 192], |_, _| ()).unwrap().iter().sum();
            assert!((sum - 1.0).abs() < 1e-5);
            assert_eq!(put(&made, made.last_map().unwrap(), head, 0.5).0, made);
        }
        assert!(put(&graph, cut, Head::Gap, 0.0).0.node_by_name("head_dropout").is_none());
    }

    #[test]
    fn the_rule_of_thumb_counts_channels() {
        let map = |channels| Shape::Map { height: 3, width: 3, channels };
        assert_eq!(Head::Auto.over(map(64)), Head::Gap);
        assert_eq!(Head::Auto.over(map(63)), Head::Flatten);
        assert_eq!(Head::Flatten.over(map(64)), Head::Flatten);
    }

    #[test]
    fn a_last_map_of_one_pixel_is_still_the_base() {
        // Stride 8 over 8 x 8: everything after the first layer is 1 x 1.
        let random = &mut SplitMix::new(1);
        let mut builder = GraphBuilder::new("g");
        let map = Shape::Map { height: 8, width: 8, channels: 3 };
        let mut id = builder.input("in", map).unwrap();
        for (name, inputs, side) in [("a", 3, 8), ("b", 4, 1)] {
            let conv = Op::Conv {
                filter: crate::fit::split::tests::param(random, &[4, side, side, inputs], 1.0),
                bias: None,
                window: Window::valid(Extent::square(side), Extent::ONE, Extent::ONE),
                activation: Activation::Relu,
            };
            id = builder.add(name, conv, &[id]).unwrap();
        }
        id = builder.add("gap", Op::GlobalAvgPool { keep_axes: true }, &[id]).unwrap();
        id = builder.add("flat", Op::Flatten, &[id]).unwrap();
        let graph = builder.finish(id).unwrap();
        assert_eq!(graph.node(graph.last_map().unwrap()).name, "b");
    }

    #[test]
    fn the_pretrained_networks_have_a_base() {
        for (file, base, channels) in [
            ("imagenet/mobilenet_v1_0.25_224.h5", "conv_pw_13_relu", 256),
            ("mlperf_tiny/vww_96.h5", "activation_26", 256),
            ("mlperf_tiny/pretrainedResnet.h5", "activation_6", 64),
        ] {
            let Some(path) = shared("models").map(|models| models.join(file)) else { return };
            let graph = import::open(&path).unwrap();
            let node = graph.node(graph.last_map().unwrap());
            assert_eq!(node.shape.channels(), channels, "{file}: {}", node.name);
            assert_eq!(node.name, base, "{file}");
        }
    }
}
