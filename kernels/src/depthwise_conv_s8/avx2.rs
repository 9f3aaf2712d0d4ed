//! AVX2: eight channels by four outputs of a row, two taps in one `vpmaddwd`.

use super::{Args, EIGHTS, Operands};
use crate::isa::x86_64::{Strided, StridedMut, load_8, load_up_to_8, store_up_to_8};
use crate::requantize::avx2::{Factors, Narrow, float, rescale};
use crate::{Rows, after, after_mut};
use core::arch::x86_64::*;
use core::ops::Range;

/// Outputs of a row that are computed at once. Registers of the 3x3 rows: 4 accumulators, 6
/// weights, 2 inputs, 2 products, of 16.
const TILE: usize = 4;

/// Same bits as scalar, which also takes over when the layout is another's.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    if args.0.filter.layout() != EIGHTS {
        return super::scalar::run(args);
    }
    let Some(input) = args.0.input else {
        return super::by_rows(args, |args| run(args));
    };
    let op = &mut args.0;
    let (shape, window) = (op.geometry.output(), op.geometry.window());
    let (taps, multiplier) = (window.taps(), shape.channels / op.geometry.input().channels.max(1));
    let is_3x3 = window.is_plain_3x3() && multiplier == 1;
    // Some rows for each block of channels, as many as the nearest cache holds.
    let row_len = shape.row_len().max(1);
    let rows = (NEAR / row_len).max(1);
    let output = core::mem::take(&mut op.output);
    let mut first_row = op.first_row;
    for strip in output.chunks_mut(rows * row_len) {
        for (block, weights) in op.filter.data().chunks_exact(8 * taps.max(1)).enumerate() {
            let block = Block::new(op, input, 8 * block, weights.as_chunks().0);
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
struct Block<'a> {
    op: &'a Operands<'a>,
    input: Rows<'a>,
    channel: usize,
    weights: &'a [[i8; 8]],
    bias: __m256i,
    factors: Factors,
    narrow: Narrow,
    /// The weights of a 3x3 window.
    columns: [ColumnWeights; 3],
}

impl<'a> Block<'a> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(op: &'a Operands<'a>, input: Rows<'a>, channel: usize, weights: &'a [[i8; 8]]) -> Self {
        Self {
            op,
            input,
            channel,
            weights,
            bias: op.epilogue.bias_avx2(channel),
            factors: Factors::load(&op.epilogue.requantize, channel),
            narrow: op.epilogue.narrow_avx2(),
            columns: column_weights(weights.first_chunk().unwrap_or(&[[0; 8]; 9])),
        }
    }

    /// 3x3, whole blocks, stride `S`: tiles where all columns lie inside the input, one output
    /// after the other at the edges.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row_3x3<const S: usize, const COLUMNS: usize>(&self, y: usize, output: &mut [i8]) {
        let (op, geometry) = (self.op, self.op.geometry);
        let top = geometry.first_row(y);
        let mut rows = [0, 1, 2].map(|tap| self.input.row(top + tap));
        let (mut start, mut weights) = (self.bias, self.columns);
        let pad = Column::pad(op.pad_value);
        if rows.contains(&None) {
            // A row in the padding adds the same to every output: to the bias then, and the row
            // counts as another one with weights of zero.
            let [row0, row1, row2] = rows;
            let Some(stand_in) = row0.or(row1).or(row2) else { return };
            let (mut inside, mut outside) = ([[0; 8]; 9], [[0; 8]; 9]);
            for (tap, weights) in self.weights.iter().enumerate().take(9) {
                if rows[tap / 3].is_some() {
                    inside[tap] = *weights;
                } else {
                    outside[tap] = *weights;
                }
            }
            weights = column_weights(&inside);
            for outside in &column_weights(&outside) {
                start = pad.add_to(start, outside);
            }
            for row in &mut rows {
                *row = row.or(Some(stand_in));
            }
        }
        let [Some(row0), Some(row1), Some(row2)] = rows else { return };

        // One check each here, one comparison a tile in the loop.
        let (channels, width) = (geometry.input().channels, geometry.output().width);
        let source = |row: &'a [i8]| {
            Strided::new(after(row, self.channel), channels, geometry.input().width)
        };
        let sources = (source(row0), source(row1), source(row2));
        let (Some(row0), Some(row1), Some(row2)) = sources else { return };
        let output = after_mut(output, self.channel);
        let Some(mut output) = StridedMut::new(output, channels, width) else { return };

        let mut inside = self.inside(S);
        if inside.len() < TILE {
            inside = width..width;
        }
        let mut x = inside.start;
        // A tile for three outputs overlaps the one before it; fewer are cheaper one by one.
        while inside.end - x >= TILE - 1 {
            x = x.min(inside.end - TILE);
            let first = x * S - geometry.window().pad_left;
            let Some(upper) = row0.load::<COLUMNS>(first) else { return };
            let Some(middle) = row1.load::<COLUMNS>(first) else { return };
            let Some(lower) = row2.load::<COLUMNS>(first) else { return };
            let mut sums = [start; TILE];
            for (output, sum) in sums.iter_mut().enumerate() {
                for (kx, weights) in weights.iter().enumerate() {
                    let column = output * S + kx;
                    let column = Column::new(upper[column], middle[column], lower[column]);
                    *sum = column.add_to(*sum, weights);
                }
            }
            rescale!(&self.factors, sums);
            output.store_4(x, self.narrow.apply(sums));
            x += TILE;
        }
        for x in (0..inside.start).chain(x..width) {
            let mut sum = [start];
            for (column, weights) in (geometry.first_column(x)..).zip(&weights) {
                // Beyond any column, so that nothing is loaded, when it is left of the input.
                let from = usize::try_from(column).unwrap_or(usize::MAX);
                let column = match (row0.load(from), row1.load(from), row2.load(from)) {
                    (Some([upper]), Some([middle]), Some([lower])) => {
                        Column::new(upper, middle, lower)
                    }
                    _ => pad,
                };
                sum[0] = column.add_to(sum[0], weights);
            }
            rescale!(&self.factors, sum);
            output.store(x, self.narrow.apply_8(sum[0]));
        }
    }

    /// Output columns whose three input columns all lie inside the input.
    fn inside(&self, stride: usize) -> Range<usize> {
        let geometry = self.op.geometry;
        let start = geometry.window().pad_left.div_ceil(stride);
        // The last column that starts early enough, and one more.
        let room = geometry.input().width + geometry.window().pad_left;
        let end = if room < 3 { 0 } else { (room - 3) / stride + 1 };
        start..end.min(geometry.output().width)
    }

    /// Any window, any number of outputs a channel, incomplete blocks.
    #[target_feature(enable = "avx2")]
    fn row(&self, y: usize, multiplier: usize, output: &mut [i8]) {
        let op = self.op;
        let mut outputs = output.chunks_exact_mut(op.geometry.output().channels.max(1));
        for tile in (0..op.geometry.output().width).step_by(TILE) {
            let mut sums = [self.bias; TILE];
            for (pair, weights) in self.weights.chunks(2).enumerate() {
                let second = weights.get(1).unwrap_or(&[0; 8]);
                let Some(first) = weights.first() else { break };
                let weights = interleave(load_8(first), load_8(second));
                for (x, sum) in (tile..).zip(&mut sums) {
                    let first = self.input([y, x], 2 * pair, multiplier);
                    let second = self.input([y, x], 2 * pair + 1, multiplier);
                    let inputs = interleave(first, second);
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(inputs, weights));
                }
            }
            rescale!(&self.factors, sums);
            for sum in sums {
                if let Some(output) = outputs.next() {
                    let output = after_mut(output, self.channel);
                    let len = output.len().min(8);
                    if let Some(output) = output.get_mut(..len) {
                        store_up_to_8(output, self.narrow.apply_8(sum));
                    }
                }
            }
        }
    }

    /// What the eight channels read at a tap of output column `x`; anything beyond the last tap
    /// or column, where weight or output does not count.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn input(&self, [y, x]: [usize; 2], tap: usize, multiplier: usize) -> __m128i {
        let (op, kernel_width) = (self.op, self.op.geometry.window().kernel_width.max(1));
        let (ky, kx) = (tap / kernel_width, tap % kernel_width);
        match op.geometry.tap(&self.input, y, x, ky, kx) {
            None => _mm_set1_epi8(op.pad_value),
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

/// Pairs of int16 from eight bytes each.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave(first: __m128i, second: __m128i) -> __m256i {
    _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second))
}

