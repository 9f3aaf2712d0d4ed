//! `Graph -> quantized::Network`: the same network on integers, or on halves.
//!
//! A graph whose source was quantized keeps every scale, zero point and integer of the source. A
//! float graph gets its activation ranges from [`Calibration`] and its weights quantized symmetric
//! per output channel.

mod aware;
mod bias;
mod calibrate;
mod equalize;
mod half;
mod multiplier;
mod post_training;
mod rounding;
mod stages;

pub use aware::state_quantization;
pub(crate) use aware::{has_own_range, is_rounded, rounded_weights, weight_units};
pub use bias::correct_bias;
pub use calibrate::{Calibration, Histograms, Ranges};
pub use equalize::{ChannelStatistics, equalize};
pub use half::halve;
pub use multiplier::{FixedPoint, quantize_multiplier};
pub use post_training::{calibrated, post_training};
pub use rounding::{Covariances, round_weights};

use mote_engine::ElementType;
use mote_kernels::{Clamp, Shape};
use thiserror::Error;

use crate::graph::{self, Activation, Graph, NodeId, Param, Quantization, QuantizedParam};
use crate::quantized::{Network, Node, Op, Weights};

/// A network that cannot be quantized, with the layer that makes it so.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// A float network without calibration.
    #[error(
        "the network is float and needs pictures to find its activation ranges; give some with --calibration DIR"
    )]
    NeedsCalibration,
    /// No calibration sample could be used.
    #[error("the calibration set has no usable sample")]
    NoSamples,
    /// A calibration run produced NaN or infinity.
    #[error(
        "layer `{layer}` gave {value} on calibration sample {sample}; check the preprocessing and the weights"
    )]
    NotFinite {
        /// The layer.
        layer: String,
        /// Position of the sample.
        sample: usize,
        /// What it gave.
        value: f32,
    },
    /// A layer that has no integer kernel.
    #[error("layer `{layer}` ({kind}, number {position}) cannot run on int8: {reason}")]
    Unsupported {
        /// Its name.
        layer: String,
        /// Its kind.
        kind: &'static str,
        /// Its place in the graph.
        position: usize,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// A weight that no half holds.
    #[error(
        "layer `{layer}`: its weight {value} is beyond the halves, whose largest is 65504; use int8 for this layer, or scale it down"
    )]
    HalfRange {
        /// Its name.
        layer: String,
        /// The weight.
        value: f32,
    },
    /// Layers to keep in half precision that are not there.
    #[error("the network has no layer `{layer}` to keep in half precision; it has {known}")]
    UnknownLayer {
        /// The name given.
        layer: String,
        /// The names there are.
        known: String,
    },
    /// A sum that may not fit an accumulator.
    #[error(
        "layer `{layer}`: channel {channel} may overflow its int32 accumulator (bound {bound}); split the layer"
    )]
    Accumulator {
        /// Its name.
        layer: String,
        /// The channel.
        channel: usize,
        /// The bound.
        bound: i64,
    },
}

/// Quantizes `graph`; `ranges` come from [`Calibration::finish`] and are needed when its nodes do not state their
/// quantization, as those of a quantized source and of quantization-aware training do.
///
/// # Errors
/// [`QuantizeError`] naming the layer.
pub fn quantize(graph: &Graph, ranges: Option<&Ranges>) -> Result<Network, QuantizeError> {
    quantize_mixed(graph, ranges, &[])
}

/// [`quantize`], but for the layers named in `halves`, which stay in half precision. Where the two
/// meet, values are converted.
///
/// # Errors
/// [`QuantizeError`] naming the layer.
pub fn quantize_mixed(
    graph: &Graph,
    ranges: Option<&Ranges>,
    halves: &[String],
) -> Result<Network, QuantizeError> {
    let halves = half::named(graph, halves)?;
    let quantization = match ranges {
        _ if graph.is_quantized() => graph.nodes().iter().map(|n| n.quantization).collect(),
        Some(ranges) => Some(activation_quantization(graph, ranges)),
        None => None,
    };
    let quantization: Vec<Quantization> = quantization.ok_or(QuantizeError::NeedsCalibration)?;
    Builder::new(graph, quantization, halves).build()
}

