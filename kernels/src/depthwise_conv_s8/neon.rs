//! AArch64: eight channels by a few outputs of a row, the products of two taps in an int16.

use super::{Args, NEON_LAYOUT, Operands};
use crate::isa::aarch64::{Strided, StridedMut, load_8, load_up_to_8, store_up_to_8};
use crate::requantize::neon::{Narrow, Scale, with_scale};
use crate::{Rows, after, after_mut};
use core::arch::aarch64::*;
use core::ops::Range;

/// Outputs of a row that are computed at once. Registers of the 3x3 rows: 8 sums, 9 weights, 3
/// inputs of a column and one of the column before, 2 products, of 32.
const TILE: usize = 4;

/// Same bits as scalar, which also takes over when the layout is another's.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    if args.0.filter.layout() != NEON_LAYOUT {
        return super::scalar::run(args);
    }
    let Some(input) = args.0.input else {
        return super::by_rows(args, |args| run(args));
    };
    let op = &mut args.0;
    let output = core::mem::take(&mut op.output);
    with_scale!(op.epilogue.requantize, K => blocks::<K>(op, input, output));
}

#[target_feature(enable = "neon")]
fn blocks<const K: u8>(op: &Operands<'_>, input: Rows<'_>, output: &mut [i8]) {
    let (shape, window) = (op.geometry.output(), op.geometry.window());
    let plain = window.dilation_height == 1 && window.dilation_width == 1;
    let (taps, multiplier) = (window.taps(), shape.channels / op.geometry.input().channels.max(1));
    let is_3x3 = plain && window.kernel_height == 3 && window.kernel_width == 3 && multiplier == 1;
    // Some rows for each block of channels, as many as the nearest cache holds.
    let row_len = shape.row_len().max(1);
    let rows = (NEAR / row_len).max(1);
    let mut first_row = op.first_row;
    for strip in output.chunks_mut(rows * row_len) {
        for (block, weights) in op.filter.data().chunks_exact(8 * taps.max(1)).enumerate() {
            let block = Block::<K>::new(op, input, 8 * block, weights.as_chunks().0);
            let whole = block.channel + 8 <= shape.channels;
            for (y, row) in (first_row..).zip(strip.chunks_exact_mut(row_len)) {
                match window.stride_width {
                    1 if is_3x3 && whole => block.row_3x3::<1, { TILE + 2 }>(y, row),
                    2 if is_3x3 && whole => block.row_3x3::<2, { 2 * TILE + 1 }>(y, row),
                    _ => block.row(y, multiplier, row),
                }
            }
        }
        first_row += rows;
    }
}

/// Bytes of output that are computed for a block of channels before the next block is.
const NEAR: usize = 8 << 10;

/// Eight channels.
#[derive(Clone, Copy)]
struct Block<'a, const K: u8> {
    op: &'a Operands<'a>,
    input: Rows<'a>,
    channel: usize,
    weights: &'a [[i8; 8]],
    bias: Sums,
    scale: [Scale<K>; 2],
    narrow: Narrow,
}

impl<'a, const K: u8> Block<'a, K> {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(op: &'a Operands<'a>, input: Rows<'a>, channel: usize, weights: &'a [[i8; 8]]) -> Self {
        let Operands { epilogue, .. } = op;
        let bias = Sums([epilogue.bias_neon(channel), epilogue.bias_neon(channel + 4)]);
        let requantize = &epilogue.requantize;
        let scale = [Scale::load(requantize, channel), Scale::load(requantize, channel + 4)];
        Self { op, input, channel, weights, bias, scale, narrow: epilogue.narrow_neon() }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn scaled(&self, Sums([low, high]): Sums) -> [int32x4_t; 2] {
        [self.scale[0].apply(low), self.scale[1].apply(high)]
    }

    /// 3x3, whole blocks, stride `STRIDE`: tiles where all columns lie inside the input, one
    /// output after the other at the edges.
    #[inline]
    #[target_feature(enable = "neon")]
    fn row_3x3<const STRIDE: usize, const COLUMNS: usize>(&self, y: usize, output: &mut [i8]) {
        let (op, geometry) = (self.op, self.op.geometry);
        let top = geometry.first_row(y);
        let rows = [0, 1, 2].map(|tap| self.input.row(top + tap));
        let Some(stand_in) = rows[0].or(rows[1]).or(rows[2]) else { return };
        let pad = vdup_n_s8(op.pad_value);
        let (mut start, mut weights) = (self.bias, [vdup_n_s8(0); 9]);
        for (tap, (to, from)) in weights.iter_mut().zip(self.weights).enumerate() {
            if rows[tap / 3].is_some() {
                *to = load_8(from);
            } else {
                // A row in the padding adds the same to every output: to the bias then, and the
                // row counts as another one with weights of zero.
                start.add(vmull_s8(pad, load_8(from)));
            }
        }

        // One check each here, one comparison a tile in the loop.
        let (channels, width) = (geometry.input().channels, geometry.output().width);
        let source = |row: Option<&'a [i8]>| {
            let row = after(row.unwrap_or(stand_in), self.channel);
            Strided::new(row, channels, geometry.input().width)
        };
        let [row0, row1, row2] = rows;
        let sources = (source(row0), source(row1), source(row2));
        let (Some(row0), Some(row1), Some(row2)) = sources else { return };
        let output = after_mut(output, self.channel);
        let Some(mut output) = StridedMut::<8>::new(output, channels, width) else { return };

