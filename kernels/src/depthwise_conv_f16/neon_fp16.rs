//! Arithmetic on halves: rows of 3x3 windows, eight channels at a time. Other windows, and channels
//! that fill no register, go through f32.

use super::lanes::outputs;
use super::{Args, Operands};
use crate::isa::aarch64::fp16::{load, store};
use crate::isa::aarch64::fp16_depthwise::{Eight, Line, Rows};
use crate::tile_f16::LANES_LAYOUT;
use crate::tile_f16::neon_fp16::{clamped, range, replaced};
use crate::{F16, after, after_mut};

/// Bits of its own within the contract's bound; f32 takes over when the layout or window is another's.
#[target_feature(enable = "fp16")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (input, shape, window) = (op.geometry.input(), op.geometry.output(), op.geometry.window());
    let stride = window.stride_width;
    let line = Line::new(shape.width, stride, window.pad_left, input.width, shape.channels);
    let plain = window.is_plain_3x3() && input.channels == shape.channels;
    let (Some(line), true, LANES_LAYOUT) = (line, plain, op.filter.layout()) else {
        return super::lanes::run(args);
    };
    let output = core::mem::take(&mut op.output);
    let job = Job { op, line, range: range(op.epilogue.clamp) };
    // Windows that move by one share rows.
    let together = if stride == 1 && window.stride_height == 1 { 2 } else { 1 };
    let row_len = shape.row_len().max(1);
    for (index, output) in output.chunks_mut(together * row_len).enumerate() {
        let y = op.first_row + together * index;
        let (output, below) = output.split_at_mut(row_len.min(output.len()));
        job.rows(y, output, Some(below).filter(|below| !below.is_empty()));
    }
}

struct Job<'a> {
    op: &'a Operands<'a>,
    line: Line,
    range: [[F16; 8]; 2],
}

impl Job<'_> {
    /// All channels of output row `y`, and of the next where `below` is one.
    #[inline]
    #[target_feature(enable = "fp16")]
    fn rows(&self, y: usize, output: &mut [F16], mut below: Option<&mut [F16]>) {
        let Self { op, line, range } = self;
        let [r0, r1, r2, r3] = [0, 1, 2, 3].map(|ky| op.input.row(op.geometry.row(y, ky)));
        let r3 = r3.filter(|_| below.is_some());
        let (weights, _) = op.filter.data().as_chunks().0.as_chunks();
        let (biases, _) = op.epilogue.bias.as_chunks();
        let mut beyond = false;
        if let Some(mut rows) = Rows::new(*line, [r0, r1, r2, r3], output, below.as_deref_mut()) {
            for ((weights, bias), channel) in weights.iter().zip(biases).zip((0..).step_by(8)) {
                beyond |= rows.run(&Eight { channel, weights, bias, range }) != Some(false);
            }
        }
        let first = if beyond { 0 } else { biases.len() };
        if first < weights.len() {
            self.again(first, [r0, r1, r2], y, output);
            if let Some(below) = below {
                self.again(first, [r1, r2, r3], y + 1, below);
            }
        }
    }

    /// A row of outputs once more from the `first` block of channels on, now in f32 where a sum left the
    /// range of the halves, and where fewer than eight channels are left.
    #[cold]
    #[target_feature(enable = "fp16")]
    fn again(&self, first: usize, [r0, r1, r2]: [Option<&[F16]>; 3], y: usize, output: &mut [F16]) {
        const OPEN: [[F16; 8]; 2] = [[F16::from_bits(0xfc00); 8], [F16::from_bits(0x7c00); 8]];
        let channels = self.op.geometry.output().channels;
        let (weights, _) = self.op.filter.data().as_chunks().0.as_chunks();
        for (weights, channel) in weights.iter().zip((0..).step_by(8)).skip(first) {
            // The sums as they are, in place of the outputs.
            let sums = after(self.op.epilogue.bias, channel).first_chunk().and_then(|bias| {
                let mut rows = Rows::new(self.line, [r0, r1, r2, None], output, None)?;
                rows.run(&Eight { channel, weights, bias, range: &OPEN })
            });
            for (x, pixel) in output.chunks_mut(channels.max(1)).enumerate() {
                let in_f32 = |to: &mut [F16]| outputs::<1>(self.op, weights, [y, x, channel], to);
                let to = after_mut(pixel, channel);
                let (Some(_), Some(to)) = (sums, to.first_chunk_mut::<8>()) else {
                    in_f32(to);
                    continue;
                };
                let sums = *to;
                store(to, clamped(load(&sums), &self.range));
                replaced(to, &sums, || {
                    let mut values = [F16::default(); 8];
                    in_f32(&mut values);
                    values
                });
            }
        }
    }
}
