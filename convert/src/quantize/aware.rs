//! What quantization-aware training shares with quantization: which activations are rounded, how, and to what weights
//! are rounded. Both sides call the same functions, so that a network trained this way quantizes to what it was trained
//! as.

use std::borrow::Cow;

use super::{Ranges, activation_quantization, channels_first, quantize_rows, weight_scale};
use crate::graph::{Activation, Graph, GraphError, NodeId, Op, Param, Quantization, WeightRole};
use crate::quantized::Network;

/// States the quantization of every node that these ranges give. [`quantize`](super::quantize()) of such a graph needs no
/// ranges any more, and [`Trainer::quantization_aware`](crate::train::Trainer::quantization_aware) trains it.
///
/// # Errors
/// [`GraphError`] for a range that no int8 can have.
pub fn state_quantization(graph: Graph, ranges: &Ranges) -> Result<Graph, GraphError> {
    let quantization = activation_quantization(&graph, ranges);
    let (mut builder, nodes, output) = graph.into_builder();
    for (mut node, quantization) in nodes.into_iter().zip(quantization) {
        node.quantization = Some(quantization);
        builder.push(node)?;
    }
    builder.finish(output)
}

/// Moves weights to where rounding to the nearest step gives those of `network`, and takes over its biases. A channel's
/// largest weight stays, since its scale hangs on it.
pub(super) fn settle(graph: Graph, network: &Network) -> Result<Graph, GraphError> {
    let scale = |id: NodeId| graph.node(id).quantization.map_or(1.0, |stated| stated.scale);
    let input_scales: Vec<f32> =
        graph.nodes().iter().map(|node| node.inputs.first().map_or(1.0, |&id| scale(id))).collect();
    let (mut builder, nodes, output) = graph.into_builder();
    for (mut node, input_scale) in nodes.into_iter().zip(input_scales) {
        let integers = network.nodes.iter().find(|other| other.name == node.name);
        let weighted = match &mut node.op {
            Op::Conv { filter, bias, .. } | Op::Dense { weights: filter, bias, .. } => {
                Some((filter, bias, false))
            }
            Op::DepthwiseConv { filter, bias, .. } => Some((filter, bias, true)),
            _ => None,
        };
        if let (Some(integers), Some((filter, bias, taps_first))) =
            (integers.and_then(|other| other.op.weights()), weighted)
        {
            let (channels, depth) = (integers.channels(), integers.depth);
            for (index, weight) in filter.data.iter_mut().enumerate() {
                let (channel, tap) = match taps_first {
                    true => (index % channels, index / channels),
                    false => (index / depth, index % depth),
                };
                let step = integers.values[channel * depth + tap];
                *weight = settled(*weight, step, integers.scales[channel]);
            }
            let biases = integers.bias.iter().zip(&integers.scales);
            #[allow(clippy::cast_precision_loss, reason = "a bias in f32")]
            let biases =
                biases.map(|(&bias, &scale)| bias as f32 * (input_scale * scale)).collect();
            match bias {
                Some(bias) => bias.data = biases,
                None => {
                    *bias = Some(Param {
                        name: format!("{}/bias", node.name),
                        shape: vec![channels],
                        data: biases,
                        quantized: None,
                    })
                }
            }
        }
        builder.push(node)?;
    }
    builder.finish(output)
}

/// A weight near `weight` whose nearest step is `step`.
fn settled(weight: f32, step: i8, scale: f32) -> f32 {
    const INSIDE: f32 = 0.25;
    let (steps, step) = (weight / scale, f32::from(step));
    if (steps - step).abs() <= 0.5 || steps.abs() > 126.99 {
        return weight;
    }
    (step + INSIDE.copysign(steps - step)) * scale
}

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

/// Whether the op computes numbers that may lie between the steps of its quantization. The others only move or select
/// numbers, but softmax, whose steps nothing in training reads.
pub(crate) fn is_rounded(op: &Op) -> bool {
    match op {
        Op::MaxPool { activation, .. } => *activation != Activation::None,
        Op::AvgPool { .. } | Op::Activation(_) => true,
        op => has_own_range(op),
    }
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

/// What every element of a weight or bias is counted in: the largest weight of its channel, for a bias what that makes of
/// an input over its whole range. A channel without weights stays as it is. `input` is the quantization of what they meet.
pub(crate) fn weight_units(
    graph: &Graph,
    id: NodeId,
    role: WeightRole,
    input: Quantization,
) -> Option<Vec<f32>> {
    let matrix = match &graph.node(id).op {
        Op::Conv { filter: weights, .. } | Op::Dense { weights, .. } => Cow::Borrowed(weights),
        Op::DepthwiseConv { filter, .. } => Cow::Owned(channels_first(filter)),
        _ => return None,
    };
    let (len, channels) = (matrix.len(), matrix.shape[0]);
    let rows = matrix.data.chunks_exact(len / channels);
    let largest: Vec<f32> =
        rows.map(|row| row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()))).collect();
    Some(match role {
        WeightRole::Bias => largest.iter().map(|most| most * input.scale * 255.0).collect(),
        WeightRole::DepthwiseKernel => (0..len).map(|at| largest[at % channels]).collect(),
        _ => (0..len).map(|at| largest[at / (len / channels)]).collect(),
    })
}
