//! One Keras layer to one or a few nodes.

use super::config::{self, Layer};
use super::store::Tensor;
use super::{Importer, KerasError, Scope};
use crate::graph::{
    Activation, BATCH_NORM_MOMENTUM, Extent, NodeId, Op, Padding, Param, Shape, Window, transpose,
};

/// The supported classes, for messages.
pub(super) const SUPPORTED: [&str; 24] = [
    "InputLayer",
    "Conv2D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "Dense",
    "BatchNormalization",
    "Activation",
    "ReLU",
    "Softmax",
    "Add",
    "ZeroPadding2D",
    "AveragePooling2D",
    "MaxPooling2D",
    "GlobalAveragePooling2D",
    "Flatten",
    "Reshape",
    "Dropout",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "Rescaling",
    "Normalization",
    "Sequential",
    "Functional",
];

/// What an `activation` asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Applied {
    Clamp(Activation),
    Softmax,
}

impl Importer {
    /// Adds a layer that reads `inputs`.
    pub(super) fn layer(
        &mut self,
        layer: &Layer<'_>,
        inputs: &[NodeId],
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        let trainable = scope.trainable && layer.flag("trainable", true)?;
        let scope = Scope { trainable, ..scope };
        if layer.class == "InputLayer" {
            let shape = layer.input_shape(config::batch_shape(layer.config))?;
            return Ok(self.builder.input(layer.name, shape)?);
        }
        if layer.class == "Add" {
            return self.sum(layer, inputs, scope);
        }
        let &[input] = inputs else {
            return match SUPPORTED.contains(&layer.class) {
                true => Err(layer.usage(format!("has {} inputs; one is supported", inputs.len()))),
                false => Err(unsupported(layer)),
            };
        };
        let shape = self.builder.shape(input);
        let op = match layer.class {
            "Sequential" | "Functional" | "Model" => {
                let group = scope.group.or(Some(layer.name));
                let scope = Scope { group, depth: scope.depth + 1, ..scope };
                return self.model(layer.class, layer.config, Some(input), scope);
            }
            "Conv2D" => return self.conv(layer, input, scope),
            "DepthwiseConv2D" => return self.depthwise_conv(layer, input, scope),
            "SeparableConv2D" => return self.separable_conv(layer, input, scope),
            "Dense" => return self.dense(layer, input, scope),
            "BatchNormalization" => self.batch_norm(layer, shape, scope)?,
            "Activation" => return self.activate(layer, layer.name, input, scope),
            "ReLU" => Op::Activation(relu(layer)?),
            "Softmax" => {
                layer.last_axis(rank(shape))?;
                Op::Softmax { beta: 1.0 }
            }
            "ZeroPadding2D" => {
                layer.channels_last()?;
                let [top, bottom, left, right] = layer.margins("padding")?;
                Op::Pad(Padding { top, bottom, left, right })
            }
            "AveragePooling2D" => {
                Op::AvgPool { window: pool(layer, shape)?, activation: Activation::None }
            }
            "MaxPooling2D" => {
                Op::MaxPool { window: pool(layer, shape)?, activation: Activation::None }
            }
            "GlobalAveragePooling2D" => {
                layer.channels_last()?;
                Op::GlobalAvgPool { keep_axes: layer.flag("keepdims", false)? }
            }
            "Flatten" => {
                layer.channels_last()?;
                Op::Flatten
            }
            "Reshape" => Op::Reshape(reshape(layer, shape)?),
            "Dropout" | "SpatialDropout2D" | "GaussianDropout" => {
                Op::Dropout { rate: layer.number("rate", None)? }
            }
            "GaussianNoise" => Op::Dropout { rate: 0.0 },
            "Rescaling" => {
                Op::Rescale { scale: layer.numbers("scale")?, offset: layer.numbers("offset")? }
            }
            "Normalization" => self.normalization(layer, shape, scope)?,
            _ => return Err(unsupported(layer)),
        };
        self.add(layer.name, op, &[input], scope)
    }

    fn add(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[NodeId],
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        let id = self.builder.add(name, op, inputs)?;
        self.builder.set_trainable(id, scope.trainable);
        Ok(id)
    }

