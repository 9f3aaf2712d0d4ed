//! Armv7E-M: 3x3 windows on planes of widened columns, four channels at a time.
//!
//! A word holds two neighbouring columns of a channel, so `SMLAD` takes two of a row's three taps.
//! Three rows of planes lie in a ring in the scratch; each input row is split into it once.

use super::axes::Axes;
use super::{Args, Operands};
use crate::isa::armv7em::depthwise::{BLOCK, Factors, Pixels, Planes, Taps, split};
use crate::isa::armv7em::{MAGIC, move_to_start};
use crate::requantize::armv7em_dsp::fixed_factors;
use crate::tile_s8::armv7em_dsp::clamp;
use crate::{Epilogue, Layout, Requantize, Rescale, Rows, pieces_mut};

/// Same bits as scalar, which also takes over for other windows, factors or scratch.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    // In place nothing may be written that scalar would read.
    let is_sure = op.input.is_some()
        || (0..op.filter.channels()).all(|channel| factors(&op.epilogue, channel).is_some());
    if !is_fast(op) || !is_sure || run_blocks(op).is_none() {
        super::scalar::run(args);
    }
}

fn is_fast(op: &Operands<'_>) -> bool {
    let geometry = &op.geometry;
    // Swapped, a row of the planes needs every row of the input.
    let is_whole = || {
        op.input.is_none_or(|input| input.slots() >= geometry.input().height)
            && Some(op.output.len()) >= geometry.output().checked_len()
    };
    super::armv7em_has_planes(geometry)
        && op.filter.layout() == Layout::PLAIN
        && (!Axes::new(geometry).are_swapped || is_whole())
        && !(cfg!(not(target_abi = "eabihf"))
            && matches!(op.epilogue.requantize, Requantize::Float { .. }))
}

/// `None` where scalar has to take over. It starts again: nothing that it reads was changed.
fn run_blocks(op: &mut Operands<'_>) -> Option<()> {
    let channels = op.geometry.output().channels;
    let words = bytemuck::pod_align_to_mut::<i8, u32>(op.scratch).1;
    let axes = Axes::new(&op.geometry);
    let (plane, rows) = (axes.plane_words(), axes.plane_rows());
    let output_len = op.geometry.output().checked_len()?;
    let (planes, words) = words.split_at_mut_checked(BLOCK * plane * rows)?;
    let words = bytemuck::try_cast_slice_mut::<u32, Taps>(words.get_mut(..12 * BLOCK)?).ok()?;
    let taps: &mut [Taps; BLOCK] = words.first_chunk_mut()?;
    let pad = u32::from(i16::from(op.pad_value).cast_unsigned());
    planes.fill(pad << 16 | pad);
    let mut block = Block {
        axes,
        input: op.input,
        input_row: op.geometry.input().row_len(),
        pad: pad << 16 | pad,
        first_row: op.first_row,
        last_row: match op.input {
            Some(_) if !axes.are_swapped => op.output.len().checked_div(axes.across.bytes[1])?,
            _ => axes.across.output,
        },
        float: matches!(op.epilogue.requantize, Requantize::Float { .. }),
        plane,
        band: (rows - 3).checked_div(axes.across.stride)? + 1,
        first: 0,
        channels: 0,
    };
    let weights = op.filter.data().as_chunks::<9>().0;
    for first in (0..channels).step_by(BLOCK) {
        (block.first, block.channels) = (first, (channels - first).min(BLOCK));
        let mut after = [[0; 4]; BLOCK];
        for (index, (taps, after)) in
            taps.iter_mut().zip(&mut after).enumerate().take(block.channels)
        {
            *after = factors(&op.epilogue, first + index)?;
            *taps = spread(weights.get(first + index)?, !block.float, axes.are_swapped);
        }
        block.run(planes, taps, &after, op.output);
    }
    // In place the input may be longer.
    let len = output_len.min(op.output.len());
    clamp(op.output.get_mut(..len)?, op.epilogue.clamp);
    Some(())
}

/// What follows the sums of `channel`; `None` beyond what the assembly does exactly.
fn factors(epilogue: &Epilogue<'_>, channel: usize) -> Option<Factors> {
    let bias = *epilogue.bias.get(channel)?;
    match epilogue.requantize.channel(channel) {
        Rescale::FixedPoint { multiplier, shift } if cfg!(feature = "tflite") => {
            fixed_factors((bias, multiplier, shift), epilogue.zero_point, 9)
        }
        Rescale::Float { scale } if cfg!(feature = "fp32") => {
            let bits = MAGIC.to_bits().cast_signed() - i32::from(epilogue.zero_point);
            Some([bias, scale.to_bits().cast_signed(), bits, 0])
        }
        _ => None,
    }
}

