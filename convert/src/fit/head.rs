//! The base of a network without its classifier, and new classifiers to put on it.

use core::str::FromStr;

use crate::graph::{Activation, Graph, GraphError, NodeId, Op, Param, Shape};
use crate::random::SplitMix;

/// What turns the base's last map into classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

/// The last node of the base, that is, of everything below the classifier: what the last global
/// average pool reads, else what the last flattening reads, else the last node that is still a
/// map. `None` where nothing of that kind leads to the output.
#[must_use]
pub fn base_output(graph: &Graph) -> Option<NodeId> {
    // The classifier is the chain of single-input layers before the output, as far as it is flat.
    let mut chain = Vec::new();
    let mut id = graph.output();
    while let [input] = graph.node(id).inputs[..] {
        let (from, to) = (graph.node(input).shape, graph.node(id).shape);
        if to.extent().area() > 1 {
            break;
        }
        chain.push((id, input, from));
        id = input;
    }
    let find = |wanted: &dyn Fn(&Op, Shape) -> bool| {
        let found = chain.iter().find(|(id, _, from)| wanted(&graph.node(*id).op, *from));
        found.map(|(_, input, _)| *input)
    };
    let pools = |op: &Op, from: Shape| match op {
        Op::GlobalAvgPool { .. } => true,
        Op::AvgPool { window, .. } => window.kernel == from.extent() && from.extent().area() > 1,
        _ => false,
    };
    let flattens = |op: &Op, from: Shape| {
        matches!(op, Op::Flatten | Op::Reshape(Shape::Vector(_)))
            && matches!(from, Shape::Map { .. })
    };
    let grows = |_: &Op, from: Shape| from.extent().area() > 1;
    let cut = find(&pools).or_else(|| find(&flattens)).or_else(|| find(&grows))?;
    (cut != graph.input()).then_some(cut)
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
    let (mut builder, nodes, _) = graph.clone().into_builder();
    builder.labels = Some(classes.to_vec());
    builder.io_type.output = Default::default();
    for node in nodes.into_iter().take(cut.index() + 1) {
        builder.push(node)?;
    }
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
