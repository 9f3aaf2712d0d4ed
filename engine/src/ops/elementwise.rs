//! Addition, clamp, lookup, padding.

use super::{Place, Record, Windows};
use crate::error::OpFault;
use crate::format::Numerics;
use mote_kernels::{Clamp, Kernels, Shape, ShapeError, add_s8, clamp_s8, lookup_s8, pad_s8};

/// Addition; in place when the output takes the window of the first input.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    place: Place,
    rhs: (usize, usize),
    sum: add_s8::Sum,
    zero_point: i8,
    clamp: Clamp,
}

impl Add {
    pub(super) fn decode(record: &Record<'_, '_>) -> Result<Self, OpFault> {
        let place = record.place_elementwise()?;
        let second = record.second_input()?;
        if second.len() != record.output.len() {
            return Err(OpFault::Shape(ShapeError::InputLen));
        }
        if place.in_place && second.offset == record.output.offset {
            return Err(OpFault::InPlace);
        }
        let sum = match record.blob.numerics() {
            Numerics::Tflite => add_s8::Sum::FixedPoint {
                offset: [-i32::from(record.input.zero_point), -i32::from(second.zero_point)],
                multiplier: [record.multiplier::<0>()?, record.multiplier::<1>()?],
                shift: [record.small::<2>(-31, 0)?, record.small::<3>(-31, 0)?],
                left_shift: record.small::<4>(0, 22)?.unsigned_abs(),
                output_multiplier: record.multiplier::<5>()?,
                output_shift: record.small::<6>(-31, 0)?,
            },
            Numerics::Fp32 => add_s8::Sum::Linear {
                multiplier: [record.number::<0>(), record.number::<1>()],
                bias: record.number::<2>(),
                shift: record.small::<3>(0, 31)?.unsigned_abs(),
            },
        };
        let rhs = second.window();
        Ok(Self {
            place,
            rhs: (rhs.start, rhs.end),
            sum,
            zero_point: record.output.zero_point,
            clamp: record.clamp()?,
        })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let (lhs, rhs, output) = self.place.split_binary(arena, self.rhs)?;
        let mut args = add_s8::Args::new(add_s8::Operands {
            lhs,
            rhs,
            sum: self.sum,
            zero_point: self.zero_point,
            clamp: self.clamp,
            output,
        });
        kernels.add_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }
}

/// Activation clamp.
#[derive(Clone, Copy, Debug)]
pub struct Clamped {
    place: Place,
    clamp: Clamp,
}

impl Clamped {
    pub(super) fn decode(record: &Record<'_, '_>) -> Result<Self, OpFault> {
        Ok(Self { place: record.place_elementwise()?, clamp: record.clamp()? })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let (input, output) = self.place.split_elementwise(arena)?;
        let operands = clamp_s8::Operands { input, clamp: self.clamp, output };
        let mut args = clamp_s8::Args::new(operands);
        kernels.clamp_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }
}

/// Element-wise function by table.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    place: Place,
    table: &'a [i8; 256],
}

impl<'a> Lookup<'a> {
    pub(super) fn decode(record: &Record<'_, 'a>) -> Result<Self, OpFault> {
        let table = record.weights()?.try_into().map_err(|_| OpFault::Weights)?;
        Ok(Self { place: record.place_elementwise()?, table })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let (input, output) = self.place.split_elementwise(arena)?;
        let operands = lookup_s8::Operands { input, table: self.table, output };
        let mut args = lookup_s8::Args::new(operands);
        kernels.lookup_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }
}

/// Padding with the zero point.
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    place: Place,
    input: Shape,
    output: Shape,
    top: usize,
    left: usize,
    value: i8,
}

impl Pad {
    pub(super) fn decode(record: &Record<'_, '_>) -> Result<Self, OpFault> {
        let (input, output) = record.shapes();
        let [top, left] = record.op.pad.map(usize::from);
        let fits = top + input.height <= output.height && left + input.width <= output.width;
        if !fits || input.channels != output.channels {
            return Err(OpFault::Shape(ShapeError::Extent));
        }
        let value = record.input.zero_point;
        Ok(Self { place: record.place_apart()?, input, output, top, left, value })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let Windows { input, output, .. } = self.place.split(arena)?;
        let mut args = pad_s8::Args::new(pad_s8::Operands {
            input,
            input_shape: self.input,
            output_shape: self.output,
            top: self.top,
            left: self.left,
            value: self.value,
            output,
        });
        kernels.pad_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }
}
