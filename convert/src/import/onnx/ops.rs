//! One ONNX operator at a time.

use std::collections::HashMap;

use rten_onnx::onnx::{AttributeProto, NodeProto};

use super::constant::{Data, Tensor};
use super::{OnnxError, Value};
use crate::graph::{
    Activation, BATCH_NORM_MOMENTUM, Extent, GraphBuilder, NodeId, Op, Padding, Param, Shape,
    Window,
};

pub(super) const SUPPORTED: [&str; 14] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Constant",
    "Conv",
    "Dropout",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "MaxPool",
    "Relu",
    "Softmax",
];

pub(super) struct Importer {
    pub builder: GraphBuilder,
    pub values: HashMap<String, Value>,
}

struct Site<'a> {
    node: &'a NodeProto,
    position: usize,
    name: String,
}

impl Site<'_> {
    fn op(&self) -> &str {
        self.node.op_type.as_deref().unwrap_or_default()
    }

    fn usage(&self, what: impl Into<String>) -> OnnxError {
        OnnxError::Usage {
            op: self.op().to_owned(),
            node: self.name.clone(),
            position: self.position,
            what: what.into(),
        }
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).and_then(|attribute| attribute.f).unwrap_or(default)
    }

    fn sizes<const N: usize>(
        &self,
        name: &str,
        default: [usize; N],
    ) -> Result<[usize; N], OnnxError> {
        let Some(attribute) = self.attribute(name) else { return Ok(default) };
        let sizes: Option<Vec<usize>> =
            attribute.ints.iter().map(|&int| usize::try_from(int).ok()).collect();
        sizes
            .and_then(|sizes| sizes.try_into().ok())
            .ok_or_else(|| self.usage(format!("`{name}` must be {N} sizes")))
    }

    fn window(&self, kernel: [usize; 2]) -> Result<Window, OnnxError> {
        if !matches!(
            self.attribute("auto_pad").and_then(|pad| pad.s.as_deref()),
            None | Some("NOTSET")
        ) || self.int("ceil_mode", 0) != 0
        {
            return Err(
                self.usage("`auto_pad` and `ceil_mode` are not supported; use explicit pads")
            );
        }
        let extent = |[height, width]: [usize; 2]| Extent { height, width };
        let [top, left, bottom, right] = self.sizes("pads", [0; 4])?;
        Ok(Window {
            kernel: extent(kernel),
            stride: extent(self.sizes("strides", [1; 2])?),
            dilation: extent(self.sizes("dilations", [1; 2])?),
            padding: Padding { top, bottom, left, right },
        })
    }
}

