//! Operators with weights, whose order is turned to the graph's.

use super::constant::{Data, Tensor};
use super::site::Site;
use super::{Importer, OnnxError, Value, window};
use crate::graph::{Activation, NodeId, Op, Param, transpose};

impl Importer {
    pub(super) fn param(
        &mut self,
        site: &Site<'_>,
        index: usize,
        shape: &[usize],
        data: Vec<f32>,
    ) -> Result<Param, OnnxError> {
        self.spend(data.len())?;
        Ok(Param::new(site.input_name(index), shape, data)?)
    }

    pub(super) fn vector(&mut self, site: &Site<'_>, index: usize) -> Result<Param, OnnxError> {
        let (_, data) = site.floats(index)?;
        self.param(site, index, &[data.len()], data.to_vec())
    }

    fn bias(&mut self, site: &Site<'_>) -> Result<Option<Param>, OnnxError> {
        site.input(2).is_some().then(|| self.vector(site, 2)).transpose()
    }

    /// Filters `[O, I, H, W]` to `[O, H, W, I]`, or `[C, 1, H, W]` to `[1, H, W, C]`.
    pub(super) fn conv(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let input = self.map(site)?;
        let shape = self.builder.shape(input);
        let (dims, data) = site.floats(1)?;
        let &[outputs, depth, height, width] = dims else {
            return Err(site.usage(
                "a filter of rank 4 is needed; other convolutions than 2D are not supported",
            ));
        };
        if site.sizes("kernel_shape", [height, width])? != [height, width] {
            return Err(site.usage("`kernel_shape` is not that of the filter"));
        }
        let bias = self.bias(site)?;
        let (window, activation) =
            (window::window(site, shape.extent(), [height, width])?, Activation::None);
        let area = height * width;
        let group = usize::try_from(site.int("group", 1)).unwrap_or(0);
        let op = if group == 1 {
            let data = data.chunks_exact(depth * area).flat_map(|filter| transpose(filter, depth));
            let filter = self.param(site, 1, &[outputs, height, width, depth], data.collect())?;
            Op::Conv { filter, bias, window, activation }
        } else if group == shape.channels() && depth == 1 {
            let filter =
                self.param(site, 1, &[1, height, width, outputs], transpose(data, outputs))?;
            Op::DepthwiseConv { filter, bias, window, activation }
        } else {
            let supported = "1 and the number of input channels (depthwise) are supported";
            return Err(site.usage(format!("`group` {group}; {supported}")));
        };
        Ok(Value::Map(self.add(site, op, &[input])?))
    }

    /// `Gemm` and `MatMul` by a constant matrix; its columns follow the order in which ONNX flattens a map.
    pub(super) fn dense(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let (input, channels) = match *site.value(0)? {
            Value::Vector(id) => (id, 1),
            Value::Flat { id, channels } => (id, channels),
            _ => return Err(site.usage("needs an input of shape [batch, channels]; flatten it")),
        };
        let is_plain = site.float("alpha", 1.0) == 1.0 && site.float("beta", 1.0) == 1.0;
        if !is_plain || site.int("transA", 0) != 0 {
            return Err(site.usage("`alpha` and `beta` of 1, and no `transA`, are supported"));
        }
        let (shape, data) = site.floats(1)?;
        let &[rows, columns] = shape else { return Err(site.usage("a matrix is needed")) };
        let (outputs, depth, mut data) = match site.int("transB", 0) {
            0 => (columns, rows, transpose(data, rows)),
            _ => (rows, columns, data.to_vec()),
        };
        if depth != self.builder.shape(input).elements() {
            let found = self.builder.shape(input).elements();
            return Err(site.usage(format!("a matrix for {depth} values; there are {found}")));
        }
        if channels > 1 {
            data = data.chunks_exact(depth).flat_map(|row| transpose(row, channels)).collect();
        }
        let weights = self.param(site, 1, &[outputs, depth], data)?;
        let op = Op::Dense { weights, bias: self.bias(site)?, activation: Activation::None };
        Ok(Value::Vector(self.add(site, op, &[input])?))
    }