/// Scale and zero point of every node's output. Operations that only move or select values keep
/// the quantization of their input.
pub(crate) fn activation_quantization(graph: &Graph, ranges: &Ranges) -> Vec<Quantization> {
    let mut all: Vec<Quantization> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let quantization = match node.op {
            graph::Op::Softmax { .. } => Quantization { scale: 1.0 / 256.0, zero_point: -128 },
            ref op if has_own_range(op) => ranges.quantization(id),
            _ => all[node.inputs[0].index()],
        };
        all.push(quantization);
    }
    all
}

struct Builder<'g> {
    graph: &'g Graph,
    quantization: Vec<Quantization>,
    /// Which graph nodes stay in half precision.
    halves: Vec<bool>,
    /// Where each graph node's output is found.
    places: Vec<usize>,
    nodes: Vec<Node>,
}

impl<'g> Builder<'g> {
    fn new(graph: &'g Graph, quantization: Vec<Quantization>, halves: Vec<bool>) -> Self {
        Self { graph, quantization, halves, places: Vec::new(), nodes: Vec::new() }
    }

    fn build(mut self) -> Result<Network, QuantizeError> {
        for (id, _) in self.graph.iter() {
            let place = self.place(id)?;
            self.places.push(place);
        }
        self.drop_unused();
        Ok(Network {
            name: self.graph.name().to_owned(),
            nodes: self.nodes,
            labels: self.graph.labels.clone(),
            io_type: self.graph.io_type,
        })
    }

    fn place(&mut self, id: NodeId) -> Result<usize, QuantizeError> {
        let node = self.graph.node(id);
        if self.is_half(id) {
            return self.place_half(id);
        }
        let inputs: Vec<usize> =
            node.inputs.iter().map(|&input| self.converted(input, ElementType::I8)).collect();
        let own = self.quantization[id.index()];
        let same = node.inputs.first().is_none_or(|i| self.quantization[i.index()] == own);
        let unsupported = |reason| QuantizeError::Unsupported {
            layer: node.name.clone(),
            kind: node.op.kind(),
            position: id.index(),
            reason,
        };
        let needs_same = |op| {
            if same {
                Ok(op)
            } else {
                Err(unsupported("its input and output must have the same scale and zero point"))
            }
        };
        let op = match &node.op {
            graph::Op::Input => Op::Input,
            graph::Op::Conv { filter, bias, window, activation } => Op::Conv {
                weights: self.weights(id, filter, bias.as_ref())?,
                window: kernel_window(window),
                clamp: clamp(*activation, own),
            },
            graph::Op::DepthwiseConv { filter, bias, window, activation } => Op::DepthwiseConv {
                weights: self.weights(id, &channels_first(filter), bias.as_ref())?,
                window: kernel_window(window),
                clamp: clamp(*activation, own),
            },
            graph::Op::Dense { weights, bias, activation } => Op::FullyConnected {
                weights: self.weights(id, weights, bias.as_ref())?,
                clamp: clamp(*activation, own),
            },
            graph::Op::Add { activation } => Op::Add { clamp: clamp(*activation, own) },
            graph::Op::AvgPool { window, activation } => needs_same(Op::AvgPool {
                window: kernel_window(window),
                clamp: clamp(*activation, own),
            })?,
            graph::Op::MaxPool { window, activation } => needs_same(Op::MaxPool {
                window: kernel_window(window),
                clamp: clamp(*activation, own),
            })?,
            graph::Op::GlobalAvgPool { .. } => Op::GlobalAvgPool,
            graph::Op::Softmax { beta } => {
                if own != (Quantization { scale: 1.0 / 256.0, zero_point: -128 }) {
                    return Err(unsupported("its output must have scale 1/256, zero point -128"));
                }
                Op::Softmax { beta: *beta }
            }
            graph::Op::Pad(padding) => {
                needs_same(Op::Pad { top: padding.top, left: padding.left })?
            }
            graph::Op::Activation(activation) if same => Op::Clamp(clamp(*activation, own)),
            graph::Op::Activation(activation) => self.lookup(id, |x| activation.apply(x)),
            graph::Op::Requantize if same => return Ok(inputs[0]),
            graph::Op::Requantize => self.lookup(id, |x| x),
            graph::Op::Rescale { scale, offset } if scale.len() == 1 && offset.len() == 1 => {
                self.lookup(id, |x| scale[0].mul_add(x, offset[0]))
            }
            graph::Op::Dropout { .. } => return Ok(inputs[0]),
            graph::Op::Reshape(_) | graph::Op::Flatten => {
                return self.view(id).map_err(unsupported);
            }
            graph::Op::BatchNorm { .. } | graph::Op::Rescale { .. } => {
                return Err(unsupported("no pass could fold it into a convolution"));
            }
        };
        self.nodes.push(Node {
            name: node.name.clone(),
            op,
            inputs,
            shape: shape(node.shape),
            element: ElementType::I8,
            scale: own.scale,
            zero_point: zero_point(own),
        });
        Ok(self.nodes.len() - 1)
    }

