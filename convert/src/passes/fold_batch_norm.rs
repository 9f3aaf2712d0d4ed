//! Batch normalization into the weights beside it.

use super::Draft;
use crate::graph::{Activation, Graph, GraphError, NodeId, Op, Param, Shape, Window};

/// Folds each batch norm into the linear layer before it; where there is none, into the fully
/// connected layer after it; and else makes it a depthwise convolution of one tap. Rescaling by
/// channel goes the same way.
///
/// # Errors
/// See [`standard`](super::standard).
pub fn fold_batch_norm(graph: Graph) -> Result<Graph, GraphError> {
    let mut draft = Draft::new(graph);
    for id in draft.ids.clone() {
        let Some(affine) = draft.node(id).and_then(|node| Affine::of(&node.op, node.shape)) else {
            continue;
        };
        if fold_backward(&mut draft, id, &affine) || fold_forward(&mut draft, id, &affine) {
            draft.leave_out(id);
        } else if let Some(node) = draft.node_mut(id)
            && matches!(node.shape, Shape::Map { .. })
        {
            node.op = affine.into_depthwise(&node.name);
        }
    }
    draft.finish()
}

/// `scale[c] * x + offset[c]`.
struct Affine {
    scale: Vec<f32>,
    offset: Vec<f32>,
}

impl Affine {
    fn of(op: &Op, shape: Shape) -> Option<Self> {
        match op {
            Op::BatchNorm { gamma, beta, mean, variance, epsilon } => {
                let channels = mean.len();
                let gamma = gamma.as_ref().map_or_else(|| vec![1.0; channels], |g| g.data.clone());
                let beta = beta.as_ref().map_or_else(|| vec![0.0; channels], |b| b.data.clone());
                let scale: Vec<f32> = gamma
                    .iter()
                    .zip(&variance.data)
                    .map(|(gamma, variance)| gamma / (variance + epsilon).sqrt())
                    .collect();
                let offset = (beta.iter().zip(&mean.data).zip(&scale))
                    .map(|((beta, mean), scale)| beta - mean * scale)
                    .collect();
                Some(Self { scale, offset })
            }
            // One factor for all is an element-wise function, which int8 does by table.
            Op::Rescale { scale, offset } if scale.len() > 1 || offset.len() > 1 => {
                let spread = |values: &[f32]| match values {
                    [one] => vec![*one; shape.channels()],
                    many => many.to_vec(),
                };
                Some(Self { scale: spread(scale), offset: spread(offset) })
            }
            _ => None,
        }
    }

    fn into_depthwise(self, name: &str) -> Op {
        let channels = self.scale.len();
        let param = |role: &str, shape: Vec<usize>, data| Param {
            name: format!("{name}/{role}"),
            shape,
            data,
            quantized: None,
        };
        Op::DepthwiseConv {
            filter: param("scale", vec![1, 1, 1, channels], self.scale),
            bias: Some(param("offset", vec![channels], self.offset)),
            window: Window::POINT,
            activation: Activation::None,
        }
    }
}

/// `scale * (W x + b) + offset = (scale W) x + (scale b + offset)`.
fn fold_backward(draft: &mut Draft, id: NodeId, affine: &Affine) -> bool {
    let Some(operand) = draft.operand(id) else { return false };
    if !draft.is_only_reader(operand, id) {
        return false;
    }
    let Some(node) = draft.node_mut(operand) else { return false };
    let name = format!("{}/bias", node.name);
    let (weights, bias, activation, channels_last) = match &mut node.op {
        Op::Conv { filter, bias, activation, .. } => (filter, bias, activation, false),
        Op::DepthwiseConv { filter, bias, activation, .. } => (filter, bias, activation, true),
        Op::Dense { weights, bias, activation } => (weights, bias, activation, false),
        _ => return false,
    };
    if *activation != Activation::None {
        return false;
    }
    let channels = affine.scale.len();
    let depth = weights.data.len() / channels;
    for (index, weight) in weights.data.iter_mut().enumerate() {
        let channel = if channels_last { index % channels } else { index / depth };
        *weight *= affine.scale[channel];
    }
    let old = bias.take().map_or_else(|| vec![0.0; channels], |bias| bias.data);
    let data = (old.iter().zip(&affine.scale).zip(&affine.offset))
        .map(|((bias, scale), offset)| bias * scale + offset)
        .collect();
    *bias = Some(Param { name, shape: vec![channels], data, quantized: None });
    true
}

/// `W (scale x + offset) + b = (W scale) x + (W offset + b)`, for a fully connected reader.
fn fold_forward(draft: &mut Draft, id: NodeId, affine: &Affine) -> bool {
    let readers = draft.kept_readers(id);
    let &[reader] = readers.as_slice() else { return false };
    if draft.resolve(draft.output) == id {
        return false;
    }
    let Some(node) = draft.node_mut(reader) else { return false };
    let name = format!("{}/bias", node.name);
    let Op::Dense { weights, bias, .. } = &mut node.op else { return false };
    let (outputs, depth) = (weights.shape[0], weights.shape[1]);
    let channels = affine.scale.len();
    if depth % channels != 0 {
        return false;
    }
    let mut data = bias.take().map_or_else(|| vec![0.0; outputs], |bias| bias.data);
    for (row, bias) in weights.data.chunks_exact_mut(depth).zip(&mut data) {
        for (index, weight) in row.iter_mut().enumerate() {
            *bias += *weight * affine.offset[index % channels];
            *weight *= affine.scale[index % channels];
        }
    }
    *bias = Some(Param { name, shape: vec![outputs], data, quantized: None });
    true
}
