//! Armv7E-M: 3x3 windows on planes of widened columns, four channels at a time.
//!
//! A word holds two neighbouring columns of a channel, so `SMLAD` takes two of a row's three taps.
//! Three rows of planes lie in a ring in the scratch; each input row is split into it once.

use super::axes::Axes;
use super::{Args, Operands};
use crate::isa::armv7em::depthwise::{BLOCK, Factors, Pixels, Planes, split};
use crate::isa::armv7em::{MAGIC, move_to_start};
use crate::requantize::armv7em_dsp::fixed_factors;
use crate::tile_s8::armv7em_dsp::clamp;
use crate::{Epilogue, Isa, Layout, Requantize, Rows, pieces_mut};

/// Same bits as scalar, which also takes over for other windows, factors or scratch.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    // In place nothing may be written that scalar would read.
    let is_sure = cfg!(not(feature = "fallback"))
        || op.input.is_some()
        || op.epilogue.is_exact(Isa::Armv7emDsp, op.geometry.window().taps());
    if !is_fast(op) || !is_sure || run_blocks(op).is_none() {
        fall_back!(args);
    }
}

fn is_fast(op: &Operands<'_>) -> bool {
    let geometry = &op.geometry;
    super::armv7em_has_planes(geometry)
        && op.filter.layout() == Layout::PLAIN
        && (!Axes::new(geometry).are_swapped || super::is_whole(op))
        && !(cfg!(not(target_abi = "eabihf"))
            && matches!(op.epilogue.requantize, Requantize::Float { .. }))
}

/// `None` where scalar has to take over. It starts again: nothing that it reads was changed.
fn run_blocks(op: &mut Operands<'_>) -> Option<()> {
    let words = bytemuck::pod_align_to_mut::<i8, u32>(op.scratch).1;
    let axes = Axes::new(&op.geometry);
    let (plane, rows) = (axes.plane_words(), axes.plane_rows());
    let output_len = op.geometry.output().checked_len()?;
    let planes = words.get_mut(..BLOCK * plane * rows)?;
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
    let mut after = [[0; 4]; BLOCK];
    for weights in op.filter.data().as_chunks::<9>().0.chunks(BLOCK) {
        block.channels = weights.len();
        line_up(&op.epilogue, block.first, &mut after)?;
        block.run(planes, weights, &after, op.output);
        block.first += BLOCK;
    }
    // In place the input may be longer.
    let len = output_len.min(op.output.len());
    clamp(op.output.get_mut(..len)?, op.epilogue.clamp);
    Some(())
}

/// What follows the sums of channels from `first` on; `None` beyond what the assembly does exactly.
fn line_up(epilogue: &Epilogue<'_>, first: usize, to: &mut [Factors; BLOCK]) -> Option<()> {
    let (bias, zero_point) = (epilogue.bias.get(first..)?, epilogue.zero_point);
    match epilogue.requantize {
        Requantize::FixedPoint { multiplier, shift } if cfg!(feature = "tflite") => {
            let shift = shift.get(first..)?;
            let channels = bias.iter().zip(multiplier.get(first..)?).zip(shift);
            for (to, ((&bias, &multiplier), &shift)) in to.iter_mut().zip(channels) {
                *to = fixed_factors((bias, multiplier, shift), zero_point, 9)?;
            }
        }
        Requantize::Float { scale } if cfg!(feature = "fp32") => {
            let bits = MAGIC.to_bits().cast_signed() - i32::from(zero_point);
            for (to, (bias, scale)) in to.iter_mut().zip(bias.iter().zip(scale.get(first..)?)) {
                *to = [*bias, scale.to_bits().cast_signed(), bits, 0];
            }
        }
        _ => return None,
    }
    Some(())
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
        weights: &[[i8; 9]],
        factors: &[Factors; BLOCK],
        output: &mut [i8],
    ) {
        let Axes { along, across, .. } = self.axes;
        let (pitch, down, band) = (BLOCK * self.plane, across.stride, self.band);
        // Input rows that a band leaves to the next.
        let kept = 3_usize.saturating_sub(down);
        // Rows are counted from the top of the padding.
        let mut top = self.first_row * down;
        let (mut row, mut ready) = (0, 0);
        while row < self.last_row {
            let count = band.min(self.last_row - row);
            let needed = (count - 1) * down + 3;
            let fresh = rows.get_mut(ready * pitch..needed * pitch).unwrap_or(&mut []);
            self.split(top + ready, output, fresh);
            let planes = Planes {
                rows,
                plane: self.plane,
                stride: [down, along.stride],
                weights,
                swapped: self.axes.are_swapped,
                factors,
                float: self.float,
            };
            let start = row * across.bytes[1] + self.first;
            let output = output.get_mut(start..).unwrap_or(&mut []);
            let bytes = [across.bytes[1], along.bytes[1]];
            planes.run([count, along.output], output, bytes);
            top += count * down;
            ready = kept;
            row += count;
            if row < self.last_row {
                move_to_start(rows, count * down * pitch, kept * pitch);
            }
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
        // Planes that hold all rows keep their padding from block to block.
        let is_new = self.band < self.last_row;
        if is_new {
            padding.fill(self.pad);
        }
        let split = planes.split_at_mut_checked(inside * pitch);
        let Some((planes, padding)) = split else { return };
        if is_new {
            padding.fill(self.pad);
        }
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
