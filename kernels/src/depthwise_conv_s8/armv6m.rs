//! Armv6-M and Armv7-M: 3x3 windows over padded rows, four channels at a time.
//!
//! Three rows of the input's channels lie in the scratch, a column of padding on either side; each is
//! copied there once, so that in place nothing is read that was written.

#![cfg_attr(not(armv6m), allow(dead_code, reason = "Armv7-M shares the loops, not the leaves"))]

use super::{Args, NO_DSP_LAYOUT, Operands, no_dsp_has_rows, no_dsp_row, no_dsp_sums};
use crate::isa::armv6m::Armv6m;
use crate::isa::no_dsp::depthwise::{BLOCK, Bands, copy_columns};
use crate::isa::no_dsp::{Core, Factors};
use crate::requantize::no_dsp::{clamp, prepare};
use crate::{Epilogue, Geometry, Rows, pieces};

/// Same bits as scalar, which also takes over for other windows, layouts or scratch.
pub(crate) fn run(args: &mut Args<'_>) {
    run_on::<Armv6m>(args);
}

pub(super) fn run_on<C: Core>(args: &mut Args<'_>) {
    if run_groups::<C>(&mut args.0).is_none() {
        super::scalar::run(args);
    }
}

/// `None` where scalar has to take over: nothing that it reads was changed.
fn run_groups<C: Core>(op: &mut Operands<'_>) -> Option<()> {
    let geometry = op.geometry;
    if !no_dsp_has_rows(&geometry) || op.filter.layout() != NO_DSP_LAYOUT {
        return None;
    }
    let row = no_dsp_row(&geometry);
    let words = op.scratch.get_mut(..4 * (3 * row + no_dsp_sums(&geometry)))?;
    let words: &mut [i32] = bytemuck::try_cast_slice_mut(words).ok()?;
    let (first, rest) = words.split_at_mut_checked(row)?;
    let (second, rest) = rest.split_at_mut_checked(row)?;
    let (third, sums) = rest.split_at_mut_checked(row)?;
    let weights = op.filter.data().as_chunks::<4>().0.as_chunks::<9>().0;
    let mut ring = Ring {
        rows: [first, second, third],
        columns: geometry.input().width,
        stride: geometry.input().channels,
        start: geometry.window().pad_left,
    };
    let mut map = Map {
        geometry,
        input: op.input,
        epilogue: op.epilogue,
        pad_value: op.pad_value,
        first_row: op.first_row,
        rows: match op.input {
            Some(_) => op.output.len() / geometry.output().row_len().max(1),
            None => geometry.output().height,
        },
        output: &mut *op.output,
    };
    for (group, weights) in weights.iter().enumerate() {
        map.run::<C>(BLOCK * group, weights, &mut ring, sums);
    }
    let outputs = map.output.get_mut(..map.rows * geometry.output().row_len());
    clamp(outputs.unwrap_or(&mut []), op.epilogue.clamp);
    Some(())
}

/// What all groups of channels share.
struct Map<'a> {
    geometry: Geometry,
    input: Option<Rows<'a>>,
    epilogue: Epilogue<'a>,
    pad_value: i8,
    first_row: usize,
    /// Rows to compute.
    rows: usize,
    output: &'a mut [i8],
}

impl Map<'_> {
    /// Four channels of all rows.
    fn run<C: Core>(
        &mut self,
        channel: usize,
        weights: &[[i8; 4]; 9],
        ring: &mut Ring<'_>,
        sums: &mut [i32],
    ) {
        let window = self.geometry.window();
        let (input, output) = (self.geometry.input(), self.geometry.output());
        let mut factors = [Factors::default(); 4];
        let rescales = prepare::<C>(&self.epilogue, channel, weights.len(), 0, &mut factors);
        let factors = rescales.then_some(&factors);
        let bands = Bands::new(weights, factors, output.width, window.stride_width);
        let Some(mut bands) = bands else { return };
        ring.clear(self.pad_value);
        let mut copied = self.first_row * window.stride_height;
        for y in 0..self.rows {
            // Rows are counted from the top of the padding.
            let top = (self.first_row + y) * window.stride_height;
            for row in copied.max(top)..top + 3 {
                let from = row.checked_sub(window.pad_top).and_then(|row| match &self.input {
                    Some(input) => input.row(row.cast_signed()),
                    None if row < input.height => self.output.get(row * input.row_len()..),
                    None => None,
                });
                ring.push::<C>(from.and_then(|row| row.get(channel..)), self.pad_value);
            }
            copied = top + 3;
            let [first, second, third] = &ring.rows;
            let rows = [&**first, &**second, &**third];
            let Some(to) = self.output.get_mut(y * output.row_len() + channel..) else { return };
            if rescales {
                bands.rescale::<C>(rows, to, output.channels);
                continue;
            }
            bands.sum::<C>(rows, sums);
            let channels = pieces(sums, output.width.next_multiple_of(BLOCK)).take(BLOCK);
            for (index, sums) in channels.enumerate() {
                let outputs = to.iter_mut().skip(index).step_by(output.channels.max(1));
                for (to, &sum) in outputs.zip(sums.iter().take(output.width)) {
                    *to = self.epilogue.apply(channel + index, sum);
                }
            }
        }
    }
}

/// Rows under the window, of four channels.
struct Ring<'a> {
    rows: [&'a mut [i32]; 3],
    /// Columns of the input, bytes from one to the next, and columns of padding before them.
    columns: usize,
    stride: usize,
    start: usize,
}

impl Ring<'_> {
    /// Padding everywhere.
    fn clear(&mut self, pad_value: i8) {
        for row in &mut self.rows {
            row.fill(word_of(pad_value));
        }
    }

    /// The next row takes the place of the first; padding when there is none.
    fn push<C: Core>(&mut self, row: Option<&[i8]>, pad_value: i8) {
        let [first, second, to] = &mut self.rows;
        core::mem::swap(first, second);
        core::mem::swap(second, to);
        let Some(to) = to.get_mut(self.start..) else { return };
        let columns = self.columns.min(to.len());
        match row {
            Some(row) => copy_columns::<C>(row, self.stride, columns, to),
            None => to.fill(word_of(pad_value)),
        }
    }
}

/// Four times the same byte.
fn word_of(value: i8) -> i32 {
    i32::from_ne_bytes([value.cast_unsigned(); 4])
}