/// Nine weights as the words of [`Taps`], perhaps doubled, perhaps with rows for columns.
fn spread(weights: &[i8; 9], doubled: bool, swapped: bool) -> Taps {
    let word = |low: i8, high: i8| {
        let wide = |weight: i8| {
            let weight = i16::from(weight) << u32::from(doubled);
            u32::from(weight.cast_unsigned())
        };
        wide(low) | wide(high) << 16
    };
    let row = |[a, b, c]: [i8; 3]| [word(a, b), word(c, 0), word(0, a), word(b, c)];
    let [a, mut b, mut c, mut d, e, mut f, mut g, mut h, i] = *weights;
    if swapped {
        (b, c, d, f, g, h) = (d, g, b, h, c, f);
    }
    [row([a, b, c]), row([d, e, f]), row([g, h, i])]
}

/// Up to four channels of all rows; rows and columns are those of the planes.
struct Block<'a> {
    axes: Axes,
    input: Option<Rows<'a>>,
    /// Bytes of a row of the input.
    input_row: usize,
    pad: u32,
    first_row: usize,
    last_row: usize,
    float: bool,
    plane: usize,
    /// Output rows at a time.
    band: usize,
    first: usize,
    channels: usize,
}

impl Block<'_> {
    fn run(
        &self,
        rows: &mut [u32],
        taps: &[Taps; BLOCK],
        factors: &[Factors; BLOCK],
        output: &mut [i8],
    ) {
        let Axes { along, across, .. } = self.axes;
        let (pitch, down, band) = (BLOCK * self.plane, across.stride, self.band);
        // Input rows that a band leaves to the next.
        let kept = 3_usize.saturating_sub(down);
        // Rows are counted from the top of the padding.
        let mut top = self.first_row * down;
        let mut ready = 0;
        for row in (0..self.last_row).step_by(band.max(1)) {
            let count = band.min(self.last_row - row);
            let needed = (count - 1) * down + 3;
            let fresh = rows.get_mut(ready * pitch..needed * pitch).unwrap_or(&mut []);
            self.split(top + ready, output, fresh);
            let planes = Planes {
                rows,
                plane: self.plane,
                stride: [down, along.stride],
                taps,
                factors,
                float: self.float,
            };
            let start = row * across.bytes[1] + self.first;
            let output = output.get_mut(start..).unwrap_or(&mut []);
            let bytes = [across.bytes[1], along.bytes[1]];
            planes.run(self.channels, [count, along.output], output, bytes);
            top += count * down;
            ready = kept;
            move_to_start(rows, count * down * pitch, kept * pitch);
        }
    }

    /// Splits rows from `row` on, counted from the top of the padding, of the input, or of `map` in
    /// place: as many as there are `planes` for.
    fn split(&self, row: usize, map: &[i8], planes: &mut [u32]) {
        let across = self.axes.across;
        let pitch = BLOCK * self.plane;
        let rows = planes.len().checked_div(pitch).unwrap_or(0);
        // Padding above, rows of the input, padding below.
        let above = across.pad.saturating_sub(row).min(rows);
        let first = (row + above).saturating_sub(across.pad);
        let inside = across.input.saturating_sub(first).min(rows - above);
        let split = planes.split_at_mut_checked(above * pitch);
        let Some((padding, planes)) = split else { return };
        padding.fill(self.pad);
        let split = planes.split_at_mut_checked(inside * pitch);
        let Some((planes, padding)) = split else { return };
        padding.fill(self.pad);
        match &self.input {
            None => self.split_rows(map.get(first * across.bytes[0]..), planes),
            Some(input) if input.slots() * self.input_row >= across.input * across.bytes[0] => {
                self.split_rows(input.onwards(first * across.bytes[0]), planes);
            }
            // A ring.
            Some(input) => {
                for (row, planes) in pieces_mut(planes, pitch).enumerate() {
                    self.split_rows(input.row((first + row).cast_signed()), planes);
                }
            }
        }
    }

    /// Splits rows, one after the other, into `planes`.
    fn split_rows(&self, pixels: Option<&[i8]>, planes: &mut [u32]) {
        let Axes { along, across, .. } = self.axes;
        let pitch = BLOCK * self.plane;
        let columns = along.input.min((2 * self.plane).saturating_sub(along.pad));
        let bytes = pixels.and_then(|pixels| pixels.get(self.first..)).unwrap_or(&[]);
        if self.channels == BLOCK {
            let rows = planes.len().checked_div(pitch).unwrap_or(0);
            let stride = [along.bytes[0], across.bytes[0]];
            let pixels = Pixels { bytes, stride, rows, columns };
            return split(pixels, planes, self.plane, along.pad);
        }
        for (row, planes) in pieces_mut(planes, pitch).enumerate() {
            let bytes = bytes.get(row * across.bytes[0]..).unwrap_or(&[]);
            for (channel, plane) in pieces_mut(planes, self.plane).enumerate().take(self.channels) {
                let halves: &mut [i16] = bytemuck::cast_slice_mut(plane);
                let to = halves.iter_mut().skip(along.pad).take(columns);
                let from = bytes.iter().skip(channel).step_by(along.bytes[0].max(1));
                for (to, from) in to.zip(from) {
                    *to = i16::from(*from);
                }
            }
        }
    }
}