    /// Two operands at a time; the last sum has the layer's name.
    fn sum(
        &mut self,
        layer: &Layer<'_>,
        inputs: &[NodeId],
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        let [first, rest @ .., _] = inputs else {
            return Err(layer.usage("has no inputs"));
        };
        let mut sum = *first;
        for (index, operand) in inputs.iter().enumerate().skip(1) {
            let name = match rest.len() {
                last if index > last => layer.name.to_owned(),
                _ => format!("{}/{index}", layer.name),
            };
            let op = Op::Add { activation: Activation::None };
            sum = self.add(&name, op, &[sum, *operand], scope)?;
        }
        Ok(sum)
    }

    fn conv(
        &mut self,
        layer: &Layer<'_>,
        input: NodeId,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        layer.channels_last()?;
        if !layer.config["groups"].is_null() && layer.count("groups")? != 1 {
            return Err(layer.usage("grouped convolution; groups = 1 is supported"));
        }
        let window = window(layer, self.builder.shape(input), "kernel_size")?;
        let filter = self.filter(layer, "kernel", scope)?;
        let bias = self.bias(layer, scope)?;
        let op = Op::Conv { filter, bias, window, activation: Activation::None };
        self.activated(layer, op, input, scope)
    }

    fn depthwise_conv(
        &mut self,
        layer: &Layer<'_>,
        input: NodeId,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        layer.channels_last()?;
        let window = window(layer, self.builder.shape(input), "kernel_size")?;
        let filter = self.depthwise_filter(layer, scope)?;
        let bias = self.bias(layer, scope)?;
        let op = Op::DepthwiseConv { filter, bias, window, activation: Activation::None };
        self.activated(layer, op, input, scope)
    }

    fn separable_conv(
        &mut self,
        layer: &Layer<'_>,
        input: NodeId,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        layer.channels_last()?;
        let window = window(layer, self.builder.shape(input), "kernel_size")?;
        let filter = self.depthwise_filter(layer, scope)?;
        let op = Op::DepthwiseConv { filter, bias: None, window, activation: Activation::None };
        let name = format!("{}/depthwise", layer.name);
        let depthwise = self.add(&name, op, &[input], scope)?;
        let filter = self.filter(layer, "pointwise_kernel", scope)?;
        let bias = self.bias(layer, scope)?;
        let window = Window::POINT;
        let op = Op::Conv { filter, bias, window, activation: Activation::None };
        self.activated(layer, op, depthwise, scope)
    }

    /// On a map, Keras' Dense works on every pixel: a pointwise convolution.
    fn dense(
        &mut self,
        layer: &Layer<'_>,
        input: NodeId,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        let Tensor { shape, data } = self.store.weight(scope.group, layer.name, &["kernel"])?;
        let [inputs, outputs] = shape[..] else {
            return Err(rank_fault(layer, "kernel", &shape, 2));
        };
        let data = transpose(&data, inputs.max(1));
        let name = format!("{}/kernel", layer.name);
        let bias = self.bias(layer, scope)?;
        let activation = Activation::None;
        let op = match self.builder.shape(input) {
            Shape::Vector(_) => {
                let weights = Param::new(name, [outputs, inputs], data)?;
                Op::Dense { weights, bias, activation }
            }
            Shape::Map { .. } => {
                let filter = Param::new(name, [outputs, 1, 1, inputs], data)?;
                Op::Conv { filter, bias, window: Window::POINT, activation }
            }
        };
        self.activated(layer, op, input, scope)
    }

    fn batch_norm(
        &mut self,
        layer: &Layer<'_>,
        shape: Shape,
        scope: Scope<'_>,
    ) -> Result<Op, KerasError> {
        layer.last_axis(rank(shape))?;
        let mut optional = |present: &str, role: &str| match layer.flag(present, true)? {
            true => self.vector(layer, role, scope).map(Some),
            false => Ok(None),
        };
        Ok(Op::BatchNorm {
            gamma: optional("scale", "gamma")?,
            beta: optional("center", "beta")?,
            mean: self.vector(layer, "moving_mean", scope)?,
            variance: self.vector(layer, "moving_variance", scope)?,
            epsilon: layer.number("epsilon", Some(1e-3))?,
            momentum: layer.number("momentum", Some(BATCH_NORM_MOMENTUM))?,
        })
    }

