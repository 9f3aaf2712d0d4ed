//! The layers that networks are made of, one after the other.

use super::init::{Fans, Init};
use super::{Options, Top};
use crate::graph::{
    Activation, Extent, Graph, GraphBuilder, GraphError, NodeId, Op, Padding, Param, Pooling,
    Shape, Window,
};

/// A network in the making; every layer reads the last one.
pub(super) struct Layers {
    builder: GraphBuilder,
    last: NodeId,
    pub(super) top: Top,
    pub(super) dropout: Option<f32>,
    seed: Option<u64>,
    init: Init,
}

/// A convolution without its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    pub(super) filters: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) pads: Pads,
    pub(super) bias: bool,
}

/// The constants of a batch norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    pub(super) epsilon: f32,
    pub(super) momentum: f32,
}

/// How a convolution or pool is padded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pads {
    /// TensorFlow's `SAME`.
    Same,
    /// So many rows and columns on every side; PyTorch's rule.
    Around(usize),
}

impl Layers {
    pub(super) fn new(name: String, options: &Options, init: Init) -> Result<Self, GraphError> {
        let &Options { height, width, channels, top, dropout, seed } = options;
        let mut builder = GraphBuilder::new(name);
        let last = builder.input("input", Shape::Map { height, width, channels })?;
        Ok(Self { builder, last, top, dropout, seed, init })
    }

    pub(super) fn finish(self) -> Result<Graph, GraphError> {
        self.builder.finish(self.last)
    }

    /// The layer that the next one will read.
    pub(super) fn last(&self) -> NodeId {
        self.last
    }

    /// Lets the next layer read another one.
    pub(super) fn go_to(&mut self, node: NodeId) {
        self.last = node;
    }

    pub(super) fn shape(&self) -> Shape {
        self.builder.shape(self.last)
    }

    pub(super) fn channels(&self) -> usize {
        self.shape().channels()
    }

    pub(super) fn add(&mut self, name: &str, op: Op) -> Result<(), GraphError> {
        self.last = self.builder.add(name, op, &[self.last])?;
        Ok(())
    }

    pub(super) fn conv(&mut self, name: &str, conv: Conv) -> Result<(), GraphError> {
        let Conv { filters, kernel, stride, pads, bias } = conv;
        let channels = self.channels();
        let shape = [filters, kernel, kernel, channels];
        let fans = Fans {
            fan_in: kernel * kernel * channels,
            fan_out: kernel * kernel * filters,
            is_dense: false,
        };
        let filter = self.kernel(name, "kernel", &shape, fans)?;
        let bias = bias.then(|| filled(name, "bias", filters, 0.0));
        let window = self.window(kernel, stride, pads)?;
        self.add(name, Op::Conv { filter, bias, window, activation: Activation::None })
    }

    pub(super) fn depthwise(
        &mut self,
        name: &str,
        stride: usize,
        pads: Pads,
    ) -> Result<(), GraphError> {
        const KERNEL: usize = 3;
        let channels = self.channels();
        // Keras' fans of a `[H, W, C, 1]` kernel.
        let area = KERNEL * KERNEL;
        let fans = Fans { fan_in: area * channels, fan_out: area, is_dense: false };
        let shape = [1, KERNEL, KERNEL, channels];
        let filter = self.kernel(name, "depthwise_kernel", &shape, fans)?;
        let window = self.window(KERNEL, stride, pads)?;
        self.add(
            name,
            Op::DepthwiseConv { filter, bias: None, window, activation: Activation::None },
        )
    }

    pub(super) fn dense(
        &mut self,
        name: &str,
        outputs: usize,
        activation: Activation,
    ) -> Result<(), GraphError> {
        let inputs = self.shape().elements();
        let fans = Fans { fan_in: inputs, fan_out: outputs, is_dense: true };
        let weights = self.kernel(name, "kernel", &[outputs, inputs], fans)?;
        let bias = Some(filled(name, "bias", outputs, 0.0));
        self.add(name, Op::Dense { weights, bias, activation })
    }