impl Importer {
    pub(super) fn node(&mut self, node: &NodeProto, position: usize) -> Result<(), OnnxError> {
        let output = node.output.first().cloned().unwrap_or_default();
        let name = node.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&output);
        let site = Site { node, position, name: name.trim_start_matches('/').to_owned() };
        let value = match site.op() {
            "Constant" => {
                let tensor = site.attribute("value").and_then(|value| value.t.as_ref());
                let tensor =
                    tensor.ok_or_else(|| site.usage("only a tensor `value` is supported"))?;
                Value::Constant(Tensor::read(tensor).map_err(|what| site.usage(what))?)
            }
            "Identity" | "Dropout" => self.value(&site, 0)?.clone(),
            "Conv" => Value::Map(self.conv(&site)?),
            "Gemm" => Value::Vector(self.gemm(&site)?),
            "BatchNormalization" => {
                let op = Op::BatchNorm {
                    gamma: Some(self.vector(&site, 1)?),
                    beta: Some(self.vector(&site, 2)?),
                    mean: self.vector(&site, 3)?,
                    variance: self.vector(&site, 4)?,
                    epsilon: site.float("epsilon", 1e-5),
                    momentum: site.float("momentum", BATCH_NORM_MOMENTUM),
                };
                self.same(&site, op)?
            }
            "Relu" => self.same(&site, Op::Activation(Activation::Relu))?,
            "Clip" => {
                let bounds = (self.bound(&site, 1, "min")?, self.bound(&site, 2, "max")?);
                if bounds != (Some(0.0), Some(6.0)) {
                    return Err(site.usage("only 0 to 6 is supported"));
                }
                self.same(&site, Op::Activation(Activation::Relu6))?
            }
            "Softmax" => match *self.value(&site, 0)? {
                Value::Vector(id) => {
                    Value::Vector(self.add(&site, Op::Softmax { beta: 1.0 }, &[id])?)
                }
                _ => return Err(site.usage("a vector is needed")),
            },
            "Add" => match (self.value(&site, 0)?, self.value(&site, 1)?) {
                (&Value::Map(a), &Value::Map(b)) => Value::Map(self.add(
                    &site,
                    Op::Add { activation: Activation::None },
                    &[a, b],
                )?),
                _ => return Err(site.usage("two maps are needed")),
            },
            "MaxPool" | "AveragePool" => {
                let window = site.window(site.sizes("kernel_shape", [1; 2])?)?;
                let activation = Activation::None;
                let op = if site.op() == "MaxPool" {
                    Op::MaxPool { window, activation }
                } else if window.padding.is_none() || site.int("count_include_pad", 0) == 0 {
                    Op::AvgPool { window, activation }
                } else {
                    return Err(site.usage("padding that counts is not supported"));
                };
                let map = self.map(&site)?;
                Value::Map(self.add(&site, op, &[map])?)
            }
            "GlobalAveragePool" => {
                let map = self.map(&site)?;
                Value::Map(self.add(&site, Op::GlobalAvgPool { keep_axes: true }, &[map])?)
            }
            "Flatten" if site.int("axis", 1) == 1 => match *self.value(&site, 0)? {
                Value::Map(id) if self.builder.shape(id).extent() == Extent::ONE => {
                    Value::Vector(self.add(&site, Op::Flatten, &[id])?)
                }
                Value::Map(id) => Value::Flat(id),
                ref other => other.clone(),
            },
            op => {
                let op = op.to_owned();
                return Err(OnnxError::Operator { op, node: site.name, position });
            }
        };
        self.values.insert(output, value);
        Ok(())
    }

    fn add(&mut self, site: &Site<'_>, op: Op, inputs: &[NodeId]) -> Result<NodeId, OnnxError> {
        Ok(self.builder.add(&site.name, op, inputs)?)
    }

    fn value(&self, site: &Site<'_>, index: usize) -> Result<&Value, OnnxError> {
        let name = site.node.input.get(index).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| site.usage(format!("lacks input {index}")))?;
        self.values
            .get(name)
            .ok_or_else(|| site.usage(format!("reads `{name}`, which nothing computes")))
    }

    fn map(&self, site: &Site<'_>) -> Result<NodeId, OnnxError> {
        match *self.value(site, 0)? {
            Value::Map(id) => Ok(id),
            _ => Err(site.usage("a map is needed")),
        }
    }

    /// An operator that keeps the shape, and on which the order of the elements has no bearing.
    fn same(&mut self, site: &Site<'_>, op: Op) -> Result<Value, OnnxError> {
        match *self.value(site, 0)? {
            Value::Map(id) => Ok(Value::Map(self.add(site, op, &[id])?)),
            Value::Vector(id) => Ok(Value::Vector(self.add(site, op, &[id])?)),
            _ => Err(site.usage("a map or a vector is needed")),
        }
    }

    fn floats(&self, site: &Site<'_>, index: usize) -> Result<(&[usize], &[f32]), OnnxError> {
        match self.value(site, index)? {
            Value::Constant(Tensor { dims, data: Data::Floats(data) }) if !data.is_empty() => {
                Ok((dims, data))
            }
            _ => Err(site.usage(format!("input {index} must be constant floats"))),
        }
    }

    fn param(
        &self,
        site: &Site<'_>,
        index: usize,
        shape: &[usize],
        data: Vec<f32>,
    ) -> Result<Param, OnnxError> {
        Ok(Param::new(site.node.input[index].clone(), shape, data)?)
    }

    fn vector(&self, site: &Site<'_>, index: usize) -> Result<Param, OnnxError> {
        let (shape, data) = self.floats(site, index)?;
        self.param(site, index, shape, data.to_vec())
    }

    fn bias(&self, site: &Site<'_>) -> Result<Option<Param>, OnnxError> {
        let present = site.node.input.get(2).is_some_and(|name| !name.is_empty());
        present.then(|| self.vector(site, 2)).transpose()
    }

    /// Of Clip: an input, or before version 11 an attribute.
    fn bound(&self, site: &Site<'_>, index: usize, name: &str) -> Result<Option<f32>, OnnxError> {
        if site.node.input.get(index).is_some_and(|name| !name.is_empty()) {
            return Ok(self.floats(site, index)?.1.first().copied());
        }
        Ok(site.attribute(name).and_then(|attribute| attribute.f))
    }

    /// `[O, I, H, W]` to `[O, H, W, I]`, or `[C, 1, H, W]` to `[1, H, W, C]`.
    fn conv(&mut self, site: &Site<'_>) -> Result<NodeId, OnnxError> {
        let input = self.map(site)?;
        let channels = self.builder.shape(input).channels();
        let (shape, data) = self.floats(site, 1)?;
        let &[outputs, depth, height, width] = shape else {
            return Err(site.usage("a filter of rank 4 is needed"));
        };
        let (bias, activation) = (self.bias(site)?, Activation::None);
        let window = site.window([height, width])?;
        let area = height * width;
        let group = usize::try_from(site.int("group", 1)).unwrap_or(0);
        let op = if group == 1 {
            let data = data.chunks_exact((depth * area).max(1));
            let data = data.flat_map(|filter| crate::graph::transpose(filter, depth)).collect();
            let filter = self.param(site, 1, &[outputs, height, width, depth], data)?;
            Op::Conv { filter, bias, window, activation }
        } else if group == channels && depth == 1 {
            let data = crate::graph::transpose(data, outputs);
            let filter = self.param(site, 1, &[1, height, width, outputs], data)?;
            Op::DepthwiseConv { filter, bias, window, activation }
        } else {
            return Err(site.usage("`group` must be 1 or the number of input channels"));
        };
        self.add(site, op, &[input])
    }

    /// Its columns follow the order in which ONNX flattens a map.
    fn gemm(&mut self, site: &Site<'_>) -> Result<NodeId, OnnxError> {
        let (input, map) = match *self.value(site, 0)? {
            Value::Vector(id) => (id, false),
            Value::Flat(id) => (id, true),
            _ => return Err(site.usage("a vector is needed")),
        };
        let ones = site.float("alpha", 1.0) == 1.0 && site.float("beta", 1.0) == 1.0;
        if !ones || site.int("transA", 0) != 0 {
            return Err(site.usage("alpha and beta of 1, and no transA, are supported"));
        }
        let (shape, data) = self.floats(site, 1)?;
        let &[rows, columns] = shape else { return Err(site.usage("a matrix is needed")) };
        let (outputs, depth, mut data) = match site.int("transB", 0) {
            0 => (columns, rows, crate::graph::transpose(data, rows)),
            _ => (rows, columns, data.to_vec()),
        };
        if let (true, Shape::Map { channels, .. }) = (map, self.builder.shape(input)) {
            if !depth.is_multiple_of(channels) {
                return Err(site.usage("the matrix does not fit the map"));
            }
            data = data
                .chunks_exact(depth)
                .flat_map(|row| crate::graph::transpose(row, channels))
                .collect();
        }
        let weights = self.param(site, 1, &[outputs, depth], data)?;
        let op = Op::Dense { weights, bias: self.bias(site)?, activation: Activation::None };
        self.add(site, op, &[input])
    }
}
