//! Batch normalization into the weights beside it.

use super::Draft;
use crate::graph::{Activation, Graph, GraphError, NodeId, Op, Param, Shape, Window};

/// Folds each batch norm into the linear layer before it; where there is none, into the linear layer
/// after it, past pools and reshapes that do not mind; and else makes it a depthwise convolution of
/// one tap. Rescaling by channel goes the same way.
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
            Op::BatchNorm { gamma, beta, mean, variance, epsilon, .. } => {
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

/// `W (scale x + offset) + b = (W scale) x + (W offset + b)`.
fn fold_forward(draft: &mut Draft, id: NodeId, affine: &Affine) -> bool {
    let Some(reader) = linear_reader(draft, id, affine) else { return false };
    let Some(node) = draft.node_mut(reader) else { return false };
    let name = format!("{}/bias", node.name);
    let channels = affine.scale.len();
    let (weights, bias, outputs, is_depthwise) = match &mut node.op {
        Op::Dense { weights, bias, .. } => (&mut weights.data, bias, weights.shape[0], false),
        Op::Conv { filter, bias, .. } => (&mut filter.data, bias, filter.shape[0], false),
        Op::DepthwiseConv { filter, bias, .. } => (&mut filter.data, bias, filter.shape[3], true),
        _ => return false,
    };
    let depth = weights.len() / outputs;
    let mut data = bias.take().map_or_else(|| vec![0.0; outputs], |bias| bias.data);
    for (index, weight) in weights.iter_mut().enumerate() {
        let (output, channel) = if is_depthwise {
            (index % outputs, index % outputs * channels / outputs)
        } else {
            (index / depth, index % channels)
        };
        data[output] += *weight * affine.offset[channel];
        *weight *= affine.scale[channel];
    }
    *bias = Some(Param { name, shape: vec![outputs], data, quantized: None });
    true
}

/// The only linear layer that sees the output of `id`, past layers that an affine function commutes
/// with.
fn linear_reader(draft: &Draft, mut id: NodeId, affine: &Affine) -> Option<NodeId> {
    let channels = affine.scale.len();
    loop {
        let readers = draft.kept_readers(id);
        let &[reader] = readers.as_slice() else { return None };
        if draft.resolve(draft.output) == id {
            return None;
        }
        let has_channels = draft.node(draft.operand(reader)?)?.shape.channels() == channels;
        let commutes = match &draft.node(reader)?.op {
            Op::MaxPool { activation: Activation::None, .. } => {
                has_channels && affine.scale.iter().all(|&scale| scale > 0.0)
            }
            Op::AvgPool { activation: Activation::None, .. } | Op::GlobalAvgPool { .. } => {
                has_channels
            }
            Op::Flatten | Op::Reshape(_) | Op::Dropout { .. } => true,
            Op::Dense { weights, .. } => {
                return weights.shape[1].is_multiple_of(channels).then_some(reader);
            }
            // What pads adds zeros behind the offset, which no bias can express.
            Op::Conv { window, .. } | Op::DepthwiseConv { window, .. } => {
                let pads = !window.padding.is_none();
                let shifts = affine.offset.iter().any(|&offset| offset != 0.0);
                return (has_channels && !(pads && shifts)).then_some(reader);
            }
            _ => false,
        };
        if !commutes {
            return None;
        }
        id = reader;
    }
}