    /// A reshape is a view: its readers read the tensor below it. Right after the input it renames
    /// the input's axes.
    fn view(&mut self, id: NodeId) -> Result<usize, &'static str> {
        let node = self.graph.node(id);
        let below = self.places[node.inputs[0].index()];
        let (from, to) = (self.nodes[below].shape, shape(node.shape));
        if from == to {
            return Ok(below);
        }
        let readers = self.graph.readers();
        let only_dense = |id: NodeId| {
            readers[id.index()].iter().all(|&reader| {
                matches!(
                    self.graph.node(reader).op,
                    graph::Op::Dense { .. } | graph::Op::Flatten | graph::Op::Dropout { .. }
                )
            })
        };
        if only_dense(id) && id != self.graph.output() {
            return Ok(below);
        }
        if matches!(self.nodes[below].op, Op::Input) && readers[node.inputs[0].index()].len() == 1 {
            self.nodes[below].shape = to;
            return Ok(below);
        }
        Err("a reshape is supported after the input and before fully connected layers")
    }

    /// Operations that nobody reads cannot be in a blob.
    fn drop_unused(&mut self) {
        let Some(last) = self.places.get(self.graph.output().index()).copied() else { return };
        self.nodes.truncate(last + 1);
    }

    fn lookup(&self, id: NodeId, function: impl Fn(f32) -> f32) -> Op {
        let input = self.quantization[self.graph.node(id).inputs[0].index()];
        let output = self.quantization[id.index()];
        let mut table = Box::new([0_i8; 256]);
        for (place, stored) in table.iter_mut().zip(i8::MIN..=i8::MAX) {
            let real = (f64::from(stored) - f64::from(input.zero_point)) * f64::from(input.scale);
            #[allow(clippy::cast_possible_truncation, reason = "a table entry is computed in f32")]
            let value = f64::from(function(real as f32));
            let steps = libm::round(value / f64::from(output.scale)) + f64::from(output.zero_point);
            *place = saturate(steps);
        }
        Op::Lookup(table)
    }

    fn weights(
        &self,
        id: NodeId,
        filter: &Param,
        bias: Option<&Param>,
    ) -> Result<Weights, QuantizeError> {
        let node = self.graph.node(id);
        let channels = filter.shape[0];
        let depth = filter.data.len() / channels;
        let input = self.quantization[node.inputs[0].index()];
        let real_bias = |channel: usize| bias.map_or(0.0, |bias| bias.data[channel]);
        let (values, scales) = match &filter.quantized {
            Some(QuantizedParam::I8 { values, scales }) if scales.len() == 1 => {
                (values.clone(), vec![scales[0]; channels])
            }
            Some(QuantizedParam::I8 { values, scales }) => (values.clone(), scales.clone()),
            _ => {
                let scales: Vec<f32> = (filter.data.chunks_exact(depth))
                    .enumerate()
                    .map(|(channel, row)| weight_scale(row, real_bias(channel), input.scale))
                    .collect();
                (quantize_rows(&filter.data, depth, &scales), scales)
            }
        };
        let bias = match bias.map(|bias| &bias.quantized) {
            Some(Some(QuantizedParam::I32 { values, .. })) => values.clone(),
            _ => (0..channels)
                .map(|channel| {
                    let step = f64::from(input.scale) * f64::from(scales[channel]);
                    #[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
                    let steps = libm::round(f64::from(real_bias(channel)) / step) as i32;
                    steps
                })
                .collect(),
        };
        let weights = Weights { values, scales, bias, depth };
        check_accumulator(&node.name, &weights, zero_point(input))?;
        Ok(weights)
    }
}

