//! Tensors that are known at import.

use half::f16;
use rten_onnx::onnx::{DataLocation, DataType, TensorProto};

use crate::graph::Shape;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) dims: Vec<usize>,
    pub(super) data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Floats(Vec<f32>),
    /// Of any integer type, and booleans.
    Ints(Vec<i64>),
}

impl Tensor {
    pub(super) fn read(proto: &TensorProto) -> Result<Self, String> {
        if proto.data_location == Some(DataLocation::EXTERNAL) {
            return Err("its data lies in another file; save the model as one file".to_owned());
        }
        let dims: Option<Vec<usize>> =
            proto.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let dims = dims.ok_or_else(|| format!("has shape {:?}", proto.dims))?;
        let raw = proto.raw_data.as_ref().map(|raw| raw.borrow());
        let raw = raw.as_ref().map(|raw| &raw[..]);
        let wide = || proto.int32_data.iter().map(|&value| i64::from(value)).collect();
        let kind = proto.data_type.unwrap_or(DataType::FLOAT);
        let data = match kind {
            DataType::FLOAT => Data::Floats(
                from_raw(raw, f32::from_le_bytes).unwrap_or_else(|| proto.float_data.clone()),
            ),
            DataType::FLOAT16 => {
                let bits = from_raw(raw, u16::from_le_bytes);
                // As integers they lie in the low halves.
                let low = |&value: &i32| u16::try_from(value & 0xffff).unwrap_or_default();
                let bits = bits.unwrap_or_else(|| proto.int32_data.iter().map(low).collect());
                Data::Floats(bits.into_iter().map(|bits| f16::from_bits(bits).to_f32()).collect())
            }
            #[expect(clippy::cast_possible_truncation, reason = "Mote computes in f32")]
            DataType::DOUBLE => Data::Floats(
                from_raw(raw, |bytes| f64::from_le_bytes(bytes) as f32)
                    .unwrap_or_else(|| proto.double_data.iter().map(|&x| x as f32).collect()),
            ),
            DataType::INT64 => Data::Ints(
                from_raw(raw, i64::from_le_bytes).unwrap_or_else(|| proto.int64_data.clone()),
            ),
            DataType::INT32 => Data::Ints(
                from_raw(raw, |bytes| i64::from(i32::from_le_bytes(bytes))).unwrap_or_else(wide),
            ),
            DataType::BOOL => {
                Data::Ints(from_raw(raw, |[byte]| i64::from(byte)).unwrap_or_else(wide))
            }
            other => {
                let supported = "FLOAT, FLOAT16, DOUBLE, INT32, INT64 and BOOL";
                return Err(format!("is of type {other}; {supported} are supported"));
            }
        };
        let tensor = Self { dims, data };
        match elements(&tensor.dims) {
            Some(expected) if expected == tensor.len() => Ok(tensor),
            _ => Err(format!("has {} values for shape {:?}", tensor.len(), tensor.dims)),
        }
    }

    pub(super) fn ints(values: Vec<i64>) -> Self {
        Self { dims: vec![values.len()], data: Data::Ints(values) }
    }

    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Floats(values) => values.len(),
            Data::Ints(values) => values.len(),
        }
    }

    /// A tensor of that shape from some of these values.
    pub(super) fn pick(&self, dims: Vec<usize>, places: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Data::Floats(values) => Data::Floats(places.map(|place| values[place]).collect()),
            Data::Ints(values) => Data::Ints(places.map(|place| values[place]).collect()),
        };
        Self { dims, data }
    }
}

/// Number of elements of a shape; a vector of nothing and a scalar are fine here.
pub(super) fn elements(dims: &[usize]) -> Option<usize> {
    if dims.contains(&0) { Some(0) } else { Shape::product(dims).ok() }
}

fn from_raw<const N: usize, T>(raw: Option<&[u8]>, value: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    // Bytes that are left over make the count wrong, which is found.
    raw.map(|raw| raw.chunks(N).map_while(|chunk| chunk.try_into().ok()).map(value).collect())
}
