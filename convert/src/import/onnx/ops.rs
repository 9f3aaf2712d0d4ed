//! One ONNX operator at a time.

use super::constant::{Data, Tensor};
use super::site::Site;
use super::{Importer, OnnxError, Value, dims, window};
use crate::graph::{Activation, Extent, NodeId, Op, Padding, Window};

/// Operators on a network's values; others are fine among constants.
pub(super) const SUPPORTED: [&str; 28] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Constant",
    "Conv",
    "Div",
    "Dropout",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Shape",
    "Slice",
    "Softmax",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
];

impl Importer {
    pub(super) fn layer(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        match site.op() {
            "Identity" => Ok(site.value(0)?.clone()),
            "Cast" if [1, 10, 11].contains(&site.int("to", 0)) => Ok(site.value(0)?.clone()),
            "Cast" => Err(site.usage("only casts to floats are supported")),
            "Shape" => self.shape(site),
            "Conv" => self.conv(site),
            "Gemm" | "MatMul" => self.dense(site),
            "BatchNormalization" => self.batch_norm(site),
            "Relu" => self.same(site, Op::Activation(Activation::Relu)),
            "Clip" => self.clip(site),
            "Dropout" => self.dropout(site),
            "Softmax" => self.softmax(site),
            "Add" | "Sub" | "Mul" | "Div" => self.binary(site),
            "MaxPool" | "AveragePool" => self.pool(site),
            "GlobalAveragePool" => self.on_map(site, Op::GlobalAvgPool { keep_axes: true }),
            "GlobalMaxPool" => {
                let extent = self.builder.shape(self.map(site)?).extent();
                let window = Window::valid(extent, Extent::ONE, Extent::ONE);
                self.on_map(site, Op::MaxPool { window, activation: Activation::None })
            }
            "ReduceMean" => self.mean(site),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(site),
            "Transpose" => self.transpose(site),
            "Slice" => self.slice(site),
            "Pad" => self.pad(site),
            _ => Err(site.unknown()),
        }
    }

    pub(super) fn add(
        &mut self,
        site: &Site<'_>,
        op: Op,
        inputs: &[NodeId],
    ) -> Result<NodeId, OnnxError> {
        Ok(self.builder.add(&site.name, op, inputs)?)
    }

    /// The first operand, in ONNX's order of axes.
    pub(super) fn map(&self, site: &Site<'_>) -> Result<NodeId, OnnxError> {
        match *site.value(0)? {
            Value::Map(id) => Ok(id),
            ref other => {
                let found = self.dims(other);
                Err(site.usage(format!("needs [batch, channels, height, width], not {found:?}")))
            }
        }
    }

    fn on_map(&mut self, site: &Site<'_>, op: Op) -> Result<Value, OnnxError> {
        let map = self.map(site)?;
        Ok(Value::Map(self.add(site, op, &[map])?))
    }

    /// An operator that keeps the shape, and on which the order of the elements has no bearing.
    fn same(&mut self, site: &Site<'_>, op: Op) -> Result<Value, OnnxError> {
        let value = site.value(0)?;
        let id = value.id().ok_or_else(|| site.usage("of constants is not supported"))?;
        Ok(value.with_id(self.add(site, op, &[id])?))
    }

