//! A tensor of the file: type, shape, quantization, and constants as numbers.

use half::f16;

use super::TfliteError;
use super::flatbuffer::{Damaged, Table, numbers};
use crate::graph::{ElementType, Param, Quantization, QuantizedParam, Shape};

/// What the file says about a tensor; the lists are still the file's bytes.
#[derive(Clone, Debug)]
pub(super) struct Tensor<'a> {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) buffer: usize,
    kind: i8,
    scales: &'a [u8],
    zero_points: &'a [u8],
    axis: i32,
}

impl<'a> Tensor<'a> {
    pub(super) fn read(table: &Table<'a>) -> Result<Self, Damaged> {
        let dims = numbers::<i32>(table.numbers::<i32>(0)?);
        if dims.len() > MAX_RANK {
            return Err(table.damaged());
        }
        let shape = dims.map(|dim| usize::try_from(dim).map_err(|_| table.damaged()));
        let mut tensor = Self {
            name: table.text(3)?,
            shape: shape.collect::<Result<_, _>>()?,
            kind: table.number(1, 0_i8)?,
            buffer: usize::try_from(table.number(2, 0_u32)?).map_err(|_| table.damaged())?,
            scales: &[],
            zero_points: &[],
            axis: 0,
        };
        if let Some(quantization) = table.table(4, "QuantizationParameters")? {
            tensor.scales = quantization.numbers::<f32>(2)?;
            tensor.zero_points = quantization.numbers::<i64>(3)?;
            tensor.axis = quantization.number(6, 0_i32)?;
        }
        Ok(tensor)
    }

    /// An error about this tensor.
    pub(super) fn fault(&self, what: impl Into<String>) -> TfliteError {
        TfliteError::Tensor { tensor: self.name.clone(), what: what.into() }
    }

    /// Shape without the batch, which has to be 1 (or left open, which files write as 1).
    pub(super) fn picture_shape(&self) -> Result<Shape, TfliteError> {
        match self.shape.split_first() {
            Some((1, dims)) => {
                Shape::from_dims(dims).map_err(|fault| self.fault(fault.to_string()))
            }
            _ => {
                let what = format!("shape {:?}; a leading batch of 1 is needed", self.shape);
                Err(self.fault(what))
            }
        }
    }

    /// Type as a caller sees it.
    pub(super) fn element_type(&self) -> Result<ElementType, TfliteError> {
        match self.kind {
            FLOAT32 => Ok(ElementType::F32),
            INT8 => Ok(ElementType::I8(self.quantization()?)),
            UINT8 => Ok(ElementType::U8(self.quantization()?)),
            kind => {
                let what = format!("type {}; float32, int8 and uint8 are supported", name_of(kind));
                Err(self.fault(what))
            }
        }
    }

    /// Quantization inside the network, where uint8 is int8 with a shifted zero point.
    pub(super) fn inner_quantization(&self) -> Result<Option<Quantization>, TfliteError> {
        Ok(match self.element_type()? {
            ElementType::F32 => None,
            ElementType::I8(quantization) => Some(quantization),
            ElementType::U8(Quantization { scale, zero_point }) => {
                Some(Quantization { scale, zero_point: zero_point - 128 })
            }
        })
    }

    fn quantization(&self) -> Result<Quantization, TfliteError> {
        let mut scales = numbers::<f32>(self.scales);
        let mut zero_points = numbers::<i64>(self.zero_points);
        let range = if self.kind == UINT8 { 0..=255 } else { -128..=127 };
        match (scales.len(), scales.next(), zero_points.next().unwrap_or(0)) {
            (1, Some(scale), zero_point)
                if scale.is_finite() && scale > 0.0 && range.contains(&zero_point) =>
            {
                Ok(Quantization { scale, zero_point: i32::try_from(zero_point).unwrap_or(0) })
            }
            (0, ..) => Err(self.fault(format!("{} without a scale", name_of(self.kind)))),
            (1, Some(scale), zero_point) => {
                Err(self.fault(format!("scale {scale} with zero point {zero_point}")))
            }
            (count, ..) => {
                Err(self
                    .fault(format!("{count} scales; activations have one for the whole tensor")))
            }
        }
    }

    /// Bytes of one element, for the types that constants may have.
    pub(super) fn element_bytes(&self) -> Option<usize> {
        match self.kind {
            INT8 | UINT8 => Some(1),
            FLOAT16 | INT16 => Some(2),
            FLOAT32 | INT32 => Some(4),
            INT64 => Some(8),
            _ => None,
        }
    }

