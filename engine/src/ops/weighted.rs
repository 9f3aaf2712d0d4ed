//! Operations with weights: conv, pointwise, depthwise, fully connected.

use super::{MAX_SHIFT, MIN_SHIFT, Place, Record, Windows};
use crate::error::OpFault;
use crate::format::Numerics;
use mote_kernels::{
    Epilogue, Filter, Geometry, Kernels, Layout, Requantize, Rows, ShapeError, conv_s8,
    depthwise_conv_s8, fully_connected_s8, pointwise_conv_s8,
};

/// A convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv<'a> {
    pub(super) place: Place,
    pub(super) geometry: Geometry,
    pub(super) filter: Filter<'a>,
    epilogue: Epilogue<'a>,
    pad_value: i8,
}

impl<'a> Conv<'a> {
    pub(super) fn decode(record: &Record<'_, 'a>) -> Result<Self, OpFault> {
        let geometry = record.geometry()?;
        let depth = geometry.window().taps() * geometry.input().channels;
        let channels = geometry.output().channels;
        Ok(Self {
            place: record.place_apart()?,
            geometry,
            filter: filter(record, channels, depth)?,
            epilogue: epilogue(record, channels)?,
            pad_value: record.input.zero_point,
        })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let Windows { input, output, scratch } = self.place.split(arena)?;
        let mut args = conv_s8::Args::new(conv_s8::Operands {
            geometry: self.geometry,
            input: Rows::whole(input, self.geometry.input())?,
            filter: self.filter,
            epilogue: self.epilogue,
            pad_value: self.pad_value,
            first_row: 0,
            output,
            scratch,
        })?;
        kernels.conv_s8(&mut args);
        Ok(())
    }
}

/// A depthwise convolution, perhaps in place.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise<'a> {
    pub(super) place: Place,
    pub(super) geometry: Geometry,
    pub(super) filter: Filter<'a>,
    epilogue: Epilogue<'a>,
    pad_value: i8,
}

impl<'a> Depthwise<'a> {
    pub(super) fn decode(record: &Record<'_, 'a>) -> Result<Self, OpFault> {
        let geometry = record.geometry()?;
        let channels = geometry.output().channels;
        if !channels.is_multiple_of(geometry.input().channels) {
            return Err(OpFault::Shape(ShapeError::Channels));
        }
        let place = record.place()?;
        if place.in_place {
            if record.input.offset != record.output.offset || !can_run_in_place(&geometry) {
                return Err(OpFault::InPlace);
            }
            if place.scratch().len() < ring_bytes(&geometry) {
                return Err(OpFault::Scratch);
            }
        }
        Ok(Self {
            place,
            geometry,
            filter: filter(record, channels, geometry.window().taps())?,
            epilogue: epilogue(record, channels)?,
            pad_value: record.input.zero_point,
        })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        if self.place.in_place {
            return self.run_in_place(kernels, arena);
        }
        let Windows { input, output, scratch } = self.place.split(arena)?;
        let input = Rows::whole(input, self.geometry.input())?;
        self.run_rows(kernels, input, 0, output, scratch)
    }

    /// Row by row: the rows under the window are saved in a ring before the output overwrites
    /// them.
    fn run_in_place(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let (input, output) = (self.geometry.input(), self.geometry.output());
        let (start, end) = (self.place.input.0, self.place.input.1);
        let [map, scratch] = arena
            .get_disjoint_mut([start..end, self.place.scratch()])
            .map_err(|_| ShapeError::InputLen)?;
        let (ring, scratch) =
            scratch.split_at_mut_checked(ring_bytes(&self.geometry)).ok_or(ShapeError::InputLen)?;
        let slots = ring_slots(&self.geometry);
        let mut saved = 0;
        for y in 0..output.height {
            while saved < rows_seen(&self.geometry, y) {
                let row = map.get(saved * input.row_len()..).and_then(|m| m.get(..input.row_len()));
                let slot = saved.checked_rem(slots).ok_or(ShapeError::InputLen)?;
                let place = ring
                    .get_mut(slot * input.row_len()..)
                    .and_then(|r| r.get_mut(..input.row_len()));
                let (Some(row), Some(place)) = (row, place) else {
                    return Err(ShapeError::InputLen);
                };
                for (place, &value) in place.iter_mut().zip(row) {
                    *place = value;
                }
                saved += 1;
            }
            let rows = Rows::ring(ring, input, slots)?;
            let row = map
                .get_mut(y * output.row_len()..)
                .and_then(|m| m.get_mut(..output.row_len()))
                .ok_or(ShapeError::OutputLen)?;
            self.run_rows(kernels, rows, y, row, scratch)?;
        }
        Ok(())
    }

