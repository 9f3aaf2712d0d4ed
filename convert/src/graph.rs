//! The one description of a network: f32, NHWC, the batch left implicit.
//!
//! Every importer ends here and every interpreter (the f32 reference, the trainer, the quantizer) starts here.
//! A [`Graph`] comes only out of a [`GraphBuilder`], so whoever holds one may rely on this: nodes stand in
//! topological order, no two have one name, every shape was inferred and agrees with its parameters, every weight is
//! finite, every node feeds the output, and there is exactly one input.
//!
//! Networks with several inputs or outputs are refused by the importers, which name the tensors.

mod builder;
mod error;
mod infer;
mod layers;
mod op;
mod param;
mod shape;
mod top;
mod weights;

pub use builder::GraphBuilder;
pub use error::{GraphError, ShapeError};
pub use layers::{Layer, LayerError, LayerKey, LayerMut};
pub use op::{Activation, BATCH_NORM_MOMENTUM, Op};
pub use param::{Param, ParamError, QuantizedParam};
pub use shape::{Extent, MAX_ELEMENTS, Padding, Shape, Window};
pub use top::{Pooling, TopError};
pub(crate) use weights::transpose;
pub use weights::{Weight, WeightRole};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::preprocess::Preprocess;

/// A node's place in its graph; only meaningful for the graph that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(usize);

impl NodeId {
    /// Position in [`Graph::nodes`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// Affine int8 quantization of a tensor: `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantization {
    /// Step between neighbouring integers; positive and finite.
    pub scale: f32,
    /// The integer that means 0.0.
    pub zero_point: i32,
}

/// How numbers look outside the network, in the arrays that a caller hands in and gets back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementType {
    /// Plain floats.
    #[default]
    F32,
    /// int8 with this quantization.
    I8(Quantization),
    /// uint8 with this quantization (zero point 128 above the int8 one inside).
    U8(Quantization),
}

/// The external types of a network's input and output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IoType {
    /// What the caller hands in.
    pub input: ElementType,
    /// What the caller gets back.
    pub output: ElementType,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The source's name of the layer; unlike any other's.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Where its operands come from; always earlier in the graph.
    pub inputs: Vec<NodeId>,
    /// Output shape, without the batch.
    pub shape: Shape,
    /// Quantization of the output, when the source states one.
    pub quantization: Option<Quantization>,
    /// Whether training may change its parameters.
    pub trainable: bool,
}

/// A network with one input and one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    input: NodeId,
    output: NodeId,
    /// Class names, one an output element, when the source carries them.
    pub labels: Option<Vec<String>>,
    /// External input and output types.
    pub io_type: IoType,
    /// How pictures become the input, when that is known.
    pub preprocess: Option<Preprocess>,
    /// Where the network came from: what whoever made it cared to note, such as the recipe and its seed.
    pub provenance: BTreeMap<String, String>,
}

impl Graph {
    /// The source's name of the network.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All nodes, in topological order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All nodes with their ids, in topological order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> + ExactSizeIterator {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node))
    }

    /// The node of an id that came from this graph.
    ///
    /// # Panics
    /// On an id of a larger graph.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The only input.
    #[must_use]
    pub fn input(&self) -> NodeId {
        self.input
    }

    /// The only output.
    #[must_use]
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// Shape that the network takes.
    #[must_use]
    pub fn input_shape(&self) -> Shape {
        self.node(self.input).shape
    }

    /// Shape that the network gives.
    #[must_use]
    pub fn output_shape(&self) -> Shape {
        self.node(self.output).shape
    }

    /// The node of that name.
    #[must_use]
    pub fn node_by_name(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(NodeId)
    }

    /// Shapes of a node's operands.
    pub fn input_shapes(&self, id: NodeId) -> impl Iterator<Item = Shape> {
        self.node(id).inputs.iter().map(|&input| self.node(input).shape)
    }

    /// For every node, the nodes that read it.
    #[must_use]
    pub fn readers(&self) -> Vec<Vec<NodeId>> {
        let mut readers = vec![Vec::new(); self.nodes.len()];
        for (id, node) in self.iter() {
            for input in &node.inputs {
                readers[input.0].push(id);
            }
        }
        readers
    }

    /// Whether every node states its quantization: the source was quantized, or trained to be.
    #[must_use]
    pub fn is_quantized(&self) -> bool {
        self.nodes.iter().all(|node| node.quantization.is_some())
    }

    /// Whether the weights are integers of a quantized source.
    #[must_use]
    pub fn has_integers(&self) -> bool {
        self.weights().any(|weight| weight.param.quantized.is_some())
    }

    /// Multiply-accumulates of one node for one picture; what the padding contributes is counted, as is usual.
    #[must_use]
    pub fn macs(&self, id: NodeId) -> u64 {
        let node = self.node(id);
        let per_output = match &node.op {
            Op::Conv { filter, .. } => filter.shape[1..].iter().product(),
            Op::DepthwiseConv { window, .. } => window.kernel.area(),
            Op::Dense { weights, .. } => weights.shape[1],
            _ => 0,
        };
        node.shape.elements() as u64 * per_output as u64
    }

    /// Multiply-accumulates of the whole network for one picture.
    #[must_use]
    pub fn total_macs(&self) -> u64 {
        self.iter().map(|(id, _)| self.macs(id)).sum()
    }

    /// The weights of one node, to train them; whoever changes them keeps them finite.
    pub(crate) fn weights_mut(
        &mut self,
        id: NodeId,
    ) -> impl Iterator<Item = (WeightRole, &mut Param)> {
        self.nodes[id.0].op.weights_mut()
    }

    /// Every trainable weight with the name of its layer, in the order of [`weights`](Self::weights).
    pub(crate) fn trainable_weights_mut(
        &mut self,
    ) -> impl Iterator<Item = (&str, WeightRole, &mut Param)> {
        let trainable = self.nodes.iter_mut().filter(|node| node.trainable);
        trainable.flat_map(|node| {
            let weights = node.op.weights_mut().filter(|(role, _)| !role.is_statistic());
            weights.map(|(role, param)| (&node.name[..], role, param))
        })
    }

    /// The graph up to a node, without labels, for another end to be built on it.
    ///
    /// # Errors
    /// None that a node of this graph can give; [`GraphError`] is the builder's.
    ///
    /// # Panics
    /// On an id of a larger graph.
    pub fn builder_up_to(&self, last: NodeId) -> Result<GraphBuilder, GraphError> {
        let mut builder = GraphBuilder::new(self.name.clone());
        builder.io_type = self.io_type;
        builder.preprocess = self.preprocess;
        builder.provenance = self.provenance.clone();
        for node in &self.nodes[..=last.0] {
            builder.push(node.clone())?;
        }
        Ok(builder)
    }

    /// The graph taken apart, for a pass to build another one from.
    #[must_use]
    pub fn into_builder(self) -> (GraphBuilder, Vec<Node>, NodeId) {
        let mut builder = GraphBuilder::new(self.name);
        builder.labels = self.labels;
        builder.io_type = self.io_type;
        builder.preprocess = self.preprocess;
        builder.provenance = self.provenance;
        (builder, self.nodes, self.output)
    }
}