    pub(super) fn batch_norm(&mut self, name: &str, norm: Norm) -> Result<(), GraphError> {
        let channels = self.channels();
        let Norm { epsilon, momentum } = norm;
        let op = Op::BatchNorm {
            gamma: Some(filled(name, "gamma", channels, 1.0)),
            beta: Some(filled(name, "beta", channels, 0.0)),
            mean: filled(name, "moving_mean", channels, 0.0),
            variance: filled(name, "moving_variance", channels, 1.0),
            epsilon,
            momentum,
        };
        self.add(name, op)
    }

    pub(super) fn relu(&mut self, name: &str) -> Result<(), GraphError> {
        self.add(name, Op::Activation(Activation::Relu))
    }

    pub(super) fn relu6(&mut self, name: &str) -> Result<(), GraphError> {
        self.add(name, Op::Activation(Activation::Relu6))
    }

    pub(super) fn pad(&mut self, name: &str, padding: Padding) -> Result<(), GraphError> {
        self.add(name, Op::Pad(padding))
    }

    pub(super) fn max_pool(
        &mut self,
        name: &str,
        kernel: usize,
        stride: usize,
        pads: Pads,
    ) -> Result<(), GraphError> {
        let window = self.window(kernel, stride, pads)?;
        self.add(name, Op::MaxPool { window, activation: Activation::None })
    }

    /// The sum of the last layer and `other`.
    pub(super) fn sum(&mut self, name: &str, other: NodeId) -> Result<(), GraphError> {
        let op = Op::Add { activation: Activation::None };
        self.last = self.builder.add(name, op, &[other, self.last])?;
        Ok(())
    }

    /// Dropout; none at a rate of 0.
    pub(super) fn drop_out(&mut self, usual: f32) -> Result<(), GraphError> {
        match self.dropout.unwrap_or(usual) {
            0.0 => Ok(()),
            rate => self.add("dropout", Op::Dropout { rate }),
        }
    }

    /// The end of a network without classifier.
    pub(super) fn features(&mut self, pooling: Pooling) -> Result<(), GraphError> {
        for (name, op) in pooling.ops(self.shape()) {
            self.add(name, op)?;
        }
        Ok(())
    }

    /// Mean over the map, dropout, dense layer, softmax: the end of most networks.
    pub(super) fn classifier(
        &mut self,
        pool: &str,
        dropout: f32,
        dense: &str,
    ) -> Result<(), GraphError> {
        match self.top {
            Top::Features(pooling) => self.features(pooling),
            Top::Classes(classes) => {
                self.add(pool, Op::GlobalAvgPool { keep_axes: false })?;
                self.drop_out(dropout)?;
                self.dense(dense, classes, Activation::None)?;
                self.softmax(dense)
            }
        }
    }

    /// The activation of the layer of this name, as a layer of its own.
    pub(super) fn softmax(&mut self, layer: &str) -> Result<(), GraphError> {
        self.add(&format!("{layer}/softmax"), Op::Softmax { beta: 1.0 })
    }

    fn window(&self, kernel: usize, stride: usize, pads: Pads) -> Result<Window, GraphError> {
        let (kernel, stride) = (Extent::square(kernel), Extent::square(stride));
        let window = Window::valid(kernel, stride, Extent::ONE);
        match pads {
            Pads::Same => Window::same(self.shape().extent(), kernel, stride, Extent::ONE),
            Pads::Around(n) => {
                Ok(Window { padding: Padding { top: n, bottom: n, left: n, right: n }, ..window })
            }
        }
        .map_err(|fault| self.fault(fault))
    }

    fn kernel(
        &self,
        layer: &str,
        role: &str,
        shape: &[usize],
        fans: Fans,
    ) -> Result<Param, GraphError> {
        let len = Shape::product(shape).map_err(|fault| self.fault(fault))?;
        let data = self.init.kernel(self.seed, layer, len, fans);
        Param::new(format!("{layer}/{role}"), shape, data).map_err(|fault| self.fault(fault.into()))
    }

    fn fault(&self, fault: crate::graph::ShapeError) -> GraphError {
        let layer = self.builder.node(self.last).name.clone();
        GraphError::Layer {
            layer: format!("behind {layer}"),
            position: self.last.index() + 1,
            fault: Box::new(fault),
        }
    }
}

fn filled(layer: &str, role: &str, len: usize, value: f32) -> Param {
    Param {
        name: format!("{layer}/{role}"),
        shape: vec![len],
        data: vec![value; len],
        quantized: None,
    }
}
