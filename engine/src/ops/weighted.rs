//! Operations with weights: conv, pointwise, depthwise, fully connected.

use super::{MAX_SHIFT, MIN_SHIFT, Place, Record, Windows};
use crate::error::OpFault;
use crate::format::{Numerics, OpKind};
use mote_kernels::{
    Epilogue, Filter, Geometry, Isa, Kernels, Layout, Requantize, Rows, ShapeError, conv_s8,
    depthwise_conv_s8,
    depthwise_conv_s8::{can_run_in_place, ring_bytes},
    fully_connected_s8, pointwise_conv_s8,
};

/// A convolution, or a depthwise one, perhaps in place.
#[derive(Clone, Copy, Debug)]
pub struct Windowed<'a> {
    pub(super) place: Place,
    pub(super) geometry: Geometry,
    pub(super) filter: Filter<'a>,
    epilogue: Epilogue<'a>,
    pad_value: i8,
}

impl<'a> Windowed<'a> {
    pub(super) fn decode(record: &Record<'_, 'a>) -> Result<Self, OpFault> {
        let (geometry, is_depthwise) = (record.geometry()?, record.kind == OpKind::DepthwiseConv);
        let (inputs, channels) = (geometry.input().channels, geometry.output().channels);
        let place = record.place()?;
        if is_depthwise && !channels.is_multiple_of(inputs) {
            return Err(OpFault::Shape(ShapeError::Channels));
        }
        if place.in_place {
            let same = record.input.offset == record.output.offset;
            if !is_depthwise || !same || !can_run_in_place(&geometry) {
                return Err(OpFault::InPlace);
            }
            if place.scratch().len() < ring_bytes(&geometry) {
                return Err(OpFault::Scratch);
            }
        }
        let depth = geometry.window().taps() * if is_depthwise { 1 } else { inputs };
        Ok(Self {
            place,
            geometry,
            filter: filter(record, channels, depth)?,
            epilogue: epilogue(record, channels)?,
            pad_value: record.input.zero_point,
        })
    }

    pub(super) fn is_taken(&self, isa: Isa, scratch: usize) -> bool {
        conv_s8::is_taken(isa, &self.geometry, &self.filter, &self.epilogue, scratch)
    }

    pub(super) fn is_taken_depthwise(&self, isa: Isa, scratch: usize) -> bool {
        depthwise_conv_s8::is_taken(isa, &self.geometry, &self.filter, &self.epilogue, scratch)
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        self.run_rows(kernels, self.place.split(arena)?, 0)
    }

    /// The rows that the output's window holds, from `first_row` on.
    #[inline]
    pub(super) fn run_rows(
        &self,
        kernels: &Kernels,
        Windows { input, output, scratch }: Windows<'_>,
        first_row: usize,
    ) -> Result<(), ShapeError> {
        let mut args = conv_s8::Args::new(conv_s8::Operands {
            geometry: self.geometry,
            input: Rows::whole(input, self.geometry.input())?,
            filter: self.filter,
            epilogue: self.epilogue,
            pad_value: self.pad_value,
            first_row,
            output,
            scratch,
        });
        kernels.conv_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }

    pub(super) fn run_depthwise(
        &self,
        kernels: &Kernels,
        arena: &mut [i8],
    ) -> Result<(), ShapeError> {
        if self.place.in_place {
            // The output is no longer than the input.
            let map = self.place.input.0..self.place.input.1;
            let [map, scratch] = arena
                .get_disjoint_mut([map, self.place.scratch()])
                .map_err(|_| ShapeError::InputLen)?;
            self.run_depthwise_on(kernels, None, map, scratch, 0)
        } else {
            self.run_depthwise_rows(kernels, self.place.split(arena)?, 0)
        }
    }

    /// The rows that the output's window holds, from `first_row` on; the input lies apart.
    #[inline]
    pub(super) fn run_depthwise_rows(
        &self,
        kernels: &Kernels,
        Windows { input, output, scratch }: Windows<'_>,
        first_row: usize,
    ) -> Result<(), ShapeError> {
        let input = Rows::whole(input, self.geometry.input())?;
        self.run_depthwise_on(kernels, Some(input), output, scratch, first_row)
    }

    #[inline]
    fn run_depthwise_on(
        &self,
        kernels: &Kernels,
        input: Option<Rows<'_>>,
        output: &mut [i8],
        scratch: &mut [i8],
        first_row: usize,
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
        });
        kernels.depthwise_conv_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }
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

    pub(super) fn is_taken_pointwise(&self, isa: Isa, scratch: usize) -> bool {
        pointwise_conv_s8::is_taken(isa, &self.filter, &self.epilogue, scratch)
    }

    pub(super) fn is_taken_fully_connected(&self, isa: Isa, scratch: usize) -> bool {
        fully_connected_s8::is_taken(isa, &self.filter, &self.epilogue, scratch)
    }

    pub(super) fn run_pointwise(
        &self,
        kernels: &Kernels,
        arena: &mut [i8],
    ) -> Result<(), ShapeError> {
        self.run_pixels(kernels, self.place.split(arena)?)
    }

    /// A pointwise convolution of the pixels that the windows hold.
    #[inline]
    pub(super) fn run_pixels(
        &self,
        kernels: &Kernels,
        Windows { input, output, scratch }: Windows<'_>,
    ) -> Result<(), ShapeError> {
        let (filter, epilogue) = (self.filter, self.epilogue);
        let operands = pointwise_conv_s8::Operands { input, filter, epilogue, output, scratch };
        let mut args = pointwise_conv_s8::Args::new(operands);
        kernels.pointwise_conv_s8(args.as_mut().map_err(|error| *error)?);
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
        let mut args = fully_connected_s8::Args::new(operands);
        kernels.fully_connected_s8(args.as_mut().map_err(|error| *error)?);
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
        Numerics::Tflite if Numerics::Tflite.is_linked() => {
            let multiplier = record.table::<i32>(op.multiplier_offset, channels)?;
            let shift = record.table::<i8>(op.shift_offset, channels)?;
            let sound = record.proven
                || multiplier.iter().all(|&m| m >= 0)
                    && shift.iter().all(|s| (MIN_SHIFT..=MAX_SHIFT).contains(s));
            if !sound {
                return Err(OpFault::Number);
            }
            Requantize::FixedPoint { multiplier, shift }
        }
        Numerics::Fp32 if Numerics::Fp32.is_linked() => {
            let scale = record.table::<f32>(op.multiplier_offset, channels)?;
            if !record.proven && !scale.iter().all(|s| s.is_finite() && *s >= 0.0) {
                return Err(OpFault::Number);
            }
            Requantize::Float { scale }
        }
        // A blob of this contract was refused.
        _ => return Err(OpFault::Number),
    };
    Ok(Epilogue {
        bias: record.table::<i32>(op.bias_offset, channels)?,
        requantize,
        zero_point: record.output.zero_point,
        clamp: record.clamp()?,
    })
}