    /// `(x - mean) / sqrt(variance)`, with the numbers in the configuration or adapted ones among the weights.
    fn normalization(
        &mut self,
        layer: &Layer<'_>,
        shape: Shape,
        scope: Scope<'_>,
    ) -> Result<Op, KerasError> {
        layer.last_axis(rank(shape))?;
        if layer.flag("invert", false)? {
            return Err(layer.usage("`invert` is not supported"));
        }
        let (mean, variance) = if layer.config["mean"].is_null() {
            let mut adapted = |role| self.store.weight(scope.group, layer.name, &[role]);
            (adapted("mean")?.data, adapted("variance")?.data)
        } else {
            (layer.numbers("mean")?, layer.numbers("variance")?)
        };
        let scale: Vec<f32> =
            variance.iter().map(|variance| 1.0 / variance.sqrt().max(SMALLEST_DEVIATION)).collect();
        let of = |values: &[f32], index: usize| values[index.min(values.len() - 1)];
        let len = mean.len().max(scale.len());
        if mean.is_empty() || scale.is_empty() {
            return Err(layer.usage("has no mean or variance; adapt it before saving"));
        }
        Ok(Op::Rescale {
            offset: (0..len).map(|index| -of(&mean, index) * of(&scale, index)).collect(),
            scale: (0..len).map(|index| of(&scale, index)).collect(),
        })
    }

    /// A layer with an `activation` of its own: fused, or a node behind it.
    fn activated(
        &mut self,
        layer: &Layer<'_>,
        mut op: Op,
        input: NodeId,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        let softmax = match (applied(layer)?, op.activation_mut()) {
            (Applied::Clamp(clamp), Some(activation)) => {
                *activation = clamp;
                return self.add(layer.name, op, &[input], scope);
            }
            _ => format!("{}/softmax", layer.name),
        };
        let id = self.add(layer.name, op, &[input], scope)?;
        self.activate(layer, &softmax, id, scope)
    }

    fn activate(
        &mut self,
        layer: &Layer<'_>,
        name: &str,
        input: NodeId,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        let op = match applied(layer)? {
            Applied::Clamp(activation) => Op::Activation(activation),
            Applied::Softmax => Op::Softmax { beta: 1.0 },
        };
        self.add(name, op, &[input], scope)
    }

    /// `[H, W, I, O]` to `[O, H, W, I]`.
    fn filter(
        &mut self,
        layer: &Layer<'_>,
        role: &str,
        scope: Scope<'_>,
    ) -> Result<Param, KerasError> {
        let Tensor { shape, data } = self.store.weight(scope.group, layer.name, &[role])?;
        let [height, width, inputs, outputs] = shape[..] else {
            return Err(rank_fault(layer, role, &shape, 4));
        };
        let rows = data.len() / outputs.max(1);
        let data = transpose(&data, rows.max(1));
        let shape = [outputs, height, width, inputs];
        Ok(Param::new(format!("{}/{role}", layer.name), shape, data)?)
    }

    /// `[H, W, C, multiplier]`, which lies in memory just like `[1, H, W, C * multiplier]`.
    fn depthwise_filter(
        &mut self,
        layer: &Layer<'_>,
        scope: Scope<'_>,
    ) -> Result<Param, KerasError> {
        let role = "depthwise_kernel";
        // Keras 3 calls a depthwise convolution's just `kernel`, but not a separable one's.
        let roles = [role, "kernel"];
        let Tensor { shape, data } = self.store.weight(scope.group, layer.name, &roles)?;
        let [height, width, channels, multiplier] = shape[..] else {
            return Err(rank_fault(layer, role, &shape, 4));
        };
        let shape = [1, height, width, channels.saturating_mul(multiplier)];
        Ok(Param::new(format!("{}/{role}", layer.name), shape, data)?)
    }

    fn bias(&mut self, layer: &Layer<'_>, scope: Scope<'_>) -> Result<Option<Param>, KerasError> {
        match layer.flag("use_bias", true)? {
            true => self.vector(layer, "bias", scope).map(Some),
            false => Ok(None),
        }
    }

    fn vector(
        &mut self,
        layer: &Layer<'_>,
        role: &str,
        scope: Scope<'_>,
    ) -> Result<Param, KerasError> {
        let Tensor { shape, data } = self.store.weight(scope.group, layer.name, &[role])?;
        Ok(Param::new(format!("{}/{role}", layer.name), shape, data)?)
    }
}

