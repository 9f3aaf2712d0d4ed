//! AVX2: int16 pairs times int16 pairs, summed exactly into int32 (`vpmaddwd`, `vpaddd`).
//!
//! A step takes two depth steps of a panel (16 bytes, widened on loading) and one broadcast
//! pair of every pixel. Registers of the tile of 6 pixels and 2 panels: 12 accumulators, 2 weights,
//! 1 broadcast, 1 product, all 16; of the tile of 8 pixels and 1 panel: 8, 1, 1, 1.

use crate::isa::x86_64::{load_16, store_up_to_8, store_up_to_16, store_up_to_32};
use crate::requantize::avx2::{Factors, Narrow, float, rescale};
use crate::tile_s8::AVX2_SLACK;
use crate::{Epilogue, Filter, after};
use core::arch::x86_64::*;

/// The scratch as pixels of widened pairs, and how many pixels it has room for. A pixel may be
/// written a vector too far; the next one is written later, and behind the last there is slack.
pub(crate) fn pixels(scratch: &mut [i8], depth: usize) -> (&mut [i32], usize) {
    let pairs = bytemuck::pod_align_to_mut::<i8, i32>(scratch).1;
    let room = pairs.len().saturating_sub(AVX2_SLACK / 4);
    let pixels = room.checked_div(depth.div_ceil(2)).unwrap_or(0);
    (pairs, pixels)
}

/// All channels of `count` pixels.
#[target_feature(enable = "avx2")]
pub(crate) fn strip(
    rows: &[i32],
    count: usize,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    let mut job = Job::new(rows, count, filter, epilogue);
    let mut panels = filter.data().chunks_exact((16 * job.steps).max(1));
    while let Some(first) = panels.next() {
        let first = Panel::new(first, epilogue, job.channel);
        if let Some(second) = panels.next() {
            let second = Panel::new(second, epilogue, job.channel + 8);
            job.pixels(&[first, second], output);
        } else {
            job.pixels(&[first], output);
        }
        job.channel += 16;
    }
}

/// All channels of a single pixel.
#[target_feature(enable = "avx2")]
pub(crate) fn vector(row: &[i32], filter: &Filter<'_>, epilogue: &Epilogue<'_>, output: &mut [i8]) {
    let mut job = Job::new(row, 1, filter, epilogue);
    let mut panels = filter.data().chunks_exact((16 * job.steps).max(1));
    while let Some(first) = panels.next() {
        // Missing panels repeat the first one; their channels are never stored.
        let panels = [
            Panel::new(first, epilogue, job.channel),
            Panel::new(panels.next().unwrap_or(first), epilogue, job.channel + 8),
            Panel::new(panels.next().unwrap_or(first), epilogue, job.channel + 16),
            Panel::new(panels.next().unwrap_or(first), epilogue, job.channel + 24),
        ];
        job.tile::<1, 4>(&panels, 0, output);
        job.channel += 32;
    }
}

/// Eight output channels: weights and what their sums start and end with.
struct Panel<'a> {
    weights: &'a [[i8; 16]],
    bias: __m256i,
    factors: Factors,
}

impl<'a> Panel<'a> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(weights: &'a [i8], epilogue: &Epilogue<'_>, channel: usize) -> Self {
        Self {
            weights: weights.as_chunks().0,
            bias: epilogue.bias_avx2(channel),
            factors: Factors::load(&epilogue.requantize, channel),
        }
    }
}

/// Pixels times panels from `channel` on.
#[derive(Clone, Copy)]
struct Job<'a> {
    rows: &'a [i32],
    count: usize,
    steps: usize,
    channels: usize,
    channel: usize,
    narrow: Narrow,
}

