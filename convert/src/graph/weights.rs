//! The parameters as Keras users know them: names, order, shapes and counts.

use std::borrow::Cow;

use super::{Graph, Node, NodeId, Op, Param};

/// What a parameter is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightRole {
    /// Of a convolution; Keras has it as `[H, W, I, O]`.
    Kernel,
    /// Of a depthwise convolution; Keras has it as `[H, W, C, multiplier]`.
    DepthwiseKernel,
    /// Of a dense layer; Keras has it as `[I, O]`.
    DenseKernel,
    /// Added last.
    Bias,
    /// A batch norm's factor.
    Gamma,
    /// A batch norm's offset.
    Beta,
    /// A batch norm's moving mean; never trainable.
    MovingMean,
    /// A batch norm's moving variance; never trainable.
    MovingVariance,
}

impl WeightRole {
    /// Keras' name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel | Self::DenseKernel => "kernel",
            Self::DepthwiseKernel => "depthwise_kernel",
            Self::Bias => "bias",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::MovingMean => "moving_mean",
            Self::MovingVariance => "moving_variance",
        }
    }

    /// Whether it only follows the data and is never trained.
    #[must_use]
    pub fn is_statistic(self) -> bool {
        matches!(self, Self::MovingMean | Self::MovingVariance)
    }
}

/// A parameter of a layer, as Keras shows it.
#[derive(Clone, Debug)]
pub struct Weight<'a> {
    /// The layer.
    pub node: NodeId,
    /// The layer's name.
    pub layer: &'a str,
    /// What it is to the layer.
    pub role: WeightRole,
    /// Whether training changes it.
    pub trainable: bool,
    /// The parameter, in the layout of the graph.
    pub param: &'a Param,
    channels: usize,
}

impl Weight<'_> {
    /// `layer/role`, such as `conv2d/kernel`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.layer, self.role.name())
    }

    /// Keras' shape of it.
    #[must_use]
    pub fn keras_shape(&self) -> Vec<usize> {
        match (self.role, &self.param.shape[..]) {
            (WeightRole::Kernel, &[outputs, height, width, inputs]) => {
                vec![height, width, inputs, outputs]
            }
            (WeightRole::DepthwiseKernel, &[_, height, width, outputs]) => {
                vec![height, width, self.channels, outputs / self.channels]
            }
            (WeightRole::DenseKernel, &[outputs, inputs]) => vec![inputs, outputs],
            (_, shape) => shape.to_vec(),
        }
    }

    /// The values in Keras' order.
    #[must_use]
    pub fn keras_data(&self) -> Cow<'_, [f32]> {
        match self.role {
            WeightRole::Kernel | WeightRole::DenseKernel => {
                Cow::Owned(transpose(&self.param.data, self.param.shape[0]))
            }
            _ => Cow::Borrowed(&self.param.data),
        }
    }
}

impl Op {
    /// Parameters with their roles, in Keras' order.
    pub fn weights(&self) -> impl Iterator<Item = (WeightRole, &Param)> {
        use WeightRole::{
            Beta, Bias, DenseKernel, DepthwiseKernel, Gamma, Kernel, MovingMean, MovingVariance,
        };
        let weights = match self {
            Self::Conv { filter, bias, .. } => {
                [Some((Kernel, filter)), bias.as_ref().map(|bias| (Bias, bias)), None, None]
            }
            Self::DepthwiseConv { filter, bias, .. } => [
                Some((DepthwiseKernel, filter)),
                bias.as_ref().map(|bias| (Bias, bias)),
                None,
                None,
            ],
            Self::Dense { weights, bias, .. } => {
                [Some((DenseKernel, weights)), bias.as_ref().map(|bias| (Bias, bias)), None, None]
            }
            Self::BatchNorm { gamma, beta, mean, variance, .. } => [
                gamma.as_ref().map(|gamma| (Gamma, gamma)),
                beta.as_ref().map(|beta| (Beta, beta)),
                Some((MovingMean, mean)),
                Some((MovingVariance, variance)),
            ],
            _ => [None; 4],
        };
        weights.into_iter().flatten()
    }

    /// The same, to change them; whoever does keeps their shapes.
    pub(crate) fn weights_mut(&mut self) -> impl Iterator<Item = (WeightRole, &mut Param)> {
        use WeightRole::{
            Beta, Bias, DenseKernel, DepthwiseKernel, Gamma, Kernel, MovingMean, MovingVariance,
        };
        let weights = match self {
            Self::Conv { filter, bias, .. } => {
                [Some((Kernel, filter)), bias.as_mut().map(|bias| (Bias, bias)), None, None]
            }
            Self::DepthwiseConv { filter, bias, .. } => [
                Some((DepthwiseKernel, filter)),
                bias.as_mut().map(|bias| (Bias, bias)),
                None,
                None,
            ],
            Self::Dense { weights, bias, .. } => {
                [Some((DenseKernel, weights)), bias.as_mut().map(|bias| (Bias, bias)), None, None]
            }
            Self::BatchNorm { gamma, beta, mean, variance, .. } => [
                gamma.as_mut().map(|gamma| (Gamma, gamma)),
                beta.as_mut().map(|beta| (Beta, beta)),
                Some((MovingMean, mean)),
                Some((MovingVariance, variance)),
            ],
            _ => [const { None }; 4],
        };
        weights.into_iter().flatten()
    }

