//! Helium: 3x3 windows on columns of four rows, sixteen channels at a time.
//!
//! Two rows of the output share the columns of four rows of the input, unless rows are skipped. Columns
//! of a few such steps lie in the scratch at a time. Of a tall map rows are columns and columns rows.

use super::axes::Axes;
use super::{Args, Operands};
use crate::isa::mve::columns::{BLOCK, Column, Factors, Windows, windows_fixed, windows_float};
use crate::isa::mve::factors::Fixed;
use crate::isa::mve::interleave::{Rows, interleave, move_down};
use crate::requantize::mve::{fixed_factors, is_tame};
use crate::tile_s8::mve::clamp;
use crate::{Epilogue, Layout, Requantize, Rescale};

/// Same bits as scalar, which also takes over for other windows, factors or scratch.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    // In place nothing may be written that scalar would read.
    let is_fast = super::armv7em_has_planes(&op.geometry)
        && op.filter.layout() == Layout::PLAIN
        && (!Axes::of_columns(&op.geometry).are_swapped || super::is_whole(op))
        && (cfg!(not(feature = "fallback")) || op.input.is_some() || is_sure(op));
    let scratch = core::mem::take(&mut op.scratch);
    let is_done = is_fast && run_blocks(op, scratch).is_some();
    op.scratch = scratch;
    if !is_done {
        fall_back!(args);
    }
}

/// Whether what follows the sums is exact for every channel.
fn is_sure(op: &Operands<'_>) -> bool {
    let Epilogue { bias, zero_point, .. } = op.epilogue;
    let are_tame = match op.epilogue.requantize {
        Requantize::FixedPoint { multiplier, shift } => {
            Fixed { bias, multiplier, shift, zero_point }.are_tame()
        }
        Requantize::Float { .. } => true,
    };
    are_tame || (0..op.filter.channels()).all(|channel| factors(&op.epilogue, channel).is_some())
}

/// What follows the sums of `channel`; `None` beyond what the assembly does exactly.
fn factors(epilogue: &Epilogue<'_>, channel: usize) -> Option<Factors> {
    let bias = *epilogue.bias.get(channel)?;
    match epilogue.requantize.channel(channel) {
        Rescale::FixedPoint { multiplier, shift } => {
            fixed_factors((bias, multiplier, shift), epilogue.zero_point, 9)
        }
        Rescale::Float { scale } => {
            Some([bias, scale.to_bits().cast_signed(), i32::from(epilogue.zero_point), 0])
        }
    }
}

/// [`factors`] of a block of channels.
fn line_up(epilogue: &Epilogue<'_>, first: usize, to: &mut [Factors; BLOCK]) -> Option<()> {
    if let Requantize::FixedPoint { multiplier, shift } = epilogue.requantize {
        let bias = epilogue.bias.get(first..)?;
        let (multiplier, shift) = (multiplier.get(first..)?, shift.get(first..)?);
        let zero_point = epilogue.zero_point;
        if (Fixed { bias, multiplier, shift, zero_point }).line_up(to) {
            return Some(());
        }
        for (index, (to, (&multiplier, &shift))) in
            to.iter_mut().zip(multiplier.iter().zip(shift)).enumerate()
        {
            if !is_tame(multiplier, shift) {
                *to = factors(epilogue, first + index)?;
            }
        }
        return Some(());
    }
    let channels = epilogue.bias.len() - first;
    for (index, to) in to.iter_mut().enumerate().take(channels) {
        *to = factors(epilogue, first + index)?;
    }
    Some(())
}

/// `None` where scalar has to take over. It starts again: nothing that it reads was changed.
fn run_blocks(op: &mut Operands<'_>, scratch: &mut [i8]) -> Option<()> {
    let shape = op.geometry.output();
    let axes = Axes::of_columns(&op.geometry);
    let (columns, steps) = (axes.columns(), axes.steps());
    let (words, _) = bytemuck::pod_align_to_mut::<i8, u32>(scratch).1.as_chunks_mut::<BLOCK>();
    let words = words.get_mut(..columns * steps)?;
    words.as_flattened_mut().fill(u32::from_ne_bytes([op.pad_value.cast_unsigned(); 4]));
    let rows = match op.input {
        Some(_) if !axes.are_swapped => op.output.len().checked_div(shape.row_len())?,
        _ => axes.across.output,
    };
    let (padding, mut after) = ([op.pad_value; BLOCK], [[0; 4]; BLOCK]);
    let mut first = 0;
    for weights in op.filter.data().as_chunks::<9>().0.chunks(BLOCK) {
        line_up(&op.epilogue, first, &mut after)?;
        let factors = &after;
        let padding = &padding;
        Block { op: &mut *op, axes, padding, first, weights, factors, columns, steps }
            .run(rows, words);
        first += BLOCK;
    }
    // In place the input may be longer.
    let len = if axes.are_swapped { shape.height } else { rows } * shape.row_len();
    let len = len.min(op.output.len());
    clamp(op.output.get_mut(..len)?, op.epilogue.clamp);
    Some(())
}

