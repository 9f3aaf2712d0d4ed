//! Tensors that are known at import.

use rten_onnx::onnx::{DataLocation, DataType, TensorProto};

use crate::graph::Shape;

#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub dims: Vec<usize>,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

impl Tensor {
    pub(super) fn read(proto: &TensorProto) -> Result<Self, String> {
        if proto.data_location == Some(DataLocation::EXTERNAL) {
            return Err("its data lies in another file; save the model as one file".to_owned());
        }
        let dims: Option<Vec<usize>> =
            proto.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let dims = dims.ok_or_else(|| format!("shape {:?}", proto.dims))?;
        let raw = proto.raw_data.as_ref().map(|raw| raw.borrow());
        let data = match proto.data_type.unwrap_or(DataType::FLOAT) {
            DataType::FLOAT => Data::Floats(match &raw {
                Some(raw) => raw.as_chunks().0.iter().map(|&le| f32::from_le_bytes(le)).collect(),
                None => proto.float_data.clone(),
            }),
            DataType::INT64 => Data::Ints(match &raw {
                Some(raw) => raw.as_chunks().0.iter().map(|&le| i64::from_le_bytes(le)).collect(),
                None => proto.int64_data.clone(),
            }),
            other => return Err(format!("type {other}; FLOAT and INT64 are supported")),
        };
        let tensor = Self { dims, data };
        // A vector of nothing and a scalar are fine here.
        let expected = if tensor.dims.contains(&0) { Ok(0) } else { Shape::product(&tensor.dims) };
        match expected {
            Ok(expected) if expected == tensor.len() => Ok(tensor),
            _ => Err(format!("{} values for shape {:?}", tensor.len(), tensor.dims)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Floats(values) => values.len(),
            Data::Ints(values) => values.len(),
        }
    }
}
