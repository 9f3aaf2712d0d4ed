//! Armv7E-M: 3x3 windows on planes of widened columns, four channels at a time.
//!
//! A word holds two neighbouring columns of a channel, so `SMLAD` takes two of a row's three taps.
//! Three rows of planes lie in a ring in the scratch; each input row is split into it once.

use super::{Args, Operands};
use crate::isa::armv7em::depthwise::{BLOCK, Factors, Planes, Taps, split};
use crate::isa::armv7em::MAGIC;
use crate::requantize::armv7em_dsp::fixed_factors;
use crate::tile_s8::armv7em_dsp::clamp;
use crate::{Epilogue, Geometry, Layout, Requantize, Rescale, Rows, pieces_mut};

/// Same bits as scalar, which also takes over for other windows, factors or scratch.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    if !is_fast(op) || run_blocks(op).is_none() {
        super::scalar::run(args);
    }
}

fn is_fast(op: &Operands<'_>) -> bool {
    super::armv7em_has_planes(&op.geometry)
        && op.filter.layout() == Layout::PLAIN
        && !(cfg!(not(target_abi = "eabihf"))
            && matches!(op.epilogue.requantize, Requantize::Float { .. }))
}

/// `None` where scalar has to take over, before anything is written.
fn run_blocks(op: &mut Operands<'_>) -> Option<()> {
    let channels = op.geometry.output().channels;
    let plane = super::armv7em_plane_words(&op.geometry);
    let words = bytemuck::pod_align_to_mut::<i8, u32>(op.scratch).1;
    let (rows, words) = words.split_at_mut_checked(3 * BLOCK * plane)?;
    let words = bytemuck::try_cast_slice_mut::<u32, Taps>(words.get_mut(..20 * BLOCK)?).ok()?;
    let taps: &mut [Taps; BLOCK] = words.first_chunk_mut()?;
    for channel in 0..channels {
        factors(&op.epilogue, channel)?;
    }
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
        for (index, (taps, after)) in taps.iter_mut().zip(&mut after).enumerate() {
            let channel = (first + index).min(channels - 1);
            *after = factors(&op.epilogue, channel)?;
            *taps = spread(weights.get(channel)?, !block.float);
        }
        block.run(rows, taps, &after, op.output);
    }
    clamp(op.output, op.epilogue.clamp);
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
    let [top, middle, bottom] = [row([a, b, c]), row([d, e, f]), row([g, h, i])];
    [top, middle, bottom, top, middle]
}

/// Up to four channels of all rows.
struct Block<'a> {
    geometry: Geometry,
    input: Rows<'a>,
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
        // Rows are counted from the top of the padding.
        let mut split = self.first_row * window.stride_height;
        for (index, output) in pieces_mut(output, shape.row_len()).enumerate() {
            let top = (self.first_row + index) * window.stride_height;
            split = split.max(top);
            while split < top + 3 {
                let slot = rows.chunks_exact_mut((BLOCK * self.plane).max(1)).nth(split % 3);
                self.split(split, slot.unwrap_or(&mut []));
                split += 1;
            }
            let planes =
                Planes { rows, plane: self.plane, turn: (3 - top % 3) % 3, taps, factors };
            planes.run(
                self.channels,
                shape.width,
                window.stride_width == 2,
                self.float,
                output.get_mut(self.first..).unwrap_or(&mut []),
                shape.channels,
            );
        }
    }

    /// Splits row `row`, counted from the top of the padding, into the planes of a slot.
    fn split(&self, row: usize, planes: &mut [u32]) {
        let (window, shape) = (self.geometry.window(), self.geometry.input());
        let Some(pixels) = self.input.row(row.cast_signed() - window.pad_top.cast_signed()) else {
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
