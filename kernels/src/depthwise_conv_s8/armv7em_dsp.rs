//! Armv7E-M: 3x3 windows on planes of widened columns, four channels at a time.
//!
//! A word holds two neighbouring columns of a channel, so `SMLAD` takes two of a row's three taps.
//! Three rows of planes lie in a ring in the scratch; each input row is split into it once.

use super::{Args, Operands};
use crate::isa::armv7em::depthwise::{BLOCK, Factors, Planes, Taps, split};
use crate::isa::armv7em::{MAGIC, move_to_start};
use crate::requantize::armv7em_dsp::fixed_factors;
use crate::tile_s8::armv7em_dsp::clamp;
use crate::{Epilogue, Geometry, Layout, Requantize, Rescale, Rows, pieces_mut};

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
    super::armv7em_has_planes(&op.geometry)
        && op.filter.layout() == Layout::PLAIN
        && !(cfg!(not(target_abi = "eabihf"))
            && matches!(op.epilogue.requantize, Requantize::Float { .. }))
}

/// `None` where scalar has to take over. It starts again: nothing that it reads was changed.
fn run_blocks(op: &mut Operands<'_>) -> Option<()> {
    let channels = op.geometry.output().channels;
    let words = bytemuck::pod_align_to_mut::<i8, u32>(op.scratch).1;
    let plane = super::armv7em_plane_words(&op.geometry);
    let rows = super::armv7em_plane_rows(&op.geometry);
    let output_len = op.geometry.output().checked_len()?;
    let (rows, words) = words.split_at_mut_checked(BLOCK * plane * rows)?;
    let words = bytemuck::try_cast_slice_mut::<u32, Taps>(words.get_mut(..12 * BLOCK)?).ok()?;
    let taps: &mut [Taps; BLOCK] = words.first_chunk_mut()?;
    let pad = u32::from(i16::from(op.pad_value).cast_unsigned());
    rows.fill(pad << 16 | pad);
    let mut block = Block {
        geometry: op.geometry,
        input: op.input,
        pad: pad << 16 | pad,
        first_row: op.first_row,
        float: matches!(op.epilogue.requantize, Requantize::Float { .. }),
        plane,
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
            *taps = spread(weights.get(first + index)?, !block.float);
        }
        block.run(rows, taps, &after, op.output);
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
        Rescale::FixedPoint { multiplier, shift } => {
            fixed_factors((bias, multiplier, shift), epilogue.zero_point, 9)
        }
        Rescale::Float { scale } => {
            let bits = MAGIC.to_bits().cast_signed() - i32::from(epilogue.zero_point);
            Some([bias, scale.to_bits().cast_signed(), bits, 0])
        }
    }
}

/// Nine weights as the words of [`Taps`], perhaps doubled.
fn spread(weights: &[i8; 9], doubled: bool) -> Taps {
    let word = |low: i8, high: i8| {
        let wide = |weight: i8| {
            let weight = i16::from(weight) << u32::from(doubled);
            u32::from(weight.cast_unsigned())
        };
        wide(low) | wide(high) << 16
    };
    let row = |[a, b, c]: [i8; 3]| [word(a, b), word(c, 0), word(0, a), word(b, c)];
    let [a, b, c, d, e, f, g, h, i] = *weights;
    [row([a, b, c]), row([d, e, f]), row([g, h, i])]
}

/// Up to four channels of all rows.
struct Block<'a> {
    geometry: Geometry,
    input: Option<Rows<'a>>,
    pad: u32,
    first_row: usize,
    float: bool,
    plane: usize,
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
        let (window, shape) = (self.geometry.window(), self.geometry.output());
        let (pitch, down) = (BLOCK * self.plane, window.stride_height);
        // Output rows at a time, and input rows that a band leaves to the next.
        let held = rows.len() / pitch.max(1);
        let band = (held.saturating_sub(3) / down.max(1)).saturating_add(1);
        let kept = 3_usize.saturating_sub(down);
        // Rows are counted from the top of the padding.
        let mut top = self.first_row * down;
        let mut ready = 0;
        let last = match self.input {
            Some(_) => output.len() / shape.row_len().max(1),
            None => shape.height,
        };
        for row in (0..last).step_by(band) {
            let count = band.min(last - row);
            let needed = (count - 1) * down + 3;
            for (row, planes) in pieces_mut(rows, pitch).enumerate().take(needed).skip(ready) {
                self.split(top + row, output, planes);
            }
            let planes = Planes {
                rows,
                plane: self.plane,
                stride: [down, window.stride_width],
                taps,
                factors,
                float: self.float,
            };
            let start = row * shape.row_len() + self.first;
            let output = output.get_mut(start..).unwrap_or(&mut []);
            planes.run(self.channels, [count, shape.width], output, shape.channels);
            top += count * down;
            ready = kept;
            move_to_start(rows, count * down * pitch, kept * pitch);
        }
    }

    /// Splits row `row`, counted from the top of the padding, of the input, or of `map` in place.
    fn split(&self, row: usize, map: &[i8], planes: &mut [u32]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let pixels = match (&self.input, row.checked_sub(window.pad_top)) {
            (_, None) => None,
            (Some(input), Some(row)) => input.row(row.cast_signed()),
            (None, Some(row)) => crate::pieces(map, shape.row_len()).nth(row),
        };
        let Some(pixels) = pixels else {
            planes.fill(self.pad);
            return;
        };
        let pixels = pixels.get(self.first..).unwrap_or(&[]);
        let columns = shape.width.min((2 * self.plane).saturating_sub(window.pad_left));
        if self.channels == BLOCK {
            split(pixels, shape.channels, columns, planes, self.plane, window.pad_left);
            return;
        }
        for (channel, plane) in pieces_mut(planes, self.plane).enumerate().take(self.channels) {
            let halves: &mut [i16] = bytemuck::cast_slice_mut(plane);
            let to = halves.iter_mut().skip(window.pad_left).take(columns);
            let from = pixels.iter().skip(channel).step_by(shape.channels.max(1));
            for (to, from) in to.zip(from) {
                *to = i16::from(*from);
            }
        }
    }
}
