//! Pooling: average, maximum, global average.

use super::{MAX_SHIFT, MIN_SHIFT, Place, Record, Windows, real};
use crate::error::OpFault;
use crate::format::Numerics;
use mote_kernels::{
    Clamp, Geometry, Kernels, Rescale, Rows, ShapeError, avg_pool_s8, global_avg_pool_s8,
    max_pool_s8,
};

/// Average or maximum pooling.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    place: Place,
    geometry: Geometry,
    clamp: Clamp,
}

impl Pool {
    pub(super) fn decode(record: &Record<'_, '_>) -> Result<Self, OpFault> {
        let geometry = record.geometry()?;
        if geometry.input().channels != geometry.output().channels {
            return Err(OpFault::Shape(ShapeError::Channels));
        }
        Ok(Self { place: record.place_apart()?, geometry, clamp: record.clamp()? })
    }

    pub(super) fn run_average(
        &self,
        kernels: &Kernels,
        arena: &mut [i8],
    ) -> Result<(), ShapeError> {
        let Windows { input, output, .. } = self.place.split(arena)?;
        let mut args = avg_pool_s8::Args::new(avg_pool_s8::Operands {
            geometry: self.geometry,
            input: Rows::whole(input, self.geometry.input())?,
            clamp: self.clamp,
            first_row: 0,
            output,
        });
        kernels.avg_pool_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }

    pub(super) fn run_max(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let Windows { input, output, .. } = self.place.split(arena)?;
        let mut args = max_pool_s8::Args::new(max_pool_s8::Operands {
            geometry: self.geometry,
            input: Rows::whole(input, self.geometry.input())?,
            clamp: self.clamp,
            first_row: 0,
            output,
        });
        kernels.max_pool_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }
}

/// Global average pooling.
#[derive(Clone, Copy, Debug)]
pub struct GlobalPool {
    place: Place,
    bias: i32,
    rescale: Rescale,
    zero_point: i8,
    clamp: Clamp,
}

impl GlobalPool {
    pub(super) fn decode(record: &Record<'_, '_>) -> Result<Self, OpFault> {
        let (input, output) = record.shapes();
        if output.pixels() != 1 || input.channels != output.channels {
            return Err(OpFault::Shape(ShapeError::Channels));
        }
        let rescale = match record.blob.numerics() {
            Numerics::Tflite => Rescale::FixedPoint {
                multiplier: record.multiplier::<1>()?,
                shift: record.small::<2>(MIN_SHIFT, MAX_SHIFT)?,
            },
            Numerics::Fp32 => Rescale::Float { scale: real(record.number::<1>())? },
        };
        Ok(Self {
            place: record.place_apart()?,
            bias: record.number::<0>(),
            rescale,
            zero_point: record.output.zero_point,
            clamp: record.clamp()?,
        })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let Windows { input, output, .. } = self.place.split(arena)?;
        let mut args = global_avg_pool_s8::Args::new(global_avg_pool_s8::Operands {
            input,
            bias: self.bias,
            rescale: self.rescale,
            zero_point: self.zero_point,
            clamp: self.clamp,
            output,
        });
        kernels.global_avg_pool_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }
}
