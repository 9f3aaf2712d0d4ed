//! Arithmetic on halves, 32 values at a time: a sum of two halves in f32, rounded to a half, is their
//! sum rounded once, so that the bits are those of scalar.

use super::Args;
use crate::isa::aarch64::fp16::{load, store};
use crate::tile_f16::neon_fp16::range;
use crate::{ClampF16, F16, copy};
use core::arch::aarch64::{float16x8_t, vaddq_f16, vbslq_f16, vcgtq_f16, vcltq_f16};

/// Same bits as scalar.
#[target_feature(enable = "fp16")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    // A bound that only rounds to zero tells zeros apart that a zero does not.
    let vanishes = |bound: f32| bound != 0.0 && F16::from_f32(bound).to_f32() == 0.0;
    if [op.clamp.min, op.clamp.max].into_iter().any(vanishes) {
        return super::lanes::run(args);
    }
    let sum = Sum::new(op.clamp);
    let (rhs, rhs_rest) = op.rhs.as_chunks::<32>();
    let (output, output_rest) = op.output.as_chunks_mut::<32>();
    match op.lhs {
        Some(lhs) => {
            let (lhs, lhs_rest) = lhs.as_chunks::<32>();
            for ((output, lhs), rhs) in output.iter_mut().zip(lhs).zip(rhs) {
                *output = *lhs;
                sum.add(output, rhs);
            }
            copy(output_rest, lhs_rest);
        }
        None => {
            for (output, rhs) in output.iter_mut().zip(rhs) {
                sum.add(output, rhs);
            }
        }
    }
    for (output, rhs) in output_rest.chunks_mut(8).zip(rhs_rest.chunks(8)) {
        let mut padded = [[F16::default(); 8]; 2];
        copy(&mut padded[0], output);
        copy(&mut padded[1], rhs);
        let [lhs, rhs] = &mut padded;
        sum.add(lhs, rhs);
        copy(output, lhs);
    }
}

/// The range of a sum.
struct Sum([float16x8_t; 2]);

impl Sum {
    #[target_feature(enable = "fp16")]
    fn new(clamp: ClampF16) -> Self {
        let [min, max] = range(clamp);
        Self([load(&min), load(&max)])
    }

    /// Adds `rhs` to `values`. Not a number becomes the lower end.
    #[inline]
    #[target_feature(enable = "fp16")]
    fn add<const N: usize>(&self, values: &mut [F16; N], rhs: &[F16; N]) {
        let Self([min, max]) = *self;
        for (values, rhs) in values.as_chunks_mut().0.iter_mut().zip(rhs.as_chunks().0) {
            let sum = vaddq_f16(load(values), load(rhs));
            // By comparing, as scalar does: zeros have signs.
            let raised = vbslq_f16(vcgtq_f16(sum, min), sum, min);
            store(values, vbslq_f16(vcltq_f16(raised, max), raised, max));
        }
    }
}
