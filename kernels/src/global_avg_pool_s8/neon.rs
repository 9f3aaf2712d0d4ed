//! AArch64: 16 channels at a time down all pixels, eight for the rest.

use super::Args;
use crate::Rescale;
use crate::after;
use crate::isa::aarch64::{load_16, load_up_to_8, store_16, store_up_to_8};
use crate::requantize::neon::{ANY, FLOAT, Narrow, Scale};
use core::arch::aarch64::*;

/// Same bits as scalar.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    match args.0.rescale {
        Rescale::Float { .. } => pool::<FLOAT>(args),
        Rescale::FixedPoint { .. } => pool::<ANY>(args),
    }
}

#[target_feature(enable = "neon")]
fn pool<const K: u8>(args: &mut Args<'_>) {
    let op = &mut args.0;
    let channels = op.output.len().max(1);
    let scale = Scale::<K>::splat(op.rescale);
    let narrow = Narrow::new(op.zero_point, op.clamp);
    let start = vdupq_n_s32(op.bias);
    let (blocks, rest) = op.output.as_chunks_mut::<16>();
    let mut channel = 0;
    for block in blocks {
        let mut sums = [start; 4];
        // Two pixels at a time, whose sums fit an int16.
        let mut pairs = op.input.chunks_exact(2 * channels);
        for pair in &mut pairs {
            let Some(first) = after(pair, channel).first_chunk() else { return };
            let Some(second) = after(pair, channels + channel).first_chunk() else { return };
            let (first, second) = (load_16(first), load_16(second));
            let low = vaddl_s8(vget_low_s8(first), vget_low_s8(second));
            add(&mut sums, low, vaddl_high_s8(first, second));
        }
        if let Some(last) = after(pairs.remainder(), channel).first_chunk() {
            let last = load_16(last);
            add(&mut sums, vmovl_s8(vget_low_s8(last)), vmovl_high_s8(last));
        }
        for sum in &mut sums {
            *sum = scale.apply(*sum);
        }
        store_16(block, narrow.apply(sums));
        channel += 16;
    }
    for block in rest.chunks_mut(8) {
        let mut sums = [start; 2];
        for pixel in op.input.chunks_exact(channels) {
            let values = vmovl_s8(load_up_to_8(after(pixel, channel)));
            sums[0] = vaddw_s16(sums[0], vget_low_s16(values));
            sums[1] = vaddw_high_s16(sums[1], values);
        }
        store_up_to_8(block, narrow.apply_8([scale.apply(sums[0]), scale.apply(sums[1])]));
        channel += 8;
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn add(sums: &mut [int32x4_t; 4], low: int16x8_t, high: int16x8_t) {
    sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
    sums[1] = vaddw_high_s16(sums[1], low);
    sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
    sums[3] = vaddw_high_s16(sums[3], high);
}