/// Up to sixteen channels of all rows.
struct Block<'b, 'a> {
    op: &'b mut Operands<'a>,
    axes: Axes,
    padding: &'b [i8; BLOCK],
    first: usize,
    weights: &'b [[i8; 9]],
    factors: &'b [Factors],
    /// Columns of a step, and steps at a time.
    columns: usize,
    steps: usize,
}

impl Block<'_, '_> {
    fn run(&mut self, rows: usize, columns: &mut [Column]) {
        let together = self.axes.together();
        let mut row = 0;
        while row < rows {
            let mut count = 0;
            while count < self.steps && row + count * together < rows {
                self.interleave(row, row + count * together, columns);
                count += 1;
            }
            let end = rows.min(row + count * together);
            let pairs = (end - row) / together;
            self.windows(row, together, pairs, columns);
            if pairs < count {
                // The last row by itself.
                let last = columns.get(pairs * self.columns..).unwrap_or(&[]);
                self.windows(row + pairs * together, 1, 1, last);
            }
            row = end;
        }
    }

    /// The columns of the four rows from the first under output row `row` on, where `start` is the
    /// first row whose columns `columns` will hold.
    fn interleave(&self, start: usize, row: usize, columns: &mut [Column]) {
        let (Axes { along, across, are_swapped }, first) = (self.axes, self.first);
        let top =
            ((self.op.first_row + row) * across.stride).cast_signed() - across.pad.cast_signed();
        let rows = [0, 1, 2, 3].map(|down| {
            let row = usize::try_from(top + down).ok().filter(|&row| row < across.input)?;
            let pixels = match &self.op.input {
                Some(input) if !are_swapped => input.row(row.cast_signed()),
                Some(input) => input.onwards(row * across.bytes[0]),
                None => self.op.output.get(row * across.bytes[0]..),
            };
            pixels.and_then(|pixels| pixels.get(first..))
        });
        let count = (self.columns - along.pad.min(self.columns)).min(along.input);
        let from = Rows {
            rows,
            padding: self.padding,
            pitch: along.bytes[0],
            channels: self.weights.len(),
        };
        if self.op.input.is_none() && start > 0 && row == start && across.stride <= 2 {
            // The outputs so far have overwritten what the last step's lower rows still hold.
            let old = (self.steps - 1) * self.columns;
            move_down(from, columns.get_mut(along.pad..).unwrap_or(&mut []), old, count);
            return;
        }
        let step = (row - start) / self.axes.together();
        let to = columns.get_mut(step * self.columns + along.pad..).unwrap_or(&mut []);
        interleave(from, to.get_mut(..count).unwrap_or(&mut []));
    }

    /// `steps` times `together` rows of outputs from output row `row` on.
    fn windows(&mut self, row: usize, together: usize, steps: usize, columns: &[Column]) {
        let Axes { along, across, are_swapped } = self.axes;
        let windows = Windows {
            columns,
            stride: along.stride,
            weights: self.weights,
            factors: self.factors,
            width: along.output,
            pitch: along.bytes[1],
            row_pitch: across.bytes[1],
            swapped: are_swapped,
            rows: together,
            steps,
            step_columns: self.columns,
        };
        let start = row * across.bytes[1] + self.first;
        let output = self.op.output.get_mut(start..).unwrap_or(&mut []);
        match self.op.epilogue.requantize {
            Requantize::FixedPoint { .. } if cfg!(feature = "tflite") => {
                windows_fixed(&windows, output);
            }
            Requantize::Float { .. } if cfg!(feature = "fp32") => windows_float(&windows, output),
            _ => {}
        }
    }
}
