//! AArch64: eight channels of two rows of outputs at a time, or of two neighbours in a row; the
//! frame of all instruction sets and the products of Armv8.0.

use super::neon_dotprod::dots;
use super::{Args, EIGHTS, Operands};
use crate::isa::aarch64::{Columns, StridedMut, load_8, load_up_to_8, store_up_to_8};
use crate::requantize::neon::{Narrow, Scale, with_scale};
use crate::{Rows, after, after_mut};
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

/// How a 3x3 window of eight channels is multiplied.
#[derive(Clone, Copy)]
pub(super) struct Taps<F, A> {
    /// From eight channels of a column of four rows, or of three and the last one again, to
    /// whatever `add` takes.
    pub(super) column: F,
    /// Adds three columns from a row, 0 or 1, on.
    pub(super) add: A,
}

/// [`Taps::column`].
pub(super) trait Column<C>: Fn([int8x8_t; 4]) -> C + Copy {}
impl<C, F: Fn([int8x8_t; 4]) -> C + Copy> Column<C> for F {}

/// [`Taps::add`].
pub(super) trait Add<C>: Fn(Sums, [C; 3], usize) -> Sums + Copy {}
impl<C, F: Fn(Sums, [C; 3], usize) -> Sums + Copy> Add<C> for F {}

#[inline]
#[target_feature(enable = "neon")]
fn rows<const DOTS: bool>(args: &mut Args<'_>) {
    let op = &mut args.0;
    let Some(input) = op.input else { return };
    let output = core::mem::take(&mut op.output);
    with_scale!(op.epilogue.requantize, K => blocks::<DOTS, K>(op, input, output));
}

#[inline]
#[target_feature(enable = "neon")]
fn blocks<const DOTS: bool, const K: u8>(op: &Operands<'_>, input: Rows<'_>, output: &mut [i8]) {
    let (shape, window) = (op.geometry.output(), op.geometry.window());
    let (taps, multiplier) = (window.taps(), shape.channels / op.geometry.input().channels.max(1));
    let is_3x3 = window.is_plain_3x3() && window.stride_width <= 2 && multiplier == 1;
    // Rows of output that are computed together: those that share two rows of the input.
    let step = if window.stride_height == 1 && window.stride_width == 1 { 2 } else { 1 };
    // Some of those for each block of channels, as many as the nearest cache holds.
    let row_len = shape.row_len().max(1);
    let steps = (NEAR / (step * row_len)).clamp(1, STEPS);
    let mut first_row = op.first_row;
    for strip in output.chunks_mut(steps * step * row_len) {
        let mut sources = [const { None }; STEPS];
        if is_3x3 {
            for (index, source) in sources.iter_mut().enumerate().take(steps) {
                *source = Source::new(op, &input, first_row + step * index);
            }
        }
        for (block, weights) in op.filter.data().chunks_exact(8 * taps.max(1)).enumerate() {
            let block = Block::<K>::new(op, input, 8 * block, weights.as_chunks().0);
            if is_3x3 && block.channel + 8 <= shape.channels {
                let work = Work { sources: &sources, step, row_len, first_row };
                block.strip::<DOTS>(&work, strip);
            } else {
                for (y, row) in (first_row..).zip(strip.chunks_exact_mut(row_len)) {
                    block.row(y, multiplier, row);
                }
            }
        }
        first_row += steps * step;
    }
}

/// Steps down the output that a block of channels makes before the next block.
const STEPS: usize = 8;

/// What all blocks of channels share.
struct Work<'a> {
    /// Of each step.
    sources: &'a [Option<Source<'a>>; STEPS],
    /// Rows of output in a step, 1 or 2.
    step: usize,
    row_len: usize,
    first_row: usize,
}

/// Bytes of output that are computed for a block of channels before the next block is.
const NEAR: usize = 8 << 10;

