//! Operators that move values: shapes, axes, steps and padding.

use super::dims::{self, Part, places};
use super::site::Site;
use super::{Importer, OnnxError, Value};
use crate::graph::{Activation, Extent, NodeId, Op, Padding, Param, Shape, Window};

impl Importer {
    /// ONNX's shape of a value, with the batch.
    pub(super) fn dims(&self, value: &Value) -> Vec<usize> {
        let batch = self.batch;
        match *value {
            Value::Constant(ref tensor) => tensor.dims.clone(),
            Value::Flat { id, .. } | Value::Vector(id) => {
                vec![batch, self.builder.shape(id).elements()]
            }
            Value::Map(id) => {
                let shape = self.builder.shape(id);
                let Extent { height, width } = shape.extent();
                vec![batch, shape.channels(), height, width]
            }
            Value::Last(id) => {
                let shape = self.builder.shape(id);
                let Extent { height, width } = shape.extent();
                vec![batch, height, width, shape.channels()]
            }
        }
    }

    /// `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`.
    pub(super) fn reshape(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let value = site.value(0)?;
        let from = self.dims(value);
        let to = dims::reshaped(site, &from)?.ok_or_else(|| site.unknown())?;
        if from == to {
            return Ok(value.clone());
        }
        let refuse = || {
            let supported =
                "a map to [batch, values], and a map of one pixel to and from [batch, channels]";
            site.usage(format!("reshapes {from:?} to {to:?}; supported: {supported}"))
        };
        if to.first() != from.first() {
            return Err(refuse());
        }
        match (value, &to[1..]) {
            (&Value::Map(id), [_]) => {
                let (channels, extent) =
                    (self.builder.shape(id).channels(), self.builder.shape(id).extent());
                let id = self.add(site, Op::Flatten, &[id])?;
                // One pixel, or one channel: both orders are the same.
                let same = channels == 1 || extent == Extent::ONE;
                Ok(if same { Value::Vector(id) } else { Value::Flat { id, channels } })
            }
            (&Value::Last(id), [_]) => Ok(Value::Vector(self.add(site, Op::Flatten, &[id])?)),
            (&Value::Flat { id, channels }, &[first, height, width]) if first == channels => {
                let shape = Shape::Map { height, width, channels };
                Ok(Value::Map(self.add(site, Op::Reshape(shape), &[id])?))
            }
            (&Value::Vector(id), &[channels, height, width])
                if channels == 1 || (height, width) == (1, 1) =>
            {
                let shape = Shape::Map { height, width, channels };
                Ok(Value::Map(self.add(site, Op::Reshape(shape), &[id])?))
            }
            _ => Err(refuse()),
        }
    }

    /// Between `[N, C, H, W]` and `[N, H, W, C]`, which is only another way to look at a map.
    pub(super) fn transpose(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let value = site.value(0)?;
        let order = dims::permutation(site, self.dims(value).len())?;
        match (value, &order[..]) {
            (&Value::Map(id), [0, 2, 3, 1]) => Ok(Value::Last(id)),
            (&Value::Last(id), [0, 3, 1, 2]) => Ok(Value::Map(id)),
            (value, order) if order.is_sorted() => Ok(value.clone()),
            _ => {
                let supported = "NCHW to NHWC and back are supported";
                Err(site.usage(format!("the order of axes {order:?}; {supported}")))
            }
        }
    }

    /// Every so many rows and columns: a pooling of single pixels.
    pub(super) fn slice(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let value = site.value(0)?;
        let from = self.dims(value);
        let parts = dims::parts(site, &from)?;
        let (id, first) = match *value {
            Value::Map(id) => (Some(id), 2),
            Value::Last(id) => (Some(id), 1),
            _ => (None, from.len()),
        };
        let is_whole = |axis: usize| {
            let Part { start, step, count } = parts[axis];
            let in_steps = step > 0 && start == 0 && count == from[axis].div_ceil(places(step));
            in_steps && (step == 1 || (first..first + 2).contains(&axis))
        };
        if !(0..from.len()).all(is_whole) {
            let supported = "steps over all rows and columns are supported";
            return Err(site.usage(format!("takes a part of {from:?}; {supported}")));
        }
        let step = |axis: usize| parts.get(axis).map_or(1, |part| places(part.step));
        let mut stride = Extent::new(step(first), step(first + 1));
        let Some(id) = id.filter(|_| stride != Extent::ONE) else { return Ok(value.clone()) };
        let (source, before) = self.strided(id);
        stride.height = stride.height.saturating_mul(before.height);
        stride.width = stride.width.saturating_mul(before.width);
        let op = Op::MaxPool {
            window: Window { stride, ..Window::POINT },
            activation: Activation::None,
        };
        let id = self.add(site, op, &[source])?;
        Ok(if first == 2 { Value::Map(id) } else { Value::Last(id) })
    }

