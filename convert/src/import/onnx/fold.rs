//! Operators on constants, computed at import.

use std::rc::Rc;

use rten_onnx::onnx::DataType;

use super::constant::{Data, Tensor, elements};
use super::site::Site;
use super::{OnnxError, dims};

/// What the node computes, of at most `limit` values; `None` when it reads a layer or is no operator that exporters
/// leave on constants.
pub(super) fn fold(site: &Site<'_>, limit: usize) -> Result<Option<Tensor>, OnnxError> {
    if site.op() == "Constant" {
        return constant(site, limit).map(Some);
    }
    let Some(inputs) = site.constants() else { return Ok(None) };
    let Some(&first) = inputs.first() else { return Ok(None) };
    if let Some(dims) = dims::reshaped(site, &first.dims)? {
        bounded(site, first.len(), limit)?;
        return Ok(Some(Tensor { dims, data: first.data.clone() }));
    }
    Ok(Some(match site.op() {
        "Add" | "Sub" | "Mul" | "Div" => arithmetic(site, &inputs, limit)?,
        "Cast" => {
            bounded(site, first.len(), limit)?;
            cast(site, first)?
        }
        "Gather" => gather(site, &inputs, limit)?,
        "Concat" => concat(site, &inputs, limit)?,
        "ConstantOfShape" => constant_of_shape(site, limit)?,
        "Transpose" => {
            let order = dims::permutation(site, first.dims.len())?;
            bounded(site, first.len(), limit)?;
            let strides = strides(&first.dims);
            let axes = order.iter().map(|&axis| (first.dims[axis], signed(strides[axis])));
            view(first, 0, &axes.collect::<Vec<_>>())
        }
        "Slice" => {
            let parts = dims::parts(site, &first.dims)?;
            let strides = strides(&first.dims);
            let axes = parts.iter().zip(&strides);
            let step = |(part, &stride): (&dims::Part, &usize)| {
                // A step that is ever taken is shorter than its axis.
                let step = if part.count > 1 { part.step } else { 0 };
                (part.count, signed(stride).saturating_mul(isize::try_from(step).unwrap_or(0)))
            };
            let start = |(part, &stride): (&dims::Part, &usize)| part.start.saturating_mul(stride);
            let offset = axes.clone().map(start).fold(0, usize::saturating_add);
            view(first, offset, &axes.map(step).collect::<Vec<_>>())
        }
        _ => return Ok(None),
    }))
}

fn constant(site: &Site<'_>, limit: usize) -> Result<Tensor, OnnxError> {
    if let Some(tensor) = site.attribute("value").and_then(|value| value.t.as_ref()) {
        return Tensor::read(tensor).map_err(|what| site.usage(what));
    }
    let find = |name| site.attribute(name);
    let (dims, data) = if let Some(attribute) = find("value_ints") {
        (vec![attribute.ints.len()], Data::Ints(attribute.ints.clone()))
    } else if let Some(attribute) = find("value_floats") {
        (vec![attribute.floats.len()], Data::Floats(attribute.floats.clone()))
    } else if let Some(value) = find("value_int").and_then(|attribute| attribute.i) {
        (vec![], Data::Ints(vec![value]))
    } else if let Some(value) = find("value_float").and_then(|attribute| attribute.f) {
        (vec![], Data::Floats(vec![value]))
    } else {
        return Err(site.usage("only a tensor and numbers are supported"));
    };
    let tensor = Tensor { dims, data };
    bounded(site, tensor.len(), limit)?;
    Ok(tensor)
}

/// Values one by one, or one with all.
fn arithmetic(site: &Site<'_>, inputs: &[&Rc<Tensor>], limit: usize) -> Result<Tensor, OnnxError> {
    let odd = || site.usage("constants of one shape and type, or one number, are supported");
    let [left, right] = inputs[..] else { return Err(odd()) };
    let (left_len, right_len) = (left.len(), right.len());
    let dims = match (left_len, right_len) {
        _ if left.dims == right.dims => &left.dims,
        (1, _) if left.dims.len() <= right.dims.len() => &right.dims,
        (_, 1) if right.dims.len() <= left.dims.len() => &left.dims,
        _ => return Err(odd()),
    };
    let len = elements(dims).unwrap_or(0);
    bounded(site, len, limit)?;
    let places = (0..len).map(|place| (place.min(left_len - 1), place.min(right_len - 1)));
    let data = match (&left.data, &right.data) {
        (Data::Floats(left), Data::Floats(right)) => {
            let operation = |(a, b): (usize, usize)| match site.op() {
                "Add" => left[a] + right[b],
                "Sub" => left[a] - right[b],
                "Mul" => left[a] * right[b],
                _ => left[a] / right[b],
            };
            Data::Floats(places.map(operation).collect())
        }
        (Data::Ints(left), Data::Ints(right)) => {
            let operation = |(a, b): (usize, usize)| match site.op() {
                "Add" => left[a].checked_add(right[b]),
                "Sub" => left[a].checked_sub(right[b]),
                "Mul" => left[a].checked_mul(right[b]),
                _ => left[a].checked_div(right[b]),
            };
            let values: Option<Vec<i64>> = places.map(operation).collect();
            Data::Ints(values.ok_or_else(|| site.usage("divides by 0 or overflows"))?)
        }
        _ => return Err(odd()),
    };
    Ok(Tensor { dims: dims.clone(), data })
}

