//! `Graph -> Graph`: the same function with fewer layers.
//!
//! Every pass keeps the network's output, up to float rounding; [`standard`] runs those that
//! quantization wants. A graph whose source was quantized only gets the exact ones.

mod drop_identity;
mod fold_batch_norm;
mod fold_pad;
mod fuse_activation;

pub use drop_identity::drop_identity;
pub use fold_batch_norm::fold_batch_norm;
pub use fold_pad::fold_pad;
pub use fuse_activation::fuse_activation;

use crate::graph::{Graph, GraphBuilder, GraphError, Node, NodeId};

/// All passes in their order.
///
/// # Errors
/// [`GraphError`] when a pass made something that cannot be, which is a bug.
pub fn standard(graph: Graph) -> Result<Graph, GraphError> {
    let graph = fold_pad(drop_identity(graph)?)?;
    if graph.is_quantized() {
        return Ok(graph);
    }
    fuse_activation(fold_batch_norm(graph)?)
}

/// A graph whose nodes are being changed or left out.
struct Draft {
    builder: GraphBuilder,
    nodes: Vec<Option<Node>>,
    /// Where readers of a left-out node read instead.
    instead: Vec<Option<NodeId>>,
    readers: Vec<Vec<NodeId>>,
    output: NodeId,
    ids: Vec<NodeId>,
}

impl Draft {
    fn new(graph: Graph) -> Self {
        let readers = graph.readers();
        let ids: Vec<NodeId> = graph.iter().map(|(id, _)| id).collect();
        let (builder, nodes, output) = graph.into_builder();
        let nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
        Self { builder, instead: vec![None; nodes.len()], nodes, readers, output, ids }
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes[id.index()].as_ref()
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes[id.index()].as_mut()
    }

    /// The node that is read through `id`, past those that were left out.
    fn resolve(&self, mut id: NodeId) -> NodeId {
        while let Some(next) = self.instead[id.index()] {
            id = next;
        }
        id
    }

    /// The first operand of `id`, past nodes that were left out.
    fn operand(&self, id: NodeId) -> Option<NodeId> {
        Some(self.resolve(*self.node(id)?.inputs.first()?))
    }

    /// Whether nothing but `reader` sees the output of `id`.
    fn is_only_reader(&self, id: NodeId, reader: NodeId) -> bool {
        let kept: Vec<NodeId> = self.kept_readers(id);
        kept == [reader] && self.resolve(self.output) != id
    }

    /// Readers of `id`, with those of its left-out readers in their place.
    fn kept_readers(&self, id: NodeId) -> Vec<NodeId> {
        let mut kept = Vec::new();
        for &reader in &self.readers[id.index()] {
            if self.instead[reader.index()].is_some() {
                kept.extend(self.kept_readers(reader));
            } else {
                kept.push(reader);
            }
        }
        kept
    }

    /// Leaves `id` out: its readers read its first operand.
    fn leave_out(&mut self, id: NodeId) {
        if let Some(operand) = self.operand(id) {
            self.instead[id.index()] = Some(operand);
            self.nodes[id.index()] = None;
        }
    }

    fn finish(mut self) -> Result<Graph, GraphError> {
        let mut places: Vec<Option<NodeId>> = vec![None; self.nodes.len()];
        for index in 0..self.nodes.len() {
            let Some(mut node) = self.nodes[index].take() else { continue };
            for input in &mut node.inputs {
                let source = self.resolve(*input);
                *input = places[source.index()].unwrap_or(source);
            }
            places[index] = Some(self.builder.push(node)?);
        }
        let output = self.resolve(self.output);
        self.builder.finish(places[output.index()].unwrap_or(output))
    }
}

#[cfg(test)]
mod tests;