impl<'a> Job<'a> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(rows: &'a [i32], count: usize, filter: &Filter<'_>, epilogue: &Epilogue<'_>) -> Self {
        let (steps, channels) = (filter.depth().div_ceil(2), filter.channels());
        Self { rows, count, steps, channels, channel: 0, narrow: epilogue.narrow_avx2() }
    }

    /// All pixels, in tiles of the best height.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pixels<const P: usize>(&self, panels: &[Panel<'_>; P], output: &mut [i8]) {
        let mut pixel = 0;
        while P == 1 && pixel + 8 <= self.count {
            self.tile::<8, P>(panels, pixel, output);
            pixel += 8;
        }
        while P == 2 && pixel + 6 <= self.count {
            self.tile::<6, P>(panels, pixel, output);
            pixel += 6;
        }
        while pixel + 4 <= self.count {
            self.tile::<4, P>(panels, pixel, output);
            pixel += 4;
        }
        match self.count - pixel {
            1 => self.tile::<1, P>(panels, pixel, output),
            2 => self.tile::<2, P>(panels, pixel, output),
            3 => self.tile::<3, P>(panels, pixel, output),
            _ => {}
        }
    }

    /// `M` pixels from `pixel` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn tile<const M: usize, const P: usize>(
        &self,
        panels: &[Panel<'_>; P],
        pixel: usize,
        output: &mut [i8],
    ) {
        // One comparison each here, none in the loop.
        let steps = self.steps;
        let mut rows = [&[] as &[i32]; M];
        for (index, row) in rows.iter_mut().enumerate() {
            let Some(source) = after(self.rows, (pixel + index) * steps).get(..steps) else {
                return;
            };
            *row = source;
        }
        let mut weights = [&[] as &[[i8; 16]]; P];
        for (to, panel) in weights.iter_mut().zip(panels) {
            let Some(panel) = panel.weights.get(..steps) else { return };
            *to = panel;
        }

        let mut sums = [[_mm256_setzero_si256(); M]; P];
        for (sums, panel) in sums.iter_mut().zip(panels) {
            *sums = [panel.bias; M];
        }
        for step in 0..steps {
            let mut widened = [_mm256_setzero_si256(); P];
            for (to, panel) in widened.iter_mut().zip(weights) {
                *to = _mm256_cvtepi8_epi16(load_16(&panel[step]));
            }
            for (pixel, row) in rows.iter().enumerate() {
                let pair = _mm256_set1_epi32(row[step]);
                for (sums, weights) in sums.iter_mut().zip(widened) {
                    sums[pixel] = _mm256_add_epi32(sums[pixel], _mm256_madd_epi16(pair, weights));
                }
            }
        }
        // A copy, because what follows may index at run time: then this array lies in memory, and
        // that of the loop above need not.
        let mut scaled = [[_mm256_setzero_si256(); M]; P];
        for (scaled, sums) in scaled.iter_mut().zip(sums) {
            for (scaled, sum) in scaled.iter_mut().zip(sums) {
                *scaled = sum;
            }
        }
        for (scaled, panel) in scaled.iter_mut().zip(panels) {
            rescale!(&panel.factors, scaled);
        }
        self.store(&scaled, pixel, output);
    }

    /// Narrows and stores a tile of pixels from `pixel` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn store<const M: usize, const P: usize>(
        &self,
        sums: &[[__m256i; M]; P],
        pixel: usize,
        output: &mut [i8],
    ) {
        // Narrowing takes four vectors: a few pixels, the last ones padded with zeros.
        for first in (0..M).step_by(4 / P) {
            let mut four = [_mm256_setzero_si256(); 4];
            for (index, to) in four.iter_mut().enumerate() {
                if first + index / P < M {
                    *to = sums[index % P][first + index / P];
                }
            }
            let bytes = self.narrow.apply(four);
            let (low, high) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
            let (low8, high8) = (_mm_unpackhi_epi64(low, low), _mm_unpackhi_epi64(high, high));
            for index in 0..(4 / P).min(M - first) {
                let start = (pixel + first + index) * self.channels;
                let Some(to) = output.get_mut(start + self.channel..start + self.channels) else {
                    return;
                };
                match (P, index) {
                    (1, 0) => store_up_to_8(to, low),
                    (1, 1) => store_up_to_8(to, low8),
                    (1, 2) => store_up_to_8(to, high),
                    (1, _) => store_up_to_8(to, high8),
                    (2, 0) => store_up_to_16(to, low),
                    (2, _) => store_up_to_16(to, high),
                    _ => store_up_to_32(to, bytes),
                }
            }
        }
    }
}
