//! Helium: 3x3 windows on columns of four rows, sixteen channels at a time.
//!
//! Two rows of the output share the columns of four rows of the input, unless rows are skipped.

use super::{Args, Operands};
use crate::isa::mve::columns::{
    BLOCK, Column, Factors, Rows, Windows, interleave, windows_fixed, windows_float,
};
use crate::requantize::mve::fixed_factors;
use crate::tile_s8::mve::clamp;
use crate::{Epilogue, Layout, Requantize, Rescale};

/// Same bits as scalar, which also takes over for other windows, factors or scratch.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    // In place nothing may be written that scalar would read.
    let is_sure = op.input.is_some()
        || (0..op.filter.channels()).all(|channel| factors(&op.epilogue, channel).is_some());
    let is_fast =
        super::armv7em_has_planes(&op.geometry) && op.filter.layout() == Layout::PLAIN && is_sure;
    let scratch = core::mem::take(&mut op.scratch);
    let is_done = is_fast && run_blocks(op, scratch).is_some();
    op.scratch = scratch;
    if !is_done {
        super::scalar::run(args);
    }
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

/// `None` where scalar has to take over. It starts again: nothing that it reads was changed.
fn run_blocks(op: &mut Operands<'_>, scratch: &mut [i8]) -> Option<()> {
    let shape = op.geometry.output();
    let columns = super::mve_columns(&op.geometry);
    let (words, _) = bytemuck::pod_align_to_mut::<i8, u32>(scratch).1.as_chunks_mut::<BLOCK>();
    let (now, rest) = words.split_at_mut_checked(columns)?;
    // In place the rows that come next are read before the outputs overwrite them.
    let next = if op.input.is_some() { &mut [][..] } else { rest.get_mut(..columns)? };
    let pad = u32::from_ne_bytes([op.pad_value.cast_unsigned(); 4]);
    now.as_flattened_mut().fill(pad);
    next.as_flattened_mut().fill(pad);
    let rows = if op.input.is_some() {
        op.output.len().checked_div(shape.row_len())?
    } else {
        shape.height
    };
    let weights = op.filter.data().as_chunks::<9>().0;
    let mut after = [[0; 4]; BLOCK];
    let pad = [op.pad_value; BLOCK];
    for (block, weights) in weights.chunks(BLOCK).enumerate() {
        let first = block * BLOCK;
        for (index, after) in after.iter_mut().enumerate().take(weights.len()) {
            *after = factors(&op.epilogue, first + index)?;
        }
        let factors = after.get(..weights.len())?;
        Block { op: &mut *op, padding: &pad, first, weights, factors }.run(rows, now, next);
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
}

impl Block<'_, '_> {
    fn run(&mut self, rows: usize, now: &mut [Column], next: &mut [Column]) {
        let step = if self.op.geometry.window().stride_height == 1 { 2 } else { 1 };
        let (mut now, mut next) = (now, next);
        let mut row = 0;
        while row < rows {
            if next.is_empty() {
                self.interleave(row, now);
            } else {
                if row == 0 {
                    self.interleave(row, now);
                }
                self.interleave(row + step, next);
            }
            self.windows(row, (rows - row).min(step), now);
            if !next.is_empty() {
                core::mem::swap(&mut now, &mut next);
            }
            row += step;
        }
    }

    /// The columns of the four rows from the first under output row `row` on.
    fn interleave(&self, row: usize, columns: &mut [Column]) {
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
        let Some(columns) = columns.get_mut(window.pad_left..) else { return };
        let count = columns.len().min(shape.width);
        let from = Rows {
            rows,
            padding: self.padding,
            pitch: shape.channels,
            channels: self.weights.len(),
        };
        interleave(from, columns.get_mut(..count).unwrap_or(&mut []));
    }

    /// One or two rows of outputs from output row `row` on.
    fn windows(&mut self, row: usize, count: usize, columns: &[Column]) {
        let shape = self.op.geometry.output();
        let windows = Windows {
            columns,
            stride: self.op.geometry.window().stride_width,
            weights: self.weights,
            factors: self.factors,
            width: shape.width,
            pitch: shape.channels,
            below: (count > 1).then_some(shape.row_len()),
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
