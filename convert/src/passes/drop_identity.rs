//! Layers that do nothing at inference.

use super::Draft;
use crate::graph::{Activation, Graph, GraphError, Op};

/// Leaves out dropouts, linear activations and reshapes to the same shape.
///
/// # Errors
/// See [`standard`](super::standard).
pub fn drop_identity(graph: Graph) -> Result<Graph, GraphError> {
    let mut draft = Draft::new(graph);
    for id in draft.ids.clone() {
        let Some(node) = draft.node(id) else { continue };
        let shape = node.shape;
        let is_identity = match &node.op {
            Op::Dropout { .. } | Op::Activation(Activation::None) => true,
            Op::Reshape(_) | Op::Flatten => draft
                .operand(id)
                .and_then(|operand| draft.node(operand))
                .is_some_and(|operand| operand.shape == shape),
            _ => false,
        };
        if is_identity {
            draft.leave_out(id);
        }
    }
    draft.finish()
}
