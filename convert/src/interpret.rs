//! The plain f32 reference: what a [`Graph`] means.
//!
//! Convolutions are im2col and a matrix product, everything else is loops; one picture at a time, one thread. The
//! trainer and the quantized engine are checked against this.

mod conv;
pub(crate) mod pool;

pub(crate) use conv::Taps;
use thiserror::Error;

use crate::graph::{Activation, Graph, Node, NodeId, Op, Param, Shape};

/// Runs one picture through the network; `observe` sees every node's output as it is computed.
///
/// # Errors
/// When the input has another length than the graph's.
pub fn run(
    graph: &Graph,
    input: &[f32],
    observe: impl FnMut(NodeId, &[f32]),
) -> Result<Vec<f32>, InputLen> {
    Interpreter::new(graph).run(input, observe).map(<[f32]>::to_vec)
}

/// A graph with the buffers to run it again and again; one for each thread.
#[derive(Debug)]
pub struct Interpreter<'a> {
    graph: &'a Graph,
    /// For every node the place of its last reader; its buffer is free afterwards.
    last_reader: Vec<usize>,
    values: Vec<Vec<f32>>,
    free: Vec<Vec<f32>>,
    columns: Vec<f32>,
}

/// An input of another length than the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the input has {found} elements, the network needs {expected}")]
pub struct InputLen {
    /// What the network needs.
    pub expected: usize,
    /// What there was.
    pub found: usize,
}

