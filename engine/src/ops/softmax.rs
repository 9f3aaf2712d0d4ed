//! Softmax.

use super::{Place, Record, Windows};
use crate::error::OpFault;
use mote_kernels::{Kernels, ShapeError, softmax_s8};

/// Softmax over the channels of each pixel.
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    place: Place,
    depth: usize,
    multiplier: i32,
    left_shift: u8,
    diff_min: i32,
}

impl Softmax {
    pub(super) fn decode(record: &Record<'_, '_>) -> Result<Self, OpFault> {
        let (input, output) = record.shapes();
        if input != output {
            return Err(OpFault::Shape(ShapeError::OutputLen));
        }
        let left_shift = record.small::<1>(0, 30)?;
        if record.number::<0>() < 0 || record.number::<2>() > 0 {
            return Err(OpFault::Number);
        }
        Ok(Self {
            place: record.place_apart()?,
            depth: input.channels,
            multiplier: record.number::<0>(),
            left_shift: left_shift.unsigned_abs(),
            diff_min: record.number::<2>(),
        })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        let Windows { input, output, .. } = self.place.split(arena)?;
        let mut args = softmax_s8::Args::new(softmax_s8::Operands {
            input,
            depth: self.depth,
            multiplier: self.multiplier,
            left_shift: self.left_shift,
            diff_min: self.diff_min,
            output,
        });
        kernels.softmax_s8(args.as_mut().map_err(|error| *error)?);
        Ok(())
    }
}
