//! AArch64: eight channels of two rows of outputs at a time, or of one at stride 2; the frame of all
//! instruction sets.

use super::{Args, EIGHTS, Operands};
use crate::isa::aarch64::{
    Finish, GROUP, Line, STEPS, Steps, Taps, load_8, load_up_to_8, store_up_to_8,
};
use crate::requantize::neon::{Narrow, Scale, with_scale};
use crate::{Geometry, Rows, after, after_mut};
use core::arch::aarch64::*;

/// Same bits as scalar, which also takes over when the layout is another's.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    run_with::<false>(args);
}

/// With `DOTS` on a machine with `SDOT`.
#[target_feature(enable = "neon")]
pub(super) fn run_with<const DOTS: bool>(args: &mut Args<'_>) {
    if args.0.filter.layout() != EIGHTS {
        return super::scalar::run(args);
    }
    if args.0.input.is_none() {
        return super::by_rows(args, |args| rows::<DOTS>(args));
    }
    rows::<DOTS>(args);
}

#[inline]
#[target_feature(enable = "neon")]
fn rows<const DOTS: bool>(args: &mut Args<'_>) {
    let op = &mut args.0;
    let Some(input) = op.input else { return };
    let output = core::mem::take(&mut op.output);
    with_scale!(op.epilogue, K => blocks::<DOTS, K>(op, input, output));
}

#[inline]
#[target_feature(enable = "neon")]
fn blocks<const DOTS: bool, const K: u8>(op: &Operands<'_>, input: Rows<'_>, output: &mut [i8]) {
    let (shape, taps) = (op.geometry.output(), op.geometry.window().taps());
    let row_len = shape.row_len().max(1);
    // Whole blocks of a plain 3x3 in assembly.
    let line = line(&op.geometry);
    let whole = if line.is_some() { shape.channels / 8 * 8 } else { 0 };
    if let Some(line) = line {
        let pad = [op.pad_value; GROUP];
        let down = if line.stride == 1 && op.geometry.window().stride_height == 1 { 2 } else { 1 };
        // As many rows as the nearest cache holds of a group.
        let near = NEAR / (GROUP * shape.width.max(1));
        let rows = (near / down).clamp(1, STEPS) * down;
        for channel in (0..whole).step_by(GROUP) {
            let len = (whole - channel).min(GROUP);
            let mut first_row = op.first_row;
            for strip in output.chunks_mut(rows * row_len) {
                let Some(mut steps) = Steps::new(line, len, &pad) else { return };
                for (y, outputs) in
                    (first_row..).step_by(down).zip(strip.chunks_mut(down * row_len))
                {
                    let top = op.geometry.first_row(y);
                    let (first, second) = outputs.split_at_mut(row_len.min(outputs.len()));
                    let second = (!second.is_empty()).then(|| after_mut(second, channel));
                    let row = |tap| Some(after(input.row(top.wrapping_add(tap))?, channel));
                    let sources = [row(0), row(1), row(2), row(3)];
                    let done = steps.push(sources, after_mut(first, channel), second);
                    debug_assert!(done.is_some());
                }
                group::<DOTS, K>(op, channel, len, &mut steps);
                first_row += rows;
            }
        }
    }
    let multiplier = shape.channels / op.geometry.input().channels.max(1);
    for (block, weights) in op.filter.data().chunks_exact(8 * taps.max(1)).enumerate() {
        let weights = weights.as_chunks().0;
        if 8 * block < whole
            && weights.first_chunk().is_some_and(|weights| DOTS || fits_pairs(weights))
        {
            continue;
        }
        let block = Block::<K>::new(op, input, 8 * block, weights);
        for (y, row) in (op.first_row..).zip(output.chunks_exact_mut(row_len)) {
            block.row(y, multiplier, row);
        }
    }
}

/// Bytes of output that are computed of a group before the next rows are.
const NEAR: usize = 16 << 10;

/// The rows of outputs of a plain 3x3 whose columns of padding the assembly knows.
fn line(geometry: &Geometry) -> Option<Line> {
    let (input, output, window) = (geometry.input(), geometry.output(), geometry.window());
    let (stride, left) = (window.stride_width, window.pad_left);
    let columns = output.width.checked_sub(1)?.checked_mul(stride)?.checked_add(3)?;
    let right = columns.checked_sub(left)?.saturating_sub(input.width);
    let is_plain = window.is_plain_3x3() && input.channels == output.channels;
    let fits = is_plain && stride <= 2 && left <= 1 && right <= 1;
    fits.then_some(Line {
        outputs: output.width,
        stride,
        left: left == 1,
        right: right == 1,
        channels: input.channels,
    })
}