impl<'a> Interpreter<'a> {
    /// An interpreter of this graph; buffers grow as the first picture runs.
    #[must_use]
    pub fn new(graph: &'a Graph) -> Self {
        let readers = graph.readers();
        let last = |(id, _): (NodeId, _)| {
            let last = readers[id.index()].last().map_or(id.index(), |reader| reader.index());
            if id == graph.output() { usize::MAX } else { last }
        };
        Self {
            graph,
            last_reader: graph.iter().map(last).collect(),
            values: vec![Vec::new(); graph.nodes().len()],
            free: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Runs one picture; `observe` sees every node's output as it is computed.
    ///
    /// # Errors
    /// When the input has another length than the graph's.
    pub fn run(
        &mut self,
        input: &[f32],
        mut observe: impl FnMut(NodeId, &[f32]),
    ) -> Result<&[f32], InputLen> {
        let expected = self.graph.input_shape().elements();
        if input.len() != expected {
            return Err(InputLen { expected, found: input.len() });
        }
        self.free.append(&mut self.values);
        self.free.retain(|value| value.capacity() > 0);
        self.values.resize(self.graph.nodes().len(), Vec::new());
        for (id, node) in self.graph.iter() {
            let mut output = self.free.pop().unwrap_or_default();
            output.clear();
            if let Op::Input = node.op {
                output.extend_from_slice(input);
            } else {
                self.compute(node, &mut output);
            }
            debug_assert_eq!(output.len(), node.shape.elements());
            observe(id, &output);
            self.values[id.index()] = output;
            for read in node.inputs.iter().chain([&id]) {
                if self.last_reader[read.index()] == id.index() {
                    self.free.push(core::mem::take(&mut self.values[read.index()]));
                }
            }
        }
        Ok(&self.values[self.graph.output().index()])
    }

    fn compute(&mut self, node: &Node, output: &mut Vec<f32>) {
        let operand = |index: usize| {
            let id = node.inputs[index];
            (self.graph.node(id).shape, &self.values[id.index()][..])
        };
        let (shape, x) = operand(0);
        match &node.op {
            Op::Conv { filter, bias, window, activation } => {
                output.resize(node.shape.elements(), 0.0);
                let into = (node.shape, &mut output[..]);
                conv::conv((shape, x), filter, window, into, &mut self.columns);
                finish(output, bias.as_ref(), *activation);
            }
            Op::DepthwiseConv { filter, bias, window, activation } => {
                output.resize(node.shape.elements(), 0.0);
                conv::depthwise((shape, x), filter, window, (node.shape, output));
                finish(output, bias.as_ref(), *activation);
            }
            Op::Dense { weights, bias, activation } => {
                output.resize(node.shape.elements(), 0.0);
                conv::product(x, &weights.data, x.len(), output);
                finish(output, bias.as_ref(), *activation);
            }
            Op::BatchNorm { gamma, beta, mean, variance, epsilon, .. } => {
                let channels = mean.len();
                let of = |param: &Option<Param>, channel: usize, absent: f32| {
                    param.as_ref().map_or(absent, |param| param.data[channel])
                };
                output.extend(x.iter().enumerate().map(|(index, x)| {
                    let channel = index % channels;
                    let deviation = (variance.data[channel] + epsilon).sqrt();
                    of(gamma, channel, 1.0) * ((x - mean.data[channel]) / deviation)
                        + of(beta, channel, 0.0)
                }));
            }
            Op::Activation(activation) => {
                output.extend(x.iter().map(|&x| activation.apply(x)));
            }
            Op::Add { activation } => {
                let (_, y) = operand(1);
                output.extend(x.iter().zip(y).map(|(x, y)| activation.apply(x + y)));
            }
            Op::AvgPool { window, activation } => {
                output.resize(node.shape.elements(), 0.0);
                pool::average((shape, x), window, (node.shape, output));
                finish(output, None, *activation);
            }
            Op::MaxPool { window, activation } => {
                output.resize(node.shape.elements(), f32::NEG_INFINITY);
                pool::max((shape, x), window, (node.shape, output));
                finish(output, None, *activation);
            }
            Op::GlobalAvgPool { .. } => {
                output.resize(shape.channels(), 0.0);
                pool::global_average((shape, x), output);
            }
            Op::Pad(padding) => {
                output.resize(node.shape.elements(), 0.0);
                pool::pad((shape, x), *padding, (node.shape, output));
            }
            Op::Softmax { beta } => {
                output.resize(node.shape.elements(), 0.0);
                softmax((shape, x), *beta, output);
            }
            Op::Rescale { scale, offset } => {
                let at = |values: &[f32], index: usize| values[index % values.len()];
                let rescaled = |(index, x)| at(scale, index) * x + at(offset, index);
                output.extend(x.iter().enumerate().map(rescaled));
            }
            Op::Input | Op::Reshape(_) | Op::Flatten | Op::Dropout { .. } | Op::Requantize => {
                output.extend_from_slice(x)
            }
        }
    }
}

/// `exp(beta * x)` normalised over the channels of every pixel.
pub(crate) fn softmax((shape, x): (Shape, &[f32]), beta: f32, output: &mut [f32]) {
    let channels = shape.channels();
    for (x, y) in x.chunks_exact(channels).zip(output.chunks_exact_mut(channels)) {
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (beta * (x - max)).exp());
        let sum: f32 = y.iter().sum();
        y.iter_mut().for_each(|y| *y /= sum);
    }
}

/// Bias and activation of a finished layer.
fn finish(output: &mut [f32], bias: Option<&Param>, activation: Activation) {
    if let Some(bias) = bias {
        for pixel in output.chunks_exact_mut(bias.len()) {
            pixel.iter_mut().zip(&bias.data).for_each(|(value, bias)| *value += bias);
        }
    }
    if activation != Activation::None {
        output.iter_mut().for_each(|value| *value = activation.apply(*value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Extent, GraphBuilder, GraphError, Padding, Shape, Window};

    const MAP: Shape = Shape::Map { height: 3, width: 4, channels: 2 };

    /// A one-layer network over 0, 1, 2, ...
    fn layer(op: Op) -> Result<Vec<f32>, GraphError> {
        let mut builder = GraphBuilder::new("one");
        let input = builder.input("in", MAP)?;
        let output = builder.add("op", op, &[input])?;
        let graph = builder.finish(output)?;
        Ok(run(&graph, &ramp(24), |_, _| ()).unwrap())
    }

    fn ramp(len: u8) -> Vec<f32> {
        (0..len).map(f32::from).collect()
    }

    fn window(
        kernel: (usize, usize),
        stride: usize,
        dilation: usize,
        padding: [usize; 4],
    ) -> Window {
        let [top, bottom, left, right] = padding;
        Window {
            kernel: Extent::new(kernel.0, kernel.1),
            stride: Extent::square(stride),
            dilation: Extent::square(dilation),
            padding: Padding { top, bottom, left, right },
        }
    }

    /// Convolution straight from its definition.
    fn direct(filter: &[f32], outputs: usize, window: &Window, depthwise: bool) -> Vec<f32> {
        let out = window.output(MAP.extent()).unwrap();
        let x = ramp(24);
        let at = |row: usize, col: usize, channel: usize| {
            let (row, col) =
                (row.checked_sub(window.padding.top), col.checked_sub(window.padding.left));
            match (row, col) {
                (Some(row), Some(col)) if row < 3 && col < 4 => x[(row * 4 + col) * 2 + channel],
                _ => 0.0,
            }
        };
        let mut result = Vec::new();
        for row in 0..out.height {
            for col in 0..out.width {
                for output in 0..outputs {
                    let mut sum = 0.0;
                    for tap_row in 0..window.kernel.height {
                        for tap_col in 0..window.kernel.width {
                            let from_row =
                                row * window.stride.height + tap_row * window.dilation.height;
                            let from_col =
                                col * window.stride.width + tap_col * window.dilation.width;
                            let tap = tap_row * window.kernel.width + tap_col;
                            if depthwise {
                                let channel = output / (outputs / 2);
                                sum += at(from_row, from_col, channel)
                                    * filter[tap * outputs + output];
                            } else {
                                let area = window.kernel.area();
                                for channel in 0..2 {
                                    let weight = filter[(output * area + tap) * 2 + channel];
                                    sum += at(from_row, from_col, channel) * weight;
                                }
                            }
                        }
                    }
                    result.push(sum);
                }
            }
        }
        result
    }

    #[test]
    fn convolutions_equal_their_definition() -> Result<(), GraphError> {
        for window in [
            window((1, 1), 1, 1, [0; 4]),
            window((1, 1), 2, 1, [0; 4]),
            window((3, 2), 1, 1, [1, 0, 0, 1]),
            window((2, 2), 2, 2, [1, 2, 0, 3]),
            window((3, 3), 3, 1, [2, 2, 1, 0]),
        ] {
            let (height, width) = (window.kernel.height, window.kernel.width);
            let weights = |len: usize| ramp(u8::try_from(len).unwrap());
            let data = weights(3 * height * width * 2);
            let op = Op::Conv {
                filter: Param::new("w", [3, height, width, 2], data.clone()).unwrap(),
                bias: None,
                window,
                activation: Activation::None,
            };
            assert_eq!(layer(op)?, direct(&data, 3, &window, false), "{window:?}");
            for outputs in [2, 4] {
                let data = weights(height * width * outputs);
                let op = Op::DepthwiseConv {
                    filter: Param::new("w", [1, height, width, outputs], data.clone()).unwrap(),
                    bias: None,
                    window,
                    activation: Activation::None,
                };
                assert_eq!(layer(op)?, direct(&data, outputs, &window, true), "{window:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn padded_taps_do_not_count_in_pools() -> Result<(), GraphError> {
        let window = window((2, 2), 2, 1, [1, 0, 0, 0]);
        let activation = Activation::None;
        let average = layer(Op::AvgPool { window, activation })?;
        assert_eq!(average, [1.0, 2.0, 5.0, 6.0, 13.0, 14.0, 17.0, 18.0]);
        let max = layer(Op::MaxPool { window, activation: Activation::Relu6 })?;
        assert_eq!(max, [2.0, 3.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0]);
        assert_eq!(layer(Op::GlobalAvgPool { keep_axes: false })?, [11.0, 12.0]);
        Ok(())
    }

    #[test]
    fn pad_softmax_and_batch_norm() -> Result<(), GraphError> {
        let padded = layer(Op::Pad(Padding { top: 1, bottom: 0, left: 0, right: 1 }))?;
        assert_eq!(padded[..10], [0.0; 10]);
        assert_eq!(padded[10..20], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0, 0.0][..]);
        let softmax = layer(Op::Softmax { beta: 2.0 })?;
        let expected = 1.0 / (1.0 + 2.0_f32.exp());
        assert!(
            (softmax[0] - expected).abs() < 1e-6 && (softmax[0] + softmax[1] - 1.0).abs() < 1e-6
        );
        let norm = layer(Op::BatchNorm {
            gamma: Some(Param::new("g", [2], vec![2.0, 1.0]).unwrap()),
            beta: Some(Param::new("b", [2], vec![0.5, 0.0]).unwrap()),
            mean: Param::new("m", [2], vec![2.0, 1.0]).unwrap(),
            variance: Param::new("v", [2], vec![3.0, 0.0]).unwrap(),
            epsilon: 1.0,
            momentum: 0.99,
        })?;
        assert_eq!(norm[..4], [-1.5, 0.0, 0.5, 2.0]);
        Ok(())
    }

    #[test]
    fn buffers_are_reused_and_branches_kept() -> Result<(), GraphError> {
        let mut builder = GraphBuilder::new("branches");
        let input = builder.input("in", Shape::Vector(3))?;
        let scale = |scale| Op::Rescale { scale: vec![scale], offset: vec![1.0] };
        let left = builder.add("left", scale(2.0), &[input])?;
        let middle = builder.add("middle", scale(-1.0), &[left])?;
        let sum = builder.add("sum", Op::Add { activation: Activation::None }, &[left, middle])?;
        let total =
            builder.add("total", Op::Add { activation: Activation::Relu }, &[sum, input])?;
        let graph = builder.finish(total)?;
        let mut interpreter = Interpreter::new(&graph);
        let mut seen = 0;
        for _ in 0..3 {
            let output = interpreter.run(&[1.0, -9.0, 3.0], |_, _| seen += 1).unwrap();
            assert_eq!(output, [2.0, 0.0, 4.0]);
        }
        assert_eq!(seen, 15);
        let wrong = interpreter.run(&[1.0], |_, _| ()).unwrap_err();
        assert_eq!(wrong, InputLen { expected: 3, found: 1 });
        Ok(())
    }
}
