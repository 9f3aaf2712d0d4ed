//! Explicit padding into the windows that read it.

use super::Draft;
use crate::graph::{Graph, GraphError, NodeId, Op, Padding, Window};

/// Makes a padding layer part of the convolutions that read it, and of the max pools when nothing
/// below 0 comes in: to them padding is what never wins. Average pools would count differently.
///
/// # Errors
/// See [`standard`](super::standard).
pub fn fold_pad(graph: Graph) -> Result<Graph, GraphError> {
    let mut draft = Draft::new(graph);
    for id in draft.ids.clone() {
        let Some(windows) = padded_windows(&draft, id) else { continue };
        for (reader, padded) in windows {
            if let Some(node) = draft.node_mut(reader)
                && let Op::Conv { window, .. }
                | Op::DepthwiseConv { window, .. }
                | Op::MaxPool { window, .. } = &mut node.op
            {
                *window = padded;
            }
        }
        draft.leave_out(id);
    }
    draft.finish()
}

/// The readers of the padding `id` with their windows after folding; `None` when `id` is no
/// padding or some reader cannot take it.
fn padded_windows(draft: &Draft, id: NodeId) -> Option<Vec<(NodeId, Window)>> {
    let node = draft.node(id)?;
    let &Op::Pad(padding) = &node.op else { return None };
    // Padding reads as the zero point, so both sides must have the same one.
    let below = draft.node(draft.operand(id)?)?;
    if below.quantization != node.quantization || draft.resolve(draft.output) == id {
        return None;
    }
    let is_positive = below.op.activation().is_some_and(|activation| activation.range().0 >= 0.0);
    let readers = draft.kept_readers(id);
    let fold = |&reader: &NodeId| match &draft.node(reader)?.op {
        Op::Conv { window, .. } | Op::DepthwiseConv { window, .. } => {
            Some((reader, padded(window, padding)?))
        }
        Op::MaxPool { window, .. } if is_positive => Some((reader, padded(window, padding)?)),
        _ => None,
    };
    if readers.is_empty() { None } else { readers.iter().map(fold).collect() }
}

/// `window` with more padding, as long as no window comes to lie in the padding alone.
fn padded(window: &Window, padding: Padding) -> Option<Window> {
    let padding = window.padding.plus(padding).ok()?;
    let reach = window.reach().ok()?;
    let fits = padding.top.max(padding.bottom) < reach.height
        && padding.left.max(padding.right) < reach.width;
    fits.then_some(Window { padding, ..*window })
}