    fn run_rows(
        &self,
        kernels: &Kernels,
        input: Rows<'_>,
        first_row: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Result<(), ShapeError> {
        let mut args = depthwise_conv_s8::Args::new(depthwise_conv_s8::Operands {
            geometry: self.geometry,
            input,
            filter: self.filter,
            epilogue: self.epilogue,
            pad_value: self.pad_value,
            first_row,
            output,
            scratch,
        })?;
        kernels.depthwise_conv_s8(&mut args);
        Ok(())
    }
}

/// Slots of the ring that an in-place depthwise convolution saves its input rows in.
const fn ring_slots(geometry: &Geometry) -> usize {
    let (span, height) = (geometry.window().span_height(), geometry.input().height);
    if span < height { span } else { height }
}

/// Scratch that an in-place depthwise convolution needs before that of its kernel.
#[must_use]
pub const fn ring_bytes(geometry: &Geometry) -> usize {
    ring_slots(geometry) * geometry.input().row_len()
}

/// Input rows that are read up to output row `y`, this one included.
const fn rows_seen(geometry: &Geometry, y: usize) -> usize {
    let end = geometry.first_row(y) + geometry.window().span_height().cast_signed();
    let height = geometry.input().height;
    if end <= 0 {
        0
    } else if end.cast_unsigned() < height {
        end.cast_unsigned()
    } else {
        height
    }
}

/// Whether a depthwise convolution may write its output over its input: no output row may reach
/// an input row that was not saved yet.
#[must_use]
pub fn can_run_in_place(geometry: &Geometry) -> bool {
    let (input, output) = (geometry.input(), geometry.output());
    let (in_row, out_row) = (input.row_len(), output.row_len());
    // The output must not be longer than the input.
    output.height.saturating_mul(out_row) <= input.height.saturating_mul(in_row)
        && (0..output.height).all(|y| {
            let seen = rows_seen(geometry, y);
            seen == input.height || (y + 1).saturating_mul(out_row) <= seen.saturating_mul(in_row)
        })
}

/// A pointwise convolution or a fully connected layer.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(super) place: Place,
    pub(super) filter: Filter<'a>,
    pub(super) pixels: usize,
    epilogue: Epilogue<'a>,
}

impl<'a> Matrix<'a> {
    pub(super) fn decode_pointwise(record: &Record<'_, 'a>) -> Result<Self, OpFault> {
        let (input, output) = record.shapes();
        if input.height != output.height || input.width != output.width {
            return Err(OpFault::Shape(ShapeError::OutputLen));
        }
        Self::decode(record, input.pixels(), input.channels)
    }

    pub(super) fn decode_fully_connected(record: &Record<'_, 'a>) -> Result<Self, OpFault> {
        let (_, output) = record.shapes();
        if output.pixels() != 1 {
            return Err(OpFault::Shape(ShapeError::OutputLen));
        }
        Self::decode(record, 1, record.input.len())
    }

    fn decode(record: &Record<'_, 'a>, pixels: usize, depth: usize) -> Result<Self, OpFault> {
        let channels = record.output.shape.channels;
        Ok(Self {
            place: record.place_apart()?,
            filter: filter(record, channels, depth)?,
            pixels,
            epilogue: epilogue(record, channels)?,
        })
    }

    pub(super) fn run_pointwise(
        &self,
        kernels: &Kernels,
        arena: &mut [i8],
    ) -> Result<(), ShapeError> {
        let Windows { input, output, scratch } = self.place.split(arena)?;
        let (filter, epilogue) = (self.filter, self.epilogue);
        let operands = pointwise_conv_s8::Operands { input, filter, epilogue, output, scratch };
        kernels.pointwise_conv_s8(&mut pointwise_conv_s8::Args::new(operands)?);
        Ok(())
    }

    pub(super) fn run_fully_connected(
        &self,
        kernels: &Kernels,
        arena: &mut [i8],
    ) -> Result<(), ShapeError> {
        let Windows { input, output, scratch } = self.place.split(arena)?;
        let (filter, epilogue) = (self.filter, self.epilogue);
        let operands = fully_connected_s8::Operands { input, filter, epilogue, output, scratch };
        kernels.fully_connected_s8(&mut fully_connected_s8::Args::new(operands)?);
        Ok(())
    }
}

fn filter<'a>(
    record: &Record<'_, 'a>,
    channels: usize,
    depth: usize,
) -> Result<Filter<'a>, OpFault> {
    let layout = Layout::from_code(record.op.layout)?;
    Ok(Filter::new(record.weights()?, layout, channels, depth)?)
}

fn epilogue<'a>(record: &Record<'_, 'a>, channels: usize) -> Result<Epilogue<'a>, OpFault> {
    let op = record.op;
    let requantize = match record.blob.numerics() {
        Numerics::Tflite => {
            let multiplier = record.table::<i32>(op.multiplier_offset, channels)?;
            let shift = record.table::<i8>(op.shift_offset, channels)?;
            let sound = multiplier.iter().all(|&m| m >= 0)
                && shift.iter().all(|s| (MIN_SHIFT..=MAX_SHIFT).contains(s));
            if !sound {
                return Err(OpFault::Number);
            }
            Requantize::FixedPoint { multiplier, shift }
        }
        Numerics::Fp32 => {
            let scale = record.table::<f32>(op.multiplier_offset, channels)?;
            if !scale.iter().all(|s| s.is_finite() && *s >= 0.0) {
                return Err(OpFault::Number);
            }
            Requantize::Float { scale }
        }
    };
    Ok(Epilogue {
        bias: record.table::<i32>(op.bias_offset, channels)?,
        requantize,
        zero_point: record.output.zero_point,
        clamp: record.clamp()?,
    })
}