/// A column of three inputs: (upper, middle) and (lower, its sign).
#[derive(Clone, Copy)]
struct Column {
    upper: __m256i,
    lower: __m256i,
}

/// The weights of a column: (upper, middle) and (lower, 0).
#[derive(Clone, Copy)]
struct ColumnWeights {
    upper: __m256i,
    lower: __m256i,
}

#[inline]
#[target_feature(enable = "avx2")]
fn column_weights(weights: &[[i8; 8]; 9]) -> [ColumnWeights; 3] {
    let zero = _mm_setzero_si128();
    let mut columns =
        [ColumnWeights { upper: _mm256_setzero_si256(), lower: _mm256_setzero_si256() }; 3];
    for (kx, column) in columns.iter_mut().enumerate() {
        column.upper = interleave(load_8(&weights[kx]), load_8(&weights[3 + kx]));
        column.lower = interleave(load_8(&weights[6 + kx]), zero);
    }
    columns
}

impl Column {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pad(value: i8) -> Self {
        Self {
            upper: _mm256_set1_epi16(i16::from(value)),
            lower: _mm256_set1_epi32(i32::from(value)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(upper: __m128i, middle: __m128i, lower: __m128i) -> Self {
        Self {
            upper: interleave(upper, middle),
            // One instruction from memory; the sign meets a weight of zero.
            lower: _mm256_cvtepi8_epi32(lower),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add_to(self, sum: __m256i, weights: &ColumnWeights) -> __m256i {
        let sum = _mm256_add_epi32(sum, _mm256_madd_epi16(self.upper, weights.upper));
        _mm256_add_epi32(sum, _mm256_madd_epi16(self.lower, weights.lower))
    }
}
