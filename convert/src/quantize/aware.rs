//! What quantization-aware training shares with quantization: which activations are rounded, how, and to what weights
//! are rounded. Both sides call the same functions, so that a network trained this way quantizes to what it was trained
//! as.

use super::{channels_first, quantize_rows, weight_scale};
use crate::graph::{Graph, NodeId, Op, Param, Quantization};

/// Whether the output of the op has a range of its own; otherwise it keeps its input's, or a fixed one.
pub(crate) fn has_own_range(op: &Op) -> bool {
    !matches!(
        op,
        Op::Softmax { .. }
            | Op::AvgPool { .. }
            | Op::MaxPool { .. }
            | Op::Pad(_)
            | Op::Reshape(_)
            | Op::Flatten
            | Op::Dropout { .. }
            | Op::Requantize
            | Op::Activation(_)
    )
}

/// The weights of a node, rounded to int8 and back, in their own layout; `input` is the quantization of what they meet.
pub(crate) fn rounded_weights(graph: &Graph, id: NodeId, input: Quantization) -> Option<Vec<f32>> {
    match &graph.node(id).op {
        Op::Conv { filter: weights, bias, .. } | Op::Dense { weights, bias, .. } => {
            Some(rounded(weights, bias.as_ref(), input))
        }
        Op::DepthwiseConv { filter, bias, .. } => {
            let channels = filter.shape[3];
            let taps = filter.len() / channels;
            let rows = rounded(&channels_first(filter), bias.as_ref(), input);
            let taps_first = |index: usize| rows[index % channels * taps + index / channels];
            Some((0..filter.len()).map(taps_first).collect())
        }
        _ => None,
    }
}

/// The same of a matrix with a row for each output channel.
fn rounded(weights: &Param, bias: Option<&Param>, input: Quantization) -> Vec<f32> {
    let depth = weights.len() / weights.shape[0];
    let scales: Vec<f32> = (weights.data.chunks_exact(depth).enumerate())
        .map(|(channel, row)| {
            weight_scale(row, bias.map_or(0.0, |bias| bias.data[channel]), input.scale)
        })
        .collect();
    let steps = quantize_rows(&weights.data, depth, &scales);
    let rows = steps.chunks_exact(depth).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |&step| f32::from(step) * scale)).collect()
}