    /// Zeros around the map, and before and behind its channels: the shortcut of ResNets for CIFAR, as a pointwise
    /// convolution that copies.
    pub(super) fn pad(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let value = site.value(0)?;
        let from = self.dims(value);
        let [before, after] = pads(site, from.len())?;
        if before.iter().chain(&after).all(|&pad| pad == 0) {
            return Ok(value.clone());
        }
        let (id, channel, row) = match *value {
            Value::Map(id) => (id, 1, 2),
            Value::Last(id) => (id, 3, 1),
            _ => return Err(site.usage("padding of a vector is not supported")),
        };
        if site.text("mode").is_some_and(|mode| mode != "constant")
            || site.scalar(2, "value")?.unwrap_or(0.0) != 0.0
        {
            return Err(site.usage("only padding by zeros is supported"));
        }
        if (before[0], after[0]) != (0, 0) {
            return Err(site.usage("padding of the batch is not supported"));
        }
        let padding = Padding {
            top: before[row],
            bottom: after[row],
            left: before[row + 1],
            right: after[row + 1],
        };
        let id = if padding.is_none() { id } else { self.add(site, Op::Pad(padding), &[id])? };
        let id = self.pad_channels(site, id, before[channel], after[channel])?;
        Ok(if channel == 1 { Value::Map(id) } else { Value::Last(id) })
    }

    fn pad_channels(
        &mut self,
        site: &Site<'_>,
        input: NodeId,
        before: usize,
        after: usize,
    ) -> Result<NodeId, OnnxError> {
        if (before, after) == (0, 0) {
            return Ok(input);
        }
        let (source, stride) = self.strided(input);
        let channels = self.builder.shape(source).channels();
        let outputs = channels.saturating_add(before).saturating_add(after);
        let len = outputs.saturating_mul(channels);
        self.spend(len)?;
        let mut filter = vec![0.0; len];
        for channel in 0..channels {
            filter[(before + channel) * channels + channel] = 1.0;
        }
        let name = format!("{}/copy", site.name);
        let filter = Param::new(name, [outputs, 1, 1, channels], filter)?;
        let window = Window { stride, ..Window::POINT };
        let op = Op::Conv { filter, bias: None, window, activation: Activation::None };
        let id = self.add(site, op, &[source])?;
        self.builder.set_trainable(id, false);
        Ok(id)
    }

    /// What a pooling of single pixels steps over, and its steps; else the node itself.
    fn strided(&self, id: NodeId) -> (NodeId, Extent) {
        let node = self.builder.node(id);
        match node.op {
            Op::MaxPool { window, activation: Activation::None }
                if window == (Window { stride: window.stride, ..Window::POINT }) =>
            {
                (node.inputs[0], window.stride)
            }
            _ => (id, Extent::ONE),
        }
    }

    /// `ReduceMean` over the rows and columns.
    pub(super) fn mean(&mut self, site: &Site<'_>) -> Result<Value, OnnxError> {
        let refuse = || site.usage("only a mean over all rows and columns of a map is supported");
        let (id, rows, is_first) = match *site.value(0)? {
            Value::Map(id) => (id, 2, true),
            Value::Last(id) => (id, 1, false),
            _ => return Err(refuse()),
        };
        let mut axes = dims::axes(site, &site.ints(1, "axes")?.ok_or_else(refuse)?, 4)?;
        axes.sort_unstable();
        if axes != [rows, rows + 1] {
            return Err(refuse());
        }
        let keep_axes = site.int("keepdims", 1) != 0;
        let id = self.add(site, Op::GlobalAvgPool { keep_axes }, &[id])?;
        Ok(match (keep_axes, is_first) {
            (false, _) => Value::Vector(id),
            (true, true) => Value::Map(id),
            (true, false) => Value::Last(id),
        })
    }
}

/// Before and after every axis.
fn pads(site: &Site<'_>, rank: usize) -> Result<[Vec<usize>; 2], OnnxError> {
    let list = site.ints(1, "pads")?.ok_or_else(|| site.usage("lacks `pads`"))?;
    let list: Option<Vec<usize>> = list.iter().map(|&pad| usize::try_from(pad).ok()).collect();
    let list = list.ok_or_else(|| site.usage("negative padding is not supported"))?;
    let axes = match site.ints(3, "axes")? {
        Some(axes) => dims::axes(site, &axes, rank)?,
        None => (0..rank).collect(),
    };
    if list.len() != 2 * axes.len() {
        return Err(site.usage(format!("{} pads for {} axes", list.len(), axes.len())));
    }
    let mut pads = [vec![0; rank], vec![0; rank]];
    for (index, axis) in axes.into_iter().enumerate() {
        pads[0][axis] = list[index];
        pads[1][axis] = list[index + list.len() / 2];
    }
    Ok(pads)
}
