//! Helium: 3x3 windows on columns of four rows, sixteen channels at a time.
//!
//! Two rows of the output share the columns of four rows of the input, unless rows are skipped. Columns
//! of a few such steps lie in the scratch at a time.

use super::{Args, Operands};
use crate::isa::mve::columns::{BLOCK, Column, Factors, Windows, windows_fixed, windows_float};
use crate::isa::mve::factors::{Fixed, is_tame};
use crate::isa::mve::interleave::{Rows, interleave, move_down};
use crate::requantize::mve::fixed_factors;
use crate::tile_s8::mve::clamp;
use crate::{Epilogue, Layout, Requantize, Rescale};

/// Same bits as scalar, which also takes over for other windows, factors or scratch.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    // In place nothing may be written that scalar would read.
    let is_fast = super::armv7em_has_planes(&op.geometry)
        && op.filter.layout() == Layout::PLAIN
        && (op.input.is_some() || is_sure(op));
    let scratch = core::mem::take(&mut op.scratch);
    let is_done = is_fast && run_blocks(op, scratch).is_some();
    op.scratch = scratch;
    if !is_done {
        super::scalar::run(args);
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
    let (columns, steps) = (super::mve_columns(&op.geometry), super::mve_steps(&op.geometry));
    let (words, _) = bytemuck::pod_align_to_mut::<i8, u32>(scratch).1.as_chunks_mut::<BLOCK>();
    let words = words.get_mut(..columns * steps)?;
    words.as_flattened_mut().fill(u32::from_ne_bytes([op.pad_value.cast_unsigned(); 4]));
    let rows = if op.input.is_some() {
        op.output.len().checked_div(shape.row_len())?
    } else {
        shape.height
    };
    let (padding, mut after) = ([op.pad_value; BLOCK], [[0; 4]; BLOCK]);
    let mut first = 0;
    for weights in op.filter.data().as_chunks::<9>().0.chunks(BLOCK) {
        line_up(&op.epilogue, first, &mut after)?;
        let factors = &after;
        let padding = &padding;
        Block { op: &mut *op, padding, first, weights, factors, columns, steps }.run(rows, words);
        first += BLOCK;
    }
    // In place the input may be longer.
    let len = (rows * shape.row_len()).min(op.output.len());
    clamp(op.output.get_mut(..len)?, op.epilogue.clamp);
    Some(())
}

/// Up to sixteen channels of all rows.
struct Block<'b, 'a> {
    op: &'b mut Operands<'a>,
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
        let together = super::mve_rows(&self.op.geometry);
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
        let (geometry, first) = (self.op.geometry, self.first);
        let (window, shape) = (geometry.window(), geometry.input());
        let top = geometry.first_row(self.op.first_row + row);
        let rows = [0, 1, 2, 3].map(|down| {
            let pixels = match &self.op.input {
                Some(input) => input.row(top + down),
                None => usize::try_from(top + down)
                    .ok()
                    .filter(|&y| y < shape.height)
                    .and_then(|y| self.op.output.get(y * shape.row_len()..)),
            };
            pixels.and_then(|pixels| pixels.get(first..))
        });
        let count = (self.columns - window.pad_left.min(self.columns)).min(shape.width);
        let from = Rows {
            rows,
            padding: self.padding,
            pitch: shape.channels,
            channels: self.weights.len(),
        };
        if self.op.input.is_none() && start > 0 && row == start && window.stride_height <= 2 {
            // The outputs so far have overwritten what the last step's lower rows still hold.
            let old = (self.steps - 1) * self.columns;
            move_down(from, columns.get_mut(window.pad_left..).unwrap_or(&mut []), old, count);
            return;
        }
        let step = (row - start) / super::mve_rows(&geometry);
        let to = columns.get_mut(step * self.columns + window.pad_left..).unwrap_or(&mut []);
        interleave(from, to.get_mut(..count).unwrap_or(&mut []));
    }

    /// `steps` times `together` rows of outputs from output row `row` on.
    fn windows(&mut self, row: usize, together: usize, steps: usize, columns: &[Column]) {
        let shape = self.op.geometry.output();
        let windows = Windows {
            columns,
            stride: self.op.geometry.window().stride_width,
            weights: self.weights,
            factors: self.factors,
            width: shape.width,
            pitch: shape.channels,
            rows: together,
            steps,
            step_columns: self.columns,
        };
        let start = row * shape.row_len() + self.first;
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