/// Eight channels.
#[derive(Clone, Copy)]
pub(super) struct Block<'a, const K: u8> {
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

    /// The outputs of two times eight sums.
    #[inline]
    #[target_feature(enable = "neon")]
    fn finish(&self, [first, second]: [Sums; 2]) -> int8x16_t {
        let ([a, b], [c, d], [low, high]) = (first.0, second.0, self.scale);
        self.narrow.apply([low.apply(a), high.apply(b), low.apply(c), high.apply(d)])
    }

    /// The weights of a 3x3 window.
    #[inline]
    #[target_feature(enable = "neon")]
    fn weights(&self) -> [int8x8_t; 9] {
        let mut weights = [vdup_n_s8(0); 9];
        for (to, from) in weights.iter_mut().zip(self.weights) {
            *to = load_8(from);
        }
        weights
    }

    /// 3x3, all rows of `strip`.
    #[inline]
    #[target_feature(enable = "neon")]
    fn strip<const DOTS: bool>(&self, work: &Work<'a>, strip: &mut [i8]) {
        let weights = self.weights();
        if DOTS {
            self.rows(dots(weights), work, strip);
        } else if fits(&weights, &[[0, 3, 6], [1, 4, 7], [2, 5, 8]]) {
            self.rows(threes(weights), work, strip);
        } else if fits(&weights, &[[0, 3], [1, 4], [2, 5], [6, 7]]) {
            self.rows(pairs(weights), work, strip);
        } else {
            self.rows(singles(weights), work, strip);
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn rows<C: Copy>(
        &self,
        taps: Taps<impl Column<C>, impl Add<C>>,
        work: &Work<'a>,
        strip: &mut [i8],
    ) {
        let Work { sources, step, row_len, first_row } = *work;
        let steps = strip.chunks_mut((step * row_len).max(1));
        for (index, (rows, source)) in steps.zip(sources).enumerate() {
            let (row, next) = rows.split_at_mut(row_len.min(rows.len()));
            let Some(source) = source else {
                self.row(first_row + step * index, 1, row);
                if !next.is_empty() {
                    self.row(first_row + step * index + 1, 1, next);
                }
                continue;
            };
            let stride = self.op.geometry.window().stride_width;
            match (next.is_empty(), stride, source.is_inside) {
                (false, _, true) => self.down::<C, false>(taps, source, [row, next]),
                (false, _, false) => self.down::<C, true>(taps, source, [row, next]),
                (_, 2, true) => self.across::<C, 2, false>(taps, source, row),
                (_, 2, false) => self.across::<C, 2, true>(taps, source, row),
                _ => self.across::<C, 1, true>(taps, source, row),
            }
        }
    }

    /// Two rows of outputs, column by column.
    #[inline]
    #[target_feature(enable = "neon")]
    fn down<C: Copy, const EDGE: bool>(
        &self,
        taps: Taps<impl Column<C>, impl Add<C>>,
        source: &Source<'a>,
        [row, next]: [&mut [i8]; 2],
    ) {
        let shape = self.op.geometry.output();
        let row = StridedMut::<8>::new(after_mut(row, self.channel), shape.channels, shape.width);
        let next = StridedMut::<8>::new(after_mut(next, self.channel), shape.channels, shape.width);
        let (Some(mut row), Some(mut next)) = (row, next) else { return };
        let output = |a, b, c| {
            let first = (taps.add)(self.bias, [a, b, c], 0);
            self.finish([first, (taps.add)(self.bias, [a, b, c], 1)])
        };
        let Some(source) = source.columns::<4>(self.channel) else { return };
        let first = self.op.geometry.first_column(0);
        let mut a = source.column::<C, EDGE>(taps.column, first);
        let mut b = source.column::<C, EDGE>(taps.column, first.wrapping_add(1));
        let mut x = 0;
        while x < shape.width {
            let column = first.wrapping_add(2).wrapping_add(x.cast_signed());
            let inside = usize::try_from(column).ok().and_then(|c| source.columns.run::<3>(c));
            let room = (row.run::<3>(x), next.run::<3>(x));
            if let (Some(columns), (Some(mut row), Some(mut next))) = (inside, room) {
                // Three at a time, so that no column has to move to another register.
                let c = source.blend::<C, EDGE>(taps.column, columns.get::<0>());
                let bytes = output(a, b, c);
                row.set_low::<0>(bytes);
                next.set_high::<0>(bytes);
                a = source.blend::<C, EDGE>(taps.column, columns.get::<1>());
                let bytes = output(b, c, a);
                row.set_low::<1>(bytes);
                next.set_high::<1>(bytes);
                b = source.blend::<C, EDGE>(taps.column, columns.get::<2>());
                let bytes = output(c, a, b);
                row.set_low::<2>(bytes);
                next.set_high::<2>(bytes);
                x += 3;
                continue;
            }
            let c = source.column::<C, EDGE>(taps.column, column);
            let bytes = output(a, b, c);
            let (Some(mut row), Some(mut next)) = (row.run::<1>(x), next.run::<1>(x)) else {
                return;
            };
            row.set_low::<0>(bytes);
            next.set_high::<0>(bytes);
            (a, b) = (b, c);
            x += 1;
        }
    }

    /// A row of outputs, two at a time, stride `STRIDE`.
    #[inline]
    #[target_feature(enable = "neon")]
    fn across<C: Copy, const STRIDE: isize, const EDGE: bool>(
        &self,
        taps: Taps<impl Column<C>, impl Add<C>>,
        source: &Source<'a>,
        row: &mut [i8],
    ) {
        let shape = self.op.geometry.output();
        let row = StridedMut::<8>::new(after_mut(row, self.channel), shape.channels, shape.width);
        let Some(mut row) = row else { return };
        let Some(source) = source.columns::<3>(self.channel) else { return };
        let first = self.op.geometry.first_column(0);
        let mut a = source.column::<C, EDGE>(taps.column, first);
        let mut b = source.column::<C, EDGE>(taps.column, first.wrapping_add(1));
        let mut x = 0;
        while x < shape.width {
            // Column `a`; the windows are `a`, `b`, `c` and either `b`, `c`, `d` or `c`, `d`, `e`.
            let base = first.wrapping_add(x.cast_signed().wrapping_mul(STRIDE));
            let at = |index| source.column::<C, EDGE>(taps.column, base.wrapping_add(index));
            let next = if STRIDE == 2 { usize::try_from(base.wrapping_add(1)).ok() } else { None };
            let (c, d, e);
            if let Some(columns) = next.and_then(|next| source.columns.run::<4>(next)) {
                b = source.blend::<C, EDGE>(taps.column, columns.get::<0>());
                c = source.blend::<C, EDGE>(taps.column, columns.get::<1>());
                d = source.blend::<C, EDGE>(taps.column, columns.get::<2>());
                e = source.blend::<C, EDGE>(taps.column, columns.get::<3>());
            } else {
                b = if STRIDE == 2 { at(1) } else { b };
                (c, d) = (at(2), at(3));
                e = if STRIDE == 2 { at(4) } else { d };
            }
            let second = if STRIDE == 2 { [c, d, e] } else { [b, c, d] };
            let sums = [(taps.add)(self.bias, [a, b, c], 0), (taps.add)(self.bias, second, 0)];
            let bytes = self.finish(sums);
            if let Some(mut row) = row.run::<2>(x) {
                row.set_low::<0>(bytes);
                row.set_high::<1>(bytes);
            } else if let Some(mut row) = row.run::<1>(x) {
                row.set_low::<0>(bytes);
            }
            (a, b) = if STRIDE == 2 { (e, b) } else { (c, d) };
            x += 2;
        }
    }

    /// Any window, any number of outputs a channel, incomplete blocks.
    #[inline(never)] // Not often, and apart so that the rest is inlined.
    #[target_feature(enable = "neon")]
    fn row(&self, y: usize, multiplier: usize, output: &mut [i8]) {
        let channels = self.op.geometry.output().channels.max(1);
        for (x, output) in output.chunks_exact_mut(channels).enumerate() {
            let mut sums = self.bias;
            for (tap, weights) in self.weights.iter().enumerate() {
                sums.add(vmull_s8(self.input([y, x], tap, multiplier), load_8(weights)));
            }
            let output = after_mut(output, self.channel);
            let len = output.len().min(8);
            if let Some(output) = output.get_mut(..len) {
                store_up_to_8(output, vget_low_s8(self.finish([sums; 2])));
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

/// Input rows under an output row and the next one.
#[derive(Clone, Copy)]
struct Source<'a> {
    rows: Columns<'a, 4>,
    /// Whether all rows lie inside the input; for ones that do not stand others.
    is_inside: bool,
    /// All bits of the rows that do.
    inside: [uint8x8_t; 4],
    pad: int8x8_t,
}

impl<'a> Source<'a> {
    /// `None` when no row lies inside the input.
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(op: &Operands<'a>, input: &Rows<'a>, y: usize) -> Option<Self> {
        let (top, shape) = (op.geometry.first_row(y), op.geometry.input());
        let rows = [0, 1, 2, 3].map(|tap| input.row(top.wrapping_add(tap)));
        let stand_in = rows.iter().copied().flatten().next()?;
        let inside = rows.map(|row| row.is_some());
        // The fourth row belongs to a second row of outputs, if there is one.
        let is_single = op.geometry.window().stride_height != 1;
        Some(Self {
            rows: Columns::new(
                rows.map(|row| row.unwrap_or(stand_in)),
                shape.channels,
                shape.width,
            )?,
            is_inside: inside[0] && inside[1] && inside[2] && (inside[3] || is_single),
            inside: inside.map(|inside| vdup_n_u8(if inside { 255 } else { 0 })),
            pad: vdup_n_s8(op.pad_value),
        })
    }

    /// Eight channels from `channel` on of the first `R` rows.
    #[inline]
    #[target_feature(enable = "neon")]
    fn columns<const R: usize>(&self, channel: usize) -> Option<Eight<'a, R>> {
        let mut inside = [vdup_n_u8(0); R];
        for (to, from) in inside.iter_mut().zip(self.inside) {
            *to = from;
        }
        Some(Eight { columns: self.rows.onwards::<R>(channel)?, inside, pad: self.pad })
    }
}

/// Eight channels of some rows.
struct Eight<'a, const R: usize> {
    columns: Columns<'a, R>,
    inside: [uint8x8_t; R],
    pad: int8x8_t,
}

impl<const R: usize> Eight<'_, R> {
    /// Column `index`, which may lie in the padding.
    #[inline]
    #[target_feature(enable = "neon")]
    fn column<C, const EDGE: bool>(&self, column: impl Column<C>, index: isize) -> C {
        match usize::try_from(index).ok().and_then(|index| self.columns.run::<1>(index)) {
            Some(columns) => self.blend::<C, EDGE>(column, columns.get::<0>()),
            None => column([self.pad; 4]),
        }
    }

    /// A column, with rows outside the input only at an `EDGE`.
    #[inline]
    #[target_feature(enable = "neon")]
    fn blend<C, const EDGE: bool>(&self, column: impl Column<C>, mut rows: [int8x8_t; R]) -> C {
        if EDGE {
            for (row, inside) in rows.iter_mut().zip(self.inside) {
                *row = vbsl_s8(inside, *row, self.pad);
            }
        }
        column([rows[0], rows[1], rows[2], rows[R - 1]])
    }
}

/// The sums of eight channels.
#[derive(Clone, Copy)]
pub(super) struct Sums(pub(super) [int32x4_t; 2]);

impl Sums {
    #[inline]
    #[target_feature(enable = "neon")]
    fn add(&mut self, products: int16x8_t) {
        let [low, high] = &mut self.0;
        *low = vaddw_s16(*low, vget_low_s16(products));
        *high = vaddw_high_s16(*high, products);
    }
}

/// Whether the products of each group of taps, whatever the inputs, add up in an int16.
#[inline]
#[target_feature(enable = "neon")]
fn fits<const N: usize>(weights: &[int8x8_t; 9], groups: &[[usize; N]]) -> bool {
    groups.iter().all(|group| {
        let sum = group.iter().fold(vdupq_n_u16(0), |sum, &tap| {
            vaddw_u8(sum, vreinterpret_u8_s8(vabs_s8(weights[tap])))
        });
        // Times -128 that is -32640.
        vmaxvq_u16(sum) <= 255
    })
}

/// Three products of a column in an int16.
#[inline]
#[target_feature(enable = "neon")]
fn threes(weights: [int8x8_t; 9]) -> Taps<impl Column<[int8x8_t; 4]>, impl Add<[int8x8_t; 4]>> {
    let [w0, w1, w2, w3, w4, w5, w6, w7, w8] = weights;
    let add = move |mut sums: Sums, [a, b, c]: [[int8x8_t; 4]; 3], row: usize| {
        sums.add(vmlal_s8(two([a[row], a[row + 1]], [w0, w3]), a[row + 2], w6));
        sums.add(vmlal_s8(two([b[row], b[row + 1]], [w1, w4]), b[row + 2], w7));
        sums.add(vmlal_s8(two([c[row], c[row + 1]], [w2, w5]), c[row + 2], w8));
        sums
    };
    Taps { column: |rows| rows, add }
}

/// Two products in an int16: the upper two of each column, then the lower ones.
#[inline]
#[target_feature(enable = "neon")]
fn pairs(weights: [int8x8_t; 9]) -> Taps<impl Column<[int8x8_t; 4]>, impl Add<[int8x8_t; 4]>> {
    let [w0, w1, w2, w3, w4, w5, w6, w7, w8] = weights;
    let add = move |mut sums: Sums, [a, b, c]: [[int8x8_t; 4]; 3], row: usize| {
        sums.add(two([a[row], a[row + 1]], [w0, w3]));
        sums.add(two([b[row], b[row + 1]], [w1, w4]));
        sums.add(two([c[row], c[row + 1]], [w2, w5]));
        sums.add(two([a[row + 2], b[row + 2]], [w6, w7]));
        sums.add(vmull_s8(c[row + 2], w8));
        sums
    };
    Taps { column: |rows| rows, add }
}

/// Each product by itself.
#[inline]
#[target_feature(enable = "neon")]
fn singles(weights: [int8x8_t; 9]) -> Taps<impl Column<[int8x8_t; 4]>, impl Add<[int8x8_t; 4]>> {
    let add = move |mut sums: Sums, columns: [[int8x8_t; 4]; 3], row: usize| {
        for (tap, &weight) in weights.iter().enumerate() {
            sums.add(vmull_s8(columns[tap % 3][row + tap / 3], weight));
        }
        sums
    };
    Taps { column: |rows| rows, add }
}

/// The sums of two products.
#[inline]
#[target_feature(enable = "neon")]
fn two([a, b]: [int8x8_t; 2], [v, w]: [int8x8_t; 2]) -> int16x8_t {
    vmlal_s8(vmull_s8(a, v), b, w)
}
