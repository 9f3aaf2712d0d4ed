//! Activations into the layers before them.

use super::Draft;
use crate::graph::{Graph, GraphError, Op};

/// Makes a clamping activation part of the layer that it follows, where nothing else reads that
/// layer.
///
/// # Errors
/// See [`standard`](super::standard).
pub fn fuse_activation(graph: Graph) -> Result<Graph, GraphError> {
    let mut draft = Draft::new(graph);
    for id in draft.ids.clone() {
        let Some(&Op::Activation(activation)) = draft.node(id).map(|node| &node.op) else {
            continue;
        };
        let Some(operand) = draft.operand(id) else { continue };
        if !draft.is_only_reader(operand, id) {
            continue;
        }
        let own = draft.node_mut(operand).and_then(|node| node.op.activation_mut());
        if let Some(own) = own
            && let Some(both) = own.then(activation)
        {
            *own = both;
            draft.leave_out(id);
        }
    }
    draft.finish()
}