    /// Parameters, in Keras' order.
    pub fn params(&self) -> impl Iterator<Item = &Param> {
        self.weights().map(|(_, param)| param)
    }
}

impl Node {
    /// Number of parameter values.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.op.params().map(Param::len).sum()
    }

    /// Number of parameter values that training may change.
    #[must_use]
    pub fn trainable_parameters(&self) -> usize {
        let trainable = |role: WeightRole| self.trainable && !role.is_statistic();
        self.op.weights().filter(|(role, _)| trainable(*role)).map(|(_, param)| param.len()).sum()
    }
}

impl Graph {
    /// Every parameter, in Keras' order: layer by layer, a layer's trainable ones first.
    pub fn weights(&self) -> impl Iterator<Item = Weight<'_>> {
        self.iter().flat_map(|(id, _)| self.weights_of(id))
    }

    /// The parameters of a layer, in Keras' order.
    pub(crate) fn weights_of(&self, id: NodeId) -> impl Iterator<Item = Weight<'_>> {
        let node = self.node(id);
        let channels = self.input_shapes(id).next().map_or(1, |shape| shape.channels());
        node.op.weights().map(move |(role, param)| Weight {
            node: id,
            layer: &node.name,
            role,
            trainable: node.trainable && !role.is_statistic(),
            param,
            channels,
        })
    }

    /// Number of parameter values.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.nodes.iter().map(Node::parameters).sum()
    }

    /// Number of parameter values that training may change.
    #[must_use]
    pub fn trainable_parameters(&self) -> usize {
        self.nodes.iter().map(Node::trainable_parameters).sum()
    }
}

/// `[rows, columns] -> [columns, rows]`.
pub(crate) fn transpose(data: &[f32], rows: usize) -> Vec<f32> {
    let columns = data.len() / rows;
    (0..columns).flat_map(|column| (0..rows).map(move |row| data[row * columns + column])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, Extent, GraphBuilder, GraphError, Shape, Window};
    use super::*;

    #[test]
    fn weights_look_like_keras() -> Result<(), GraphError> {
        let ramp = |len: u8| (0..len).map(f32::from).collect::<Vec<_>>();
        let window = Window::valid(Extent::new(1, 2), Extent::ONE, Extent::ONE);
        let mut builder = GraphBuilder::new("g");
        let input = builder.input("in", Shape::Map { height: 4, width: 4, channels: 3 })?;
        let conv = Op::Conv {
            filter: Param::new("k", [2, 1, 2, 3], ramp(12)).unwrap(),
            bias: Some(Param::new("b", [2], ramp(2)).unwrap()),
            window,
            activation: Activation::None,
        };
        let conv = builder.add("conv", conv, &[input])?;
        let depthwise = Op::DepthwiseConv {
            filter: Param::new("d", [1, 1, 2, 4], ramp(8)).unwrap(),
            bias: None,
            window,
            activation: Activation::None,
        };
        let depthwise = builder.add("dw", depthwise, &[conv])?;
        let norm = Op::BatchNorm {
            gamma: None,
            beta: Some(Param::new("beta", [4], ramp(4)).unwrap()),
            mean: Param::new("mean", [4], ramp(4)).unwrap(),
            variance: Param::new("variance", [4], ramp(4)).unwrap(),
            epsilon: 1e-3,
            momentum: 0.99,
        };
        let norm = builder.add("bn", norm, &[depthwise])?;
        let graph = builder.finish(norm)?;

        let names: Vec<_> = graph.weights().map(|weight| weight.name()).collect();
        assert_eq!(names[..3], ["conv/kernel", "conv/bias", "dw/depthwise_kernel"]);
        assert_eq!(names[3..], ["bn/beta", "bn/moving_mean", "bn/moving_variance"]);
        let weights: Vec<_> = graph.weights().collect();
        assert_eq!(weights[0].keras_shape(), [1, 2, 3, 2]);
        assert_eq!(weights[0].keras_data()[..4], [0.0, 6.0, 1.0, 7.0]);
        assert_eq!(weights[2].keras_shape(), [1, 2, 2, 2]);
        assert_eq!((graph.parameters(), graph.trainable_parameters()), (34, 26));
        Ok(())
    }
}