    fn shape(&self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let dims = self.dims(site.value(0)?);
        let dims: Vec<i64> =
            dims.into_iter().map(|dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
        let len = i64::try_from(dims.len()).unwrap_or(i64::MAX);
        let place = |value: i64| {
            let place = if value < 0 { value.saturating_add(len) } else { value }.clamp(0, len);
            usize::try_from(place).unwrap_or(0)
        };
        let (start, end) = (place(site.int("start", 0)), place(site.int("end", len)));
        let dims = dims.get(start..end).unwrap_or_default().to_vec();
        Ok(Value::Constant(Tensor::ints(dims).into()))
    }

    fn batch_norm(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let trains = site.int("training_mode", 0) != 0 || (site.opset < 14 && site.outputs() > 1);
        if trains || site.int("spatial", 1) == 0 {
            let what = "only its moving statistics, one a channel, are supported; export the model for inference \
                        (model.eval())";
            return Err(site.usage(what));
        }
        if !matches!(site.value(0)?, Value::Map(_) | Value::Vector(_)) {
            return Err(site.usage("its channels must be axis 1 and not flattened"));
        }
        let op = Op::BatchNorm {
            gamma: Some(self.vector(site, 1)?),
            beta: Some(self.vector(site, 2)?),
            mean: self.vector(site, 3)?,
            variance: self.vector(site, 4)?,
            epsilon: site.float("epsilon", 1e-5),
            momentum: site.float("momentum", MOMENTUM),
        };
        self.same(site, op)
    }

    fn clip(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let min = site.scalar(1, "min")?.unwrap_or(f32::NEG_INFINITY);
        let max = site.scalar(2, "max")?.unwrap_or(f32::INFINITY);
        self.same(site, Op::Activation(Activation::from_range(min, max)))
    }

    fn dropout(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let rate = match site.input(1) {
            Some(_) => site.scalar(1, "ratio")?,
            None => site.attribute("ratio").and_then(|ratio| ratio.f),
        };
        let is_true = |mode: &Tensor| matches!(&mode.data, Data::Ints(mode) if mode.contains(&1));
        if site.constant(2)?.is_some_and(is_true) {
            return Err(
                site.usage("drops at inference; export the model for inference (model.eval())")
            );
        }
        self.same(site, Op::Dropout { rate: rate.unwrap_or(0.5) })
    }

    fn softmax(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let value = site.value(0)?;
        let (rank, channel) = match *value {
            Value::Vector(_) => (2, 1),
            Value::Map(id) if self.builder.shape(id).extent() == Extent::ONE => (4, 1),
            _ => return Err(site.usage("only over the channels of a vector or a single pixel")),
        };
        let default = if site.opset < 13 { 1 } else { -1 };
        let axis = dims::axis(site, site.int("axis", default), rank)?;
        if axis != channel {
            return Err(site.usage(format!("axis {axis}; only axis {channel} is supported")));
        }
        self.same(site, Op::Softmax { beta: 1.0 })
    }

    fn binary(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let (left, right) = (site.value(0)?, site.value(1)?);
        let add = Op::Add { activation: Activation::None };
        match (left, right) {
            (Value::Constant(tensor), value) => self.with_constant(site, value, tensor, true),
            (value, Value::Constant(tensor)) => self.with_constant(site, value, tensor, false),
            (&Value::Map(a), &Value::Map(b))
            | (&Value::Last(a), &Value::Last(b))
            | (&Value::Vector(a), &Value::Vector(b))
                if site.op() == "Add" =>
            {
                Ok(left.with_id(self.add(site, add, &[a, b])?))
            }
            (&Value::Flat { id: a, channels }, &Value::Flat { id: b, channels: same })
                if site.op() == "Add" && channels == same =>
            {
                Ok(left.with_id(self.add(site, add, &[a, b])?))
            }
            _ => {
                let [left, right] = [left, right].map(|value| self.dims(value));
                let supported = "sums of one shape, and constants, are supported";
                Err(site.usage(format!("of {left:?} and {right:?}; {supported}")))
            }
        }
    }

    fn pool(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let mut map = self.map(site)?;
        let input = self.builder.shape(map).extent();
        if site.attribute("kernel_shape").is_none() {
            return Err(site.usage("lacks `kernel_shape`"));
        }
        let mut window = window::window(site, input, site.sizes("kernel_shape", [1; 2])?)?;
        let activation = Activation::None;
        if site.op() == "MaxPool" {
            return Ok(Value::Map(self.add(site, Op::MaxPool { window, activation }, &[map])?));
        }
        if site.int("count_include_pad", 0) != 0 && !window.padding.is_none() {
            if site.int("ceil_mode", 0) != 0 {
                return Err(site.usage("`ceil_mode` with padding that counts is not supported"));
            }
            // Padding that counts is a part of the map.
            let name = format!("{}/pad", site.name);
            map = self.builder.add(name, Op::Pad(window.padding), &[map])?;
            window.padding = Padding::NONE;
        }
        Ok(Value::Map(self.add(site, Op::AvgPool { window, activation }, &[map])?))
    }
}

/// ONNX's default share of the old moving statistics.
const MOMENTUM: f32 = 0.9;