fn unsupported(layer: &Layer<'_>) -> KerasError {
    KerasError::Layer {
        class: layer.class.to_owned(),
        layer: layer.name.to_owned(),
        position: layer.position,
    }
}

fn rank_fault(layer: &Layer<'_>, role: &str, shape: &[usize], rank: usize) -> KerasError {
    KerasError::Weight {
        layer: layer.name.to_owned(),
        weight: role.to_owned(),
        what: format!("has shape {shape:?}; rank {rank} is needed"),
    }
}

/// Axes with the batch.
fn rank(shape: Shape) -> i64 {
    match shape {
        Shape::Map { .. } => 4,
        Shape::Vector(_) => 2,
    }
}

fn window(layer: &Layer<'_>, input: Shape, kernel: &str) -> Result<Window, KerasError> {
    let kernel = layer.extent(kernel, None)?;
    let stride = layer.extent("strides", Some(Extent::ONE))?;
    let dilation = layer.extent("dilation_rate", Some(Extent::ONE))?;
    padded(layer, input, kernel, stride, dilation)
}

fn pool(layer: &Layer<'_>, input: Shape) -> Result<Window, KerasError> {
    layer.channels_last()?;
    let kernel = layer.extent("pool_size", None)?;
    let stride = layer.extent("strides", Some(kernel))?;
    padded(layer, input, kernel, stride, Extent::ONE)
}

fn padded(
    layer: &Layer<'_>,
    input: Shape,
    kernel: Extent,
    stride: Extent,
    dilation: Extent,
) -> Result<Window, KerasError> {
    match layer.text("padding") {
        Some("valid") | None => Ok(Window::valid(kernel, stride, dilation)),
        Some("same") => Window::same(input.extent(), kernel, stride, dilation)
            .map_err(|fault| layer.usage(fault.to_string())),
        Some(other) => {
            let what = format!("padding `{other}`; `same` and `valid` are supported");
            Err(layer.usage(what))
        }
    }
}

fn relu(layer: &Layer<'_>) -> Result<Activation, KerasError> {
    for key in ["negative_slope", "threshold"] {
        if layer.number(key, Some(0.0))? != 0.0 {
            return Err(layer.usage(format!("a `{key}`; plain ReLU with `max_value` is supported")));
        }
    }
    Ok(Activation::from_range(0.0, layer.number("max_value", Some(f32::INFINITY))?))
}

fn applied(layer: &Layer<'_>) -> Result<Applied, KerasError> {
    let value = &layer.config["activation"];
    // A string, or an object around one: {"class_name": "function", "config": "relu"} and its relatives.
    let name = [value, &value["config"], &value["config"]["name"], &value["class_name"]];
    match name.into_iter().find_map(|name| name.as_str()) {
        None if value.is_null() => Ok(Applied::Clamp(Activation::None)),
        Some("linear") => Ok(Applied::Clamp(Activation::None)),
        Some("relu") => Ok(Applied::Clamp(Activation::Relu)),
        Some("relu6") => Ok(Applied::Clamp(Activation::Relu6)),
        Some("softmax") => Ok(Applied::Softmax),
        name => {
            let name = name.unwrap_or("an object");
            let supported = "linear, relu, relu6 and softmax are supported";
            Err(layer.usage(format!("activation `{name}`; {supported}")))
        }
    }
}

fn reshape(layer: &Layer<'_>, input: Shape) -> Result<Shape, KerasError> {
    let dims = layer.config["target_shape"].as_array().map(Vec::as_slice).unwrap_or_default();
    let dims: Option<Vec<i64>> = dims.iter().map(|dim| dim.as_i64()).collect();
    let odd = || layer.usage("a `target_shape` that is no list of whole numbers");
    let dims = dims.ok_or_else(odd)?;
    let mut known = dims.iter().filter(|&&dim| dim != -1);
    let known = known.try_fold(1_usize, |product, &dim| {
        usize::try_from(dim).ok().and_then(|dim| product.checked_mul(dim))
    });
    let rest = known.and_then(|known| input.elements().checked_div(known)).ok_or_else(odd)?;
    let dims: Vec<usize> = dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(rest)).collect();
    Shape::from_dims(&dims).map_err(|fault| layer.usage(fault.to_string()))
}

/// Keras' epsilon under a normalization's deviation.
const SMALLEST_DEVIATION: f32 = 1e-7;