    pub(super) fn is_uint8(&self) -> bool {
        self.kind == UINT8
    }

    /// A constant weight or bias; its output channels lie on `axis`.
    pub(super) fn param(self, bytes: &[u8], axis: usize) -> Result<Param, TfliteError> {
        let data = match self.kind {
            FLOAT32 => numbers(bytes).collect(),
            FLOAT16 => numbers(bytes).map(|bits| f16::from_bits(bits).to_f32()).collect(),
            INT8 | INT32 => return self.quantized(bytes, axis),
            UINT8 => {
                let Quantization { scale, zero_point } = self.quantization()?;
                #[expect(clippy::cast_precision_loss, reason = "both lie within 0 and 255")]
                let real = |&stored: &u8| scale * (i32::from(stored) - zero_point) as f32;
                bytes.iter().map(real).collect()
            }
            kind => {
                let supported = "float32, float16, int8, uint8 and int32 are supported";
                return Err(
                    self.fault(format!("a parameter of type {}; {supported}", name_of(kind)))
                );
            }
        };
        Ok(Param::new(self.name, self.shape, data)?)
    }

    fn quantized(self, bytes: &[u8], axis: usize) -> Result<Param, TfliteError> {
        let channels = self.shape.get(axis).copied().unwrap_or(1);
        let count = self.scales.len() / 4;
        if count != 1 && count != channels {
            let what = format!("{count} scales for {channels} output channels");
            return Err(self.fault(what + "; one, or one a channel, are supported"));
        }
        if count > 1 && usize::try_from(self.axis) != Ok(axis) {
            let what = format!("quantized along axis {}", self.axis);
            return Err(
                self.fault(format!("{what}; axis {axis}, the output channels, is supported"))
            );
        }
        if let Some(zero_point) = numbers::<i64>(self.zero_points).find(|&point| point != 0) {
            let what = format!("weights with zero point {zero_point}");
            return Err(self.fault(what + "; symmetric weights (zero point 0) are supported"));
        }
        let scales: Vec<f32> = numbers(self.scales).collect();
        let inner: usize = self.shape.get(axis + 1..).unwrap_or(&[]).iter().product();
        let scale_of = |index: usize| match scales[..] {
            [scale] => scale,
            _ => scales[index / inner.max(1) % channels],
        };
        let (data, quantized) = if self.kind == INT8 {
            let values: Vec<i8> = numbers(bytes).collect();
            let real = |(index, &value): (usize, &i8)| scale_of(index) * f32::from(value);
            (
                values.iter().enumerate().map(real).collect(),
                QuantizedParam::I8 { values, scales: scales.clone() },
            )
        } else {
            let values: Vec<i32> = numbers(bytes).collect();
            // In f64 first: a bias has more digits than an f32.
            #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest float")]
            let real = |(index, &value): (usize, &i32)| {
                (f64::from(scale_of(index)) * f64::from(value)) as f32
            };
            (
                values.iter().enumerate().map(real).collect(),
                QuantizedParam::I32 { values, scales: scales.clone() },
            )
        };
        let mut param = Param { name: self.name, shape: self.shape, data, quantized: None };
        param.quantized = Some(quantized);
        Ok(param)
    }

    /// A short constant list of integers.
    pub(super) fn integers(&self, bytes: &[u8], max_len: usize) -> Result<Vec<i64>, TfliteError> {
        match self.kind {
            INT32 if bytes.len() <= 4 * max_len => {
                Ok(numbers::<i32>(bytes).map(i64::from).collect())
            }
            INT64 if bytes.len() <= 8 * max_len => Ok(numbers(bytes).collect()),
            kind => {
                let what = format!("{} bytes of {}", bytes.len(), name_of(kind));
                Err(self.fault(format!("{what}; at most {max_len} integers are needed")))
            }
        }
    }
}

fn name_of(kind: i8) -> String {
    let name = usize::try_from(kind).ok().and_then(|kind| NAMES.get(kind));
    name.map_or_else(|| format!("number {kind}"), |name| (*name).to_owned())
}

const FLOAT32: i8 = 0;
const FLOAT16: i8 = 1;
const INT32: i8 = 2;
const UINT8: i8 = 3;
const INT64: i8 = 4;
const INT16: i8 = 7;
const INT8: i8 = 9;

/// `TensorType` of the schema, from 0.
const NAMES: [&str; 13] = [
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
];

const MAX_RANK: usize = 8;