/// All steps of a group of channels.
#[inline]
#[target_feature(enable = "neon")]
fn group<const DOTS: bool, const K: u8>(
    op: &Operands<'_>,
    channel: usize,
    len: usize,
    steps: &mut Steps<'_>,
) {
    for block in (0..len).step_by(8) {
        let weights = after(op.filter.data(), 9 * (channel + block)).as_chunks().0;
        let Some(weights) = weights.first_chunk() else { return };
        let taps = if DOTS {
            Taps::dots(weights)
        } else if fits(weights, &[[0, 3, 6], [1, 4, 7], [2, 5, 8]]) {
            Taps::Threes(weights)
        } else {
            Taps::Pairs(weights)
        };
        let finish = Finish::<2>::new::<K>(&op.epilogue, channel + block);
        let done = steps.run::<K>(&taps, &finish, block);
        debug_assert!(done.is_some());
    }
}

/// Eight channels.
#[derive(Clone, Copy)]
struct Block<'a, const K: u8> {
    op: &'a Operands<'a>,
    input: Rows<'a>,
    channel: usize,
    weights: &'a [[i8; 8]],
    bias: [int32x4_t; 2],
    scale: [Scale<K>; 2],
    narrow: Narrow,
}

impl<'a, const K: u8> Block<'a, K> {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(op: &'a Operands<'a>, input: Rows<'a>, channel: usize, weights: &'a [[i8; 8]]) -> Self {
        let Operands { epilogue, .. } = op;
        let bias = [epilogue.bias_neon(channel), epilogue.bias_neon(channel + 4)];
        let requantize = &epilogue.requantize;
        let scale = [Scale::load(requantize, channel), Scale::load(requantize, channel + 4)];
        Self { op, input, channel, weights, bias, scale, narrow: epilogue.narrow_neon() }
    }

    /// Any window, any number of outputs a channel, incomplete blocks.
    #[inline(never)] // Not often, and apart so that the rest is inlined.
    #[target_feature(enable = "neon")]
    fn row(&self, y: usize, multiplier: usize, output: &mut [i8]) {
        let channels = self.op.geometry.output().channels.max(1);
        for (x, output) in output.chunks_exact_mut(channels).enumerate() {
            let [mut low, mut high] = self.bias;
            for (tap, weights) in self.weights.iter().enumerate() {
                let products = vmull_s8(self.input([y, x], tap, multiplier), load_8(weights));
                low = vaddw_s16(low, vget_low_s16(products));
                high = vaddw_high_s16(high, products);
            }
            let sums = [self.scale[0].apply(low), self.scale[1].apply(high)];
            let output = after_mut(output, self.channel);
            let len = output.len().min(8);
            if let Some(output) = output.get_mut(..len) {
                store_up_to_8(output, self.narrow.apply_8(sums));
            }
        }
    }

    /// What the eight channels read at a tap of output column `x`; anything beyond the last
    /// channel, where the output does not count.
    #[inline]
    #[target_feature(enable = "neon")]
    fn input(&self, [y, x]: [usize; 2], tap: usize, multiplier: usize) -> int8x8_t {
        let (op, kernel_width) = (self.op, self.op.geometry.window().kernel_width.max(1));
        let (ky, kx) = (tap / kernel_width, tap % kernel_width);
        match op.geometry.tap(&self.input, y, x, ky, kx) {
            None => vdup_n_s8(op.pad_value),
            Some(pixel) if multiplier == 1 => load_up_to_8(after(pixel, self.channel)),
            Some(pixel) => {
                let mut inputs = [0; 8];
                for (channel, input) in (self.channel..).zip(&mut inputs) {
                    let from = channel.checked_div(multiplier).unwrap_or(0);
                    *input = pixel.get(from).copied().unwrap_or(0);
                }
                load_8(&inputs)
            }
        }
    }
}

/// Whether the products of each group of taps, whatever the inputs, add up in an int16.
#[inline]
#[target_feature(enable = "neon")]
fn fits<const N: usize>(weights: &[[i8; 8]; 9], groups: &[[usize; N]]) -> bool {
    groups.iter().all(|group| {
        let sum = group.iter().fold(vdupq_n_u16(0), |sum, &tap| {
            vaddw_u8(sum, vreinterpret_u8_s8(vabs_s8(load_8(&weights[tap]))))
        });
        // Times -128 that is -32640.
        vmaxvq_u16(sum) <= 255
    })
}

/// Whether two products always do: unless both weights are -128.
#[inline]
#[target_feature(enable = "neon")]
fn fits_pairs(weights: &[[i8; 8]; 9]) -> bool {
    fits(weights, &[[0, 3], [1, 4], [2, 5], [6, 7]])
}