/// [`check_accumulator`] for every layer of a network whose weights or biases were changed.
fn check_accumulators(network: &Network) -> Result<(), QuantizeError> {
    for node in &network.nodes {
        if let Some(weights) = node.op.weights() {
            check_accumulator(&node.name, weights, network.nodes[node.inputs[0]].zero_point)?;
        }
    }
    Ok(())
}

/// Proves that no input can make a sum leave int32: what the kernels compute modulo 2^32 is then
/// the true sum.
fn check_accumulator(layer: &str, weights: &Weights, zero_point: i8) -> Result<(), QuantizeError> {
    for (channel, (row, &bias)) in weights.rows().zip(&weights.bias).enumerate() {
        let magnitude: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
        let widest = (i64::from(i8::MIN) - i64::from(zero_point))
            .abs()
            .max((i64::from(i8::MAX) - i64::from(zero_point)).abs());
        let bound = magnitude * widest + i64::from(bias).abs();
        if bound > i64::from(i32::MAX) {
            return Err(QuantizeError::Accumulator { layer: layer.to_owned(), channel, bound });
        }
    }
    Ok(())
}

/// Scale of one channel: the largest weight becomes 127, unless the channel is so weak that its
/// bias would not fit 31 bits.
fn weight_scale(row: &[f32], bias: f32, input_scale: f32) -> f32 {
    const MAX_BIAS: f32 = (1 << 28) as f32;
    let widest = row.iter().fold(0.0_f32, |widest, w| widest.max(w.abs())) / 127.0;
    let for_bias = bias.abs() / (input_scale * MAX_BIAS);
    let scale = widest.max(for_bias);
    if scale > f32::MIN_POSITIVE { scale } else { 1.0 }
}

fn quantize_rows(data: &[f32], depth: usize, scales: &[f32]) -> Vec<i8> {
    data.chunks_exact(depth)
        .zip(scales)
        .flat_map(|(row, &scale)| {
            row.iter()
                .map(move |&w| saturate(libm::round(f64::from(w) / f64::from(scale))).max(-127))
        })
        .collect()
}

/// `[1, KH, KW, O]` as `[O, KH, KW]`.
fn channels_first(filter: &Param) -> Param {
    let channels = filter.shape[3];
    let taps = filter.data.len() / channels;
    let order = || (0..channels).flat_map(|c| (0..taps).map(move |tap| tap * channels + c));
    let quantized = filter.quantized.as_ref().map(|quantized| match quantized {
        QuantizedParam::I8 { values, scales } => QuantizedParam::I8 {
            values: order().map(|index| values[index]).collect(),
            scales: scales.clone(),
        },
        QuantizedParam::I32 { values, scales } => QuantizedParam::I32 {
            values: order().map(|index| values[index]).collect(),
            scales: scales.clone(),
        },
    });
    Param {
        name: filter.name.clone(),
        shape: vec![channels, filter.shape[1], filter.shape[2]],
        data: order().map(|index| filter.data[index]).collect(),
        quantized,
    }
}

fn kernel_window(window: &graph::Window) -> mote_kernels::Window {
    mote_kernels::Window {
        kernel_height: window.kernel.height,
        kernel_width: window.kernel.width,
        stride_height: window.stride.height,
        stride_width: window.stride.width,
        dilation_height: window.dilation.height,
        dilation_width: window.dilation.width,
        pad_top: window.padding.top,
        pad_left: window.padding.left,
    }
}

fn shape(shape: graph::Shape) -> Shape {
    match shape {
        graph::Shape::Map { height, width, channels } => Shape::new(height, width, channels),
        graph::Shape::Vector(channels) => Shape::new(1, 1, channels),
    }
}

/// The activation's range in steps, as TFLite computes it.
fn clamp(activation: Activation, output: Quantization) -> Clamp {
    let steps = |bound: f32| {
        if bound == f32::NEG_INFINITY {
            return i8::MIN;
        }
        saturate(f64::from(output.zero_point) + f64::from(libm::roundf(bound / output.scale)))
    };
    let (min, max) = activation.range();
    Clamp { min: steps(min), max: steps(max) }
}

fn zero_point(quantization: Quantization) -> i8 {
    // A graph only holds zero points that are int8.
    saturate(f64::from(quantization.zero_point))
}

#[allow(clippy::cast_possible_truncation, reason = "clamped just before")]
fn saturate(value: f64) -> i8 {
    value.clamp(f64::from(i8::MIN), f64::from(i8::MAX)) as i8
}