    /// `Add`, `Sub`, `Mul` or `Div` of a layer's output and constants, one or one a channel.
    pub(super) fn with_constant(
        &mut self,
        site: &Site<'_>,
        value: &Value,
        tensor: &Tensor,
        is_left: bool,
    ) -> Result<Value, OnnxError> {
        let id = value.id().ok_or_else(|| site.usage("cannot be computed of these constants"))?;
        let constants = self.per_channel(site, value, tensor)?;
        let (scale, offset) = match (site.op(), is_left) {
            ("Add", _) => (vec![1.0], constants),
            ("Sub", false) => (vec![1.0], constants.iter().map(|c| -c).collect()),
            ("Sub", true) => (vec![-1.0], constants),
            ("Mul", _) => (constants, vec![0.0]),
            ("Div", false) => (constants.iter().map(|c| 1.0 / c).collect(), vec![0.0]),
            _ => return Err(site.usage("division by a layer's output is not supported")),
        };
        let node = self.builder.node(id);
        let inputs = node.inputs.clone();
        let channels = node.shape.channels();
        let mut op = node.op.clone();
        let new = match &mut op {
            Op::Conv { bias: bias @ None, activation: Activation::None, .. }
            | Op::DepthwiseConv { bias: bias @ None, activation: Activation::None, .. }
            | Op::Dense { bias: bias @ None, activation: Activation::None, .. }
                if scale == [1.0] =>
            {
                let values = (0..channels).map(|channel| of(&offset, channel)).collect();
                *bias = Some(Param::new(format!("{}/bias", site.name), [channels], values)?);
                self.spend(op.params().map(Param::len).sum())?;
                self.add(site, op, &inputs)?
            }
            Op::Rescale { scale: first, offset: second } => {
                let count = [&*first, &*second, &scale, &offset].map(|list| list.len());
                let count = count.into_iter().fold(1, usize::max);
                let both = |channel| {
                    let scale = of(&scale, channel);
                    (of(first, channel) * scale, of(second, channel) * scale + of(&offset, channel))
                };
                let (scale, offset) = (0..count).map(both).unzip();
                self.add(site, Op::Rescale { scale, offset }, &inputs)?
            }
            _ => self.add(site, Op::Rescale { scale, offset }, &[id])?,
        };
        Ok(value.with_id(new))
    }

    /// One number, or as many as there are channels.
    fn per_channel(
        &self,
        site: &Site<'_>,
        value: &Value,
        tensor: &Tensor,
    ) -> Result<Vec<f32>, OnnxError> {
        let dims = self.dims(value);
        let Data::Floats(values) = &tensor.data else {
            return Err(site.usage("integers and a layer's output"));
        };
        let channel = match value {
            Value::Map(_) => Some(1),
            Value::Last(_) => Some(3),
            Value::Vector(_) => Some(1),
            Value::Flat { .. } | Value::Constant(_) => None,
        };
        let rank = tensor.dims.len();
        let fits = |(axis, &dim): (usize, &usize)| {
            // Shapes are aligned at their ends.
            let axis = axis + dims.len() - rank;
            dim == 1 || (Some(axis) == channel && dim == dims[axis])
        };
        if rank > dims.len() || !tensor.dims.iter().enumerate().all(fits) || values.is_empty() {
            let supported = "one, or one a channel, are supported";
            return Err(
                site.usage(format!("constants {:?} for {dims:?}; {supported}", tensor.dims))
            );
        }
        Ok(values.clone())
    }
}

impl Value {
    pub(super) fn id(&self) -> Option<NodeId> {
        match *self {
            Self::Map(id) | Self::Last(id) | Self::Flat { id, .. } | Self::Vector(id) => Some(id),
            Self::Constant(_) => None,
        }
    }

    /// Another node whose output looks the same.
    pub(super) fn with_id(&self, id: NodeId) -> Self {
        match *self {
            Self::Map(_) => Self::Map(id),
            Self::Last(_) => Self::Last(id),
            Self::Flat { channels, .. } => Self::Flat { id, channels },
            Self::Vector(_) | Self::Constant(_) => Self::Vector(id),
        }
    }
}

fn of(values: &[f32], channel: usize) -> f32 {
    values[channel.min(values.len() - 1)]
}