        let mut inside = inside(op, STRIDE);
        if inside.len() < TILE {
            inside = width..width;
        }
        let mut x = inside.start;
        // A tile for three outputs overlaps the one before it; fewer are cheaper one by one.
        while inside.end - x >= TILE - 1 {
            x = x.min(inside.end - TILE);
            let first = x * STRIDE - geometry.window().pad_left;
            let Some(upper) = row0.load::<COLUMNS>(first) else { return };
            let Some(middle) = row1.load::<COLUMNS>(first) else { return };
            let Some(lower) = row2.load::<COLUMNS>(first) else { return };
            let rows = [&upper, &middle, &lower];
            let sums = [
                start.plus_3x3(rows, 0, &weights),
                start.plus_3x3(rows, STRIDE, &weights),
                start.plus_3x3(rows, 2 * STRIDE, &weights),
                start.plus_3x3(rows, 3 * STRIDE, &weights),
            ];
            for (pair, sums) in sums.as_chunks::<2>().0.iter().enumerate() {
                let [a, b] = self.scaled(sums[0]);
                let [c, d] = self.scaled(sums[1]);
                output.store::<2>(x + 2 * pair, self.narrow.apply([a, b, c, d]));
            }
            x += TILE;
        }
        for x in (0..inside.start).chain(x..width) {
            let first = geometry.first_column(x);
            let mut rows = [[pad; 3]; 3];
            for kx in 0..3_usize {
                // Beyond any column, so that nothing is loaded, when it is left of the input.
                let from = usize::try_from(first + kx.cast_signed()).unwrap_or(usize::MAX);
                for (to, row) in rows.iter_mut().zip([&row0, &row1, &row2]) {
                    if let Some([value]) = row.load(from) {
                        to[kx] = value;
                    }
                }
            }
            let sum = start.plus_3x3(rows.each_ref(), 0, &weights);
            let bytes = self.narrow.apply_8(self.scaled(sum));
            output.store::<1>(x, vcombine_s8(bytes, bytes));
        }
    }

    /// Any window, any number of outputs a channel, incomplete blocks.
    #[target_feature(enable = "neon")]
    fn row(&self, y: usize, multiplier: usize, output: &mut [i8]) {
        let channels = self.op.geometry.output().channels.max(1);
        for (x, output) in output.chunks_exact_mut(channels).enumerate() {
            let mut sums = self.bias;
            for (pair, weights) in self.weights.chunks(2).enumerate() {
                let Some(first) = weights.first() else { break };
                let mut products =
                    vmull_s8(self.input([y, x], 2 * pair, multiplier), load_8(first));
                if let Some(second) = weights.get(1) {
                    let input = self.input([y, x], 2 * pair + 1, multiplier);
                    products = vmlal_s8(products, input, load_8(second));
                }
                sums.add(products);
            }
            let output = after_mut(output, self.channel);
            let len = output.len().min(8);
            if let Some(output) = output.get_mut(..len) {
                store_up_to_8(output, self.narrow.apply_8(self.scaled(sums)));
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

/// Output columns whose three input columns all lie inside the input.
fn inside(op: &Operands<'_>, stride: usize) -> Range<usize> {
    let geometry = op.geometry;
    let start = geometry.window().pad_left.div_ceil(stride);
    // The last column that starts early enough, and one more.
    let room = geometry.input().width + geometry.window().pad_left;
    let end = if room < 3 { 0 } else { (room - 3) / stride + 1 };
    start..end.min(geometry.output().width)
}

/// The sums of eight channels.
#[derive(Clone, Copy)]
struct Sums([int32x4_t; 2]);

impl Sums {
    #[inline]
    #[target_feature(enable = "neon")]
    fn add(&mut self, products: int16x8_t) {
        let [low, high] = &mut self.0;
        *low = vaddw_s16(*low, vget_low_s16(products));
        *high = vaddw_high_s16(*high, products);
    }

    /// Nine taps from column `at` on, two at a time: the upper two of each column, then the lower
    /// ones. Written out, since arrays that a loop indexes lie in memory.
    #[inline]
    #[target_feature(enable = "neon")]
    fn plus_3x3<const COLUMNS: usize>(
        mut self,
        [upper, middle, lower]: [&[int8x8_t; COLUMNS]; 3],
        at: usize,
        weights: &[int8x8_t; 9],
    ) -> Self {
        self.add(vmlal_s8(vmull_s8(upper[at], weights[0]), middle[at], weights[3]));
        self.add(vmlal_s8(vmull_s8(upper[at + 1], weights[1]), middle[at + 1], weights[4]));
        self.add(vmlal_s8(vmull_s8(upper[at + 2], weights[2]), middle[at + 2], weights[5]));
        self.add(vmlal_s8(vmull_s8(lower[at], weights[6]), lower[at + 1], weights[7]));
        self.add(vmull_s8(lower[at + 2], weights[8]));
        self
    }
}
