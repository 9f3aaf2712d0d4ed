//! Layers in half precision: nothing to calibrate, and conversions where int8 begins or ends.

use mote_engine::ElementType;
use mote_kernels::{ClampF16, F16, Window};

use super::{Builder, QuantizeError, channels_first, kernel_window, shape, zero_point};
use crate::graph::{self, Activation, Graph, NodeId, Param, Quantization};
use crate::quantized::{HalfOp, HalfWeights, Network, Node, Op};

/// The whole `graph` in half precision, biases in single; no calibration is needed.
///
/// # Errors
/// [`QuantizeError::HalfRange`] for a weight beyond 65504, [`QuantizeError::Unsupported`], each naming
/// the layer.
pub fn halve(graph: &Graph) -> Result<Network, QuantizeError> {
    let count = graph.nodes().len();
    Builder::new(graph, vec![NOT_QUANTIZED; count], vec![true; count]).build()
}

/// What stands where halves need no scale.
const NOT_QUANTIZED: Quantization = Quantization { scale: 1.0, zero_point: 0 };

/// Which nodes `names` mean.
///
/// # Errors
/// [`QuantizeError::UnknownLayer`].
pub(super) fn named(graph: &Graph, names: &[String]) -> Result<Vec<bool>, QuantizeError> {
    let mut halves = vec![false; graph.nodes().len()];
    for name in names {
        let Some(id) = graph.node_by_name(name) else {
            let known: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
            return Err(QuantizeError::UnknownLayer {
                layer: name.clone(),
                known: known.join(", "),
            });
        };
        halves[id.index()] = true;
    }
    Ok(halves)
}

impl Builder<'_> {
    /// Whether node `id` writes halves: named, or the same numbers as a node that does.
    pub(super) fn is_half(&self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        let below = || self.nodes[self.places[node.inputs[0].index()]].element;
        match node.op {
            graph::Op::Reshape(_) | graph::Op::Flatten | graph::Op::Dropout { .. } => {
                below() == ElementType::F16
            }
            _ => self.halves[id.index()],
        }
    }

    /// Where the output of `id` is found as `element`; a conversion is added where there is none yet.
    pub(super) fn converted(&mut self, id: NodeId, element: ElementType) -> usize {
        let place = self.places[id.index()];
        let node = &self.nodes[place];
        if node.element == element {
            return place;
        }
        let (op, quantization) = match element {
            ElementType::F16 => (HalfOp::Dequantize, NOT_QUANTIZED),
            ElementType::I8 => (HalfOp::Quantize, self.quantization[id.index()]),
        };
        let name = match element {
            ElementType::F16 => format!("{}/f16", node.name),
            ElementType::I8 => format!("{}/int8", node.name),
        };
        let shape = node.shape;
        if let Some(there) = self.nodes.iter().position(|node| node.name == name) {
            return there;
        }
        self.nodes.push(Node {
            name,
            op: Op::Half(op),
            inputs: vec![place],
            shape,
            element,
            scale: quantization.scale,
            zero_point: zero_point(quantization),
        });
        self.nodes.len() - 1
    }

    /// [`place`](Self::place) of a node in half precision.
    pub(super) fn place_half(&mut self, id: NodeId) -> Result<usize, QuantizeError> {
        let node = self.graph.node(id);
        let unsupported = |reason| QuantizeError::Unsupported {
            layer: node.name.clone(),
            kind: node.op.kind(),
            position: id.index(),
            reason,
        };
        let inputs: Vec<usize> =
            node.inputs.iter().map(|&input| self.converted(input, ElementType::F16)).collect();
        let channels = shape(node.shape).channels;
        let op = match &node.op {
            graph::Op::Input => None,
            graph::Op::Conv { filter, bias, window, activation } => Some(HalfOp::Conv {
                weights: weights(&node.name, filter, bias.as_ref())?,
                window: kernel_window(window),
                clamp: clamp(*activation),
            }),
            graph::Op::DepthwiseConv { filter, bias, window, activation } => {
                Some(HalfOp::DepthwiseConv {
                    weights: weights(&node.name, &channels_first(filter), bias.as_ref())?,
                    window: kernel_window(window),
                    clamp: clamp(*activation),
                })
            }
            graph::Op::Dense { weights: matrix, bias, activation } => {
                Some(HalfOp::FullyConnected {
                    weights: weights(&node.name, matrix, bias.as_ref())?,
                    clamp: clamp(*activation),
                })
            }
            graph::Op::Add { activation } => Some(HalfOp::Add { clamp: clamp(*activation) }),
            graph::Op::AvgPool { window, activation } => {
                Some(HalfOp::AvgPool { window: kernel_window(window), clamp: clamp(*activation) })
            }
            graph::Op::MaxPool { window, activation } => {
                Some(HalfOp::MaxPool { window: kernel_window(window), clamp: clamp(*activation) })
            }
            graph::Op::GlobalAvgPool { .. } => Some(HalfOp::GlobalAvgPool),
            graph::Op::Softmax { beta } => Some(HalfOp::Softmax { beta: *beta }),
            graph::Op::Pad(padding) => Some(HalfOp::Pad { top: padding.top, left: padding.left }),
            graph::Op::Activation(activation) => Some(HalfOp::Clamp(clamp(*activation))),
            // A depthwise convolution of one tap.
            graph::Op::Rescale { scale, offset } => Some(HalfOp::DepthwiseConv {
                weights: HalfWeights {
                    values: halves(&node.name, &spread(scale, channels))?,
                    bias: spread(offset, channels),
                    depth: 1,
                },
                window: Window::UNIT,
                clamp: ClampF16::NONE,
            }),
            graph::Op::Requantize | graph::Op::Dropout { .. } => return Ok(inputs[0]),
            graph::Op::Reshape(_) | graph::Op::Flatten => {
                return self.view(id).map_err(unsupported);
            }
            graph::Op::BatchNorm { .. } => {
                return Err(unsupported("no pass could fold it into a convolution"));
            }
        };
        self.nodes.push(Node {
            name: node.name.clone(),
            op: op.map_or(Op::Input, Op::Half),
            inputs,
            shape: shape(node.shape),
            element: ElementType::F16,
            scale: 1.0,
            zero_point: 0,
        });
        Ok(self.nodes.len() - 1)
    }
}

fn weights(
    layer: &str,
    filter: &Param,
    bias: Option<&Param>,
) -> Result<HalfWeights, QuantizeError> {
    let channels = filter.shape[0];
    Ok(HalfWeights {
        values: halves(layer, &filter.data)?,
        bias: bias.map_or_else(|| vec![0.0; channels], |bias| bias.data.clone()),
        depth: filter.data.len() / channels,
    })
}

/// The nearest halves, subnormal ones included.
fn halves(layer: &str, values: &[f32]) -> Result<Vec<F16>, QuantizeError> {
    let half = |&value: &f32| {
        let half = F16::from_f32(value);
        let error = || QuantizeError::HalfRange { layer: layer.to_owned(), value };
        if half.is_finite() { Ok(half) } else { Err(error()) }
    };
    values.iter().map(half).collect()
}

/// One a channel.
fn spread(values: &[f32], channels: usize) -> Vec<f32> {
    values.iter().copied().cycle().take(channels).collect()
}

/// The activation's range within the finite halves.
fn clamp(activation: Activation) -> ClampF16 {
    let (min, max) = activation.range();
    let bound = |bound: f32| bound.clamp(-F16::MAX, F16::MAX);
    ClampF16 { min: bound(min), max: bound(max) }
}