fn cast(site: &Site<'_>, tensor: &Tensor) -> Result<Tensor, OnnxError> {
    let kind = DataType(i32::try_from(site.int("to", 0)).unwrap_or(0));
    #[expect(clippy::cast_possible_truncation, reason = "a cast is meant to round and saturate")]
    #[expect(clippy::cast_precision_loss, reason = "a cast is meant to round")]
    let data = match (&tensor.data, kind) {
        (Data::Floats(_), DataType::FLOAT | DataType::FLOAT16 | DataType::DOUBLE)
        | (Data::Ints(_), DataType::INT32 | DataType::INT64) => tensor.data.clone(),
        (Data::Ints(values), DataType::FLOAT | DataType::FLOAT16 | DataType::DOUBLE) => {
            Data::Floats(values.iter().map(|&value| value as f32).collect())
        }
        (Data::Floats(values), DataType::INT32 | DataType::INT64) => {
            Data::Ints(values.iter().map(|&value| value as i64).collect())
        }
        _ => return Err(site.usage("casts to FLOAT, INT32 and INT64 are supported")),
    };
    Ok(Tensor { dims: tensor.dims.clone(), data })
}

fn gather(site: &Site<'_>, inputs: &[&Rc<Tensor>], limit: usize) -> Result<Tensor, OnnxError> {
    let odd = || site.usage("integer indices along axis 0 are supported");
    let [data, indices] = inputs[..] else { return Err(odd()) };
    let Data::Ints(rows) = &indices.data else { return Err(odd()) };
    if data.dims.is_empty() || dims::axis(site, site.int("axis", 0), data.dims.len())? != 0 {
        return Err(odd());
    }
    let rows = rows.iter().map(|&row| dims::axis(site, row, data.dims[0]));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let row_len = data.len().checked_div(data.dims[0]).unwrap_or(0);
    bounded(site, rows.len().saturating_mul(row_len), limit)?;
    let dims = [&indices.dims[..], &data.dims[1..]].concat();
    Ok(data.pick(dims, rows.iter().flat_map(|row| row * row_len..(row + 1) * row_len)))
}

fn concat(site: &Site<'_>, inputs: &[&Rc<Tensor>], limit: usize) -> Result<Tensor, OnnxError> {
    let len = inputs.iter().fold(0_usize, |len, tensor| len.saturating_add(tensor.len()));
    bounded(site, len, limit)?;
    let mut values = Vec::with_capacity(len);
    for tensor in inputs {
        match &tensor.data {
            Data::Ints(ints) if tensor.dims.len() == 1 => values.extend(ints),
            _ => return Err(site.usage("constant lists of integers are supported")),
        }
    }
    Ok(Tensor::ints(values))
}

fn constant_of_shape(site: &Site<'_>, limit: usize) -> Result<Tensor, OnnxError> {
    let dims = site.ints(0, "shape")?.unwrap_or_default();
    let dims: Option<Vec<usize>> = dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let len = dims.as_deref().and_then(elements);
    let (Some(dims), Some(len)) = (dims, len) else { return Err(site.usage("odd shape")) };
    bounded(site, len, limit)?;
    let value = site.attribute("value").and_then(|value| value.t.as_ref());
    let value = value
        .map_or(Ok(Tensor { dims: vec![], data: Data::Floats(vec![0.0]) }), |value| {
            Tensor::read(value).map_err(|what| site.usage(what))
        })?;
    if value.len() != 1 {
        return Err(site.usage("`value` must be one number"));
    }
    Ok(value.pick(dims, core::iter::repeat_n(0, len)))
}

/// Values from `offset` on, a step along an axis being so far in memory; every place must lie within the tensor.
fn view(tensor: &Tensor, offset: usize, axes: &[(usize, isize)]) -> Tensor {
    let dims: Vec<usize> = axes.iter().map(|&(count, _)| count).collect();
    let len = elements(&dims).unwrap_or(0);
    let place = |index: usize| {
        let mut rest = index;
        let along = |place: usize, &(count, step): &(usize, isize)| {
            let along = rest % count;
            rest /= count;
            place.wrapping_add_signed(step.wrapping_mul(signed(along)))
        };
        axes.iter().rev().fold(offset, along)
    };
    tensor.pick(dims, (0..len).map(place))
}

fn strides(dims: &[usize]) -> Vec<usize> {
    let mut stride = 1_usize;
    let mut strides: Vec<usize> = dims
        .iter()
        .rev()
        .map(|dim| {
            let own = stride;
            stride = stride.saturating_mul(*dim);
            own
        })
        .collect();
    strides.reverse();
    strides
}

fn signed(value: usize) -> isize {
    isize::try_from(value).unwrap_or(isize::MAX)
}

fn bounded(site: &Site<'_>, len: usize, limit: usize) -> Result<(), OnnxError> {
    if len > limit {
        return Err(site.usage(format!("{len} constant values are more than the file explains")));
    }
    Ok(())
}
