//! AVX2: int16 pairs times int16 pairs, summed exactly into int32 (`vpmaddwd`, `vpaddd`).
//!
//! A step takes two depth steps of a panel (16 bytes, widened on loading) and one broadcast
//! pair of every pixel. Registers of the 4x2 tile: 8 accumulators, 2 weights, 1 broadcast, 1
//! product, of 16; of the 8x1 tile: 8, 1, 1, 1.

use crate::isa::x86_64::{load_16, store_32, store_i16x16};
use crate::requantize::avx2::Factors;
use crate::{Epilogue, Filter, Requantize};
use core::arch::x86_64::*;

/// The scratch as pairs of widened values: what a broadcast reads.
pub(crate) fn pairs(scratch: &mut [i8]) -> &mut [i32] {
    bytemuck::pod_align_to_mut::<i8, i32>(scratch).1
}

/// Widens `len` values from the start of `source` to the start of `to`. May read what follows
/// in `source` and write what follows in `to`, to a multiple of 16.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn widen(source: &[i8], len: usize, to: &mut [i16]) {
    let mut blocks = source.chunks(16);
    for to in to.as_chunks_mut::<16>().0.iter_mut().take(len.div_ceil(16)) {
        match blocks.next() {
            Some(block) => match block.first_chunk() {
                Some(block) => store_i16x16(to, _mm256_cvtepi8_epi16(load_16(block))),
                None => {
                    for (to, from) in to.iter_mut().zip(block) {
                        *to = i16::from(*from);
                    }
                }
            },
            None => return,
        }
    }
}

/// All channels of a strip: `rows` holds pixels of `row_pairs` pairs, `output` the same pixels.
#[target_feature(enable = "avx2")]
pub(crate) fn strip(
    rows: &[i32],
    row_pairs: usize,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    let steps = filter.depth().div_ceil(2);
    let mut panels = filter.data().chunks_exact((16 * steps).max(1)).map(|p| p.as_chunks().0);
    let mut channel = 0;
    while let Some(first) = panels.next() {
        let job = Job { rows, row_pairs, epilogue, channel, channels: filter.channels() };
        match panels.next() {
            Some(second) => job.pixels([first, second], output),
            None => job.pixels([first], output),
        }
        channel += 16;
    }
}

/// All channels of a single pixel.
#[target_feature(enable = "avx2")]
pub(crate) fn vector(row: &[i32], filter: &Filter<'_>, epilogue: &Epilogue<'_>, output: &mut [i8]) {
    let steps = filter.depth().div_ceil(2);
    let mut panels = filter.data().chunks_exact((64 * steps).max(1));
    let mut channel = 0;
    let job = |channel| Job {
        rows: row,
        row_pairs: row.len(),
        epilogue,
        channel,
        channels: filter.channels(),
    };
    for four in panels.by_ref() {
        let mut panels = [&[] as &[[i8; 16]]; 4];
        for (panel, data) in panels.iter_mut().zip(four.chunks_exact((16 * steps).max(1))) {
            *panel = data.as_chunks().0;
        }
        job(channel).tile::<1, 4>(panels, 0, output);
        channel += 32;
    }
    for panel in panels.remainder().chunks_exact((16 * steps).max(1)) {
        job(channel).tile::<1, 1>([panel.as_chunks().0], 0, output);
        channel += 8;
    }
}

/// Pixels times panels from `channel` on.
#[derive(Clone, Copy)]
struct Job<'a> {
    rows: &'a [i32],
    row_pairs: usize,
    epilogue: &'a Epilogue<'a>,
    channel: usize,
    channels: usize,
}

impl Job<'_> {
    /// All pixels, in tiles of the best height.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pixels<const P: usize>(self, panels: [&[[i8; 16]]; P], output: &mut [i8]) {
        let count = output.len() / self.channels.max(1);
        let mut pixel = 0;
        if P == 1 {
            while pixel + 8 <= count {
                self.tile::<8, P>(panels, pixel, output);
                pixel += 8;
            }
        }
        while pixel + 4 <= count {
            self.tile::<4, P>(panels, pixel, output);
            pixel += 4;
        }
        match count - pixel {
            1 => self.tile::<1, P>(panels, pixel, output),
            2 => self.tile::<2, P>(panels, pixel, output),
            3 => self.tile::<3, P>(panels, pixel, output),
            _ => {}
        }
    }

    /// `M` pixels from `pixel` on.
    #[target_feature(enable = "avx2")]
    fn tile<const M: usize, const P: usize>(
        self,
        panels: [&[[i8; 16]]; P],
        pixel: usize,
        output: &mut [i8],
    ) {
        let Some(steps) = panels.first().map(|panel| panel.len()) else { return };
        let mut pixels = [&[] as &[i32]; M];
        let rows = self.rows.get(pixel * self.row_pairs..).unwrap_or(&[]);
        for (to, row) in pixels.iter_mut().zip(rows.chunks_exact(self.row_pairs.max(1))) {
            *to = row.get(..steps).unwrap_or(&[]);
        }
        // One comparison each here, none in the loop.
        if pixels.iter().any(|row| row.len() != steps) || panels.iter().any(|p| p.len() != steps) {
            return;
        }

        let mut start = [_mm256_setzero_si256(); P];
        for (panel, start) in start.iter_mut().enumerate() {
            *start = self.epilogue.bias_avx2(self.channel + 8 * panel);
        }
        let mut sums = [start; M];
        for step in 0..steps {
            let mut weights = [_mm256_setzero_si256(); P];
            for (weights, panel) in weights.iter_mut().zip(panels) {
                *weights = _mm256_cvtepi8_epi16(load_16(&panel[step]));
            }
            for (sums, row) in sums.iter_mut().zip(pixels) {
                let pair = _mm256_set1_epi32(row[step]);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pair, weights));
                }
            }
        }

        let output = output.get_mut(pixel * self.channels..).unwrap_or(&mut []);
        match self.epilogue.requantize {
            Requantize::Float { .. } => self.finish::<M, P, true>(sums, output),
            Requantize::FixedPoint { .. } => self.finish::<M, P, false>(sums, output),
        }
    }

    /// Requantizes and stores a tile at the start of `output`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn finish<const M: usize, const P: usize, const FLOAT: bool>(
        self,
        mut sums: [[__m256i; P]; M],
        output: &mut [i8],
    ) {
        for panel in 0..P {
            let factors =
                Factors::<FLOAT>::load(&self.epilogue.requantize, self.channel + 8 * panel);
            for sums in &mut sums {
                sums[panel] = factors.apply(sums[panel]);
            }
        }
        let narrow = self.epilogue.narrow_avx2();
        let left = self.channels - self.channel;
        let mut outputs = output.chunks_exact_mut(self.channels.max(1));
        // Narrowing takes four vectors: a few pixels, the last ones padded with zeros.
        for group in sums.chunks(4 / P) {
            let mut four = [_mm256_setzero_si256(); 4];
            for (to, sum) in four.iter_mut().zip(group.as_flattened()) {
                *to = *sum;
            }
            let mut bytes = [0; 32];
            store_32(&mut bytes, narrow.apply(four));
            for (bytes, _) in bytes.chunks_exact(8 * P).zip(group) {
                let Some(output) = outputs.next() else { return };
                let output = output.get_mut(self.channel..).unwrap_or(&mut []);
                match output.get_mut(..8 * P) {
                    Some(output) => output.copy_from_slice(bytes),
                    None => {
                        for (to, from) in output.iter_mut().zip(bytes).take(left) {
                            *to = *from;
                        }
                    }
                }
            }
        }
    }
}
