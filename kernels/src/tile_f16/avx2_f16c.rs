//! AVX2: eight channels of a panel, widened on loading (`vcvtph2ps`), times one broadcast value of
//! every pixel (`vfmadd`). Products of halves are exact in f32, so that fusing changes no bit.
//!
//! Registers of the tile of 6 pixels and 2 panels: 12 sums, 2 weights, 1 broadcast.

use crate::isa::x86_64::{
    load_f16x8, load_f32x8, load_up_to_8_f32, store_f32x8, store_up_to_8_f16,
};
use crate::{ClampF16, EpilogueF16, F16, Filter, after};
use core::arch::x86_64::*;

/// The scratch as f32, and how many pixels of `depth` it has room for.
pub(crate) fn pixels(scratch: &mut [i8], depth: usize) -> (&mut [f32], usize) {
    let values = bytemuck::pod_align_to_mut::<i8, f32>(scratch).1;
    let count = values.len().checked_div(depth).unwrap_or(0);
    (values, count)
}

/// Widens all of `source` to the start of `to`.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn widen(source: &[F16], to: &mut [f32]) {
    let (blocks, rest) = source.as_chunks::<8>();
    let (to, last) = to.split_at_mut(to.len().min(8 * blocks.len()));
    for (to, block) in to.as_chunks_mut().0.iter_mut().zip(blocks) {
        store_f32x8(to, load_f16x8(block));
    }
    for (to, half) in last.iter_mut().zip(rest) {
        *to = half.to_f32();
    }
}

/// Lanes within the range, NaN at its lower end; see [`ClampF16::apply`].
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn clamped(values: __m256, clamp: ClampF16) -> __m256 {
    // Both instructions give their second operand where one is NaN.
    let raised = _mm256_max_ps(values, _mm256_set1_ps(clamp.min));
    _mm256_min_ps(raised, _mm256_set1_ps(clamp.max))
}

/// All channels of as many pixels as `output` holds.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn strip(
    rows: &[f32],
    filter: &Filter<'_, F16>,
    epilogue: &EpilogueF16<'_>,
    output: &mut [F16],
) {
    let mut job = Job::new(rows, filter, epilogue);
    let count = output.len().checked_div(job.channels).unwrap_or(0);
    let mut panels = filter.data().chunks_exact((8 * job.depth).max(1));
    while let Some(first) = panels.next() {
        if let Some(second) = panels.next() {
            job.pixels(count, &[first, second], output);
        } else {
            job.pixels(count, &[first], output);
        }
        job.channel += 16;
    }
}

/// All channels of a single pixel.
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn vector(
    row: &[f32],
    filter: &Filter<'_, F16>,
    epilogue: &EpilogueF16<'_>,
    output: &mut [F16],
) {
    let mut job = Job::new(row, filter, epilogue);
    let mut panels = filter.data().chunks_exact((8 * job.depth).max(1));
    while let Some(first) = panels.next() {
        // Missing panels repeat the first one; their channels are never stored.
        let mut four = [first; 4];
        for panel in four.iter_mut().skip(1) {
            *panel = panels.next().unwrap_or(first);
        }
        job.tile::<1, 4>(&four, 0, output);
        job.channel += 32;
    }
}

/// Pixels times panels from `channel` on.
#[derive(Clone, Copy)]
struct Job<'a> {
    rows: &'a [f32],
    depth: usize,
    channels: usize,
    channel: usize,
    epilogue: EpilogueF16<'a>,
}

impl<'a> Job<'a> {
    fn new(rows: &'a [f32], filter: &Filter<'_, F16>, epilogue: &EpilogueF16<'a>) -> Self {
        let (depth, channels) = (filter.depth(), filter.channels());
        Self { rows, depth, channels, channel: 0, epilogue: *epilogue }
    }

    /// All pixels, in tiles of the best height.
    #[inline]
    #[target_feature(enable = "avx2,f16c,fma")]
    fn pixels<const P: usize>(&self, count: usize, panels: &[&[F16]; P], output: &mut [F16]) {
        let mut pixel = 0;
        while pixel + 6 <= count {
            self.tile::<6, P>(panels, pixel, output);
            pixel += 6;
        }
        if pixel + 3 <= count {
            self.tile::<3, P>(panels, pixel, output);
            pixel += 3;
        }
        match count - pixel {
            1 => self.tile::<1, P>(panels, pixel, output),
            2 => self.tile::<2, P>(panels, pixel, output),
            _ => {}
        }
    }

    /// `M` pixels from `pixel` on.
    #[inline]
    #[target_feature(enable = "avx2,f16c,fma")]
    fn tile<const M: usize, const P: usize>(
        &self,
        panels: &[&[F16]; P],
        pixel: usize,
        output: &mut [F16],
    ) {
        // One comparison each here, none in the loop.
        let depth = self.depth;
        let mut rows = [&[] as &[f32]; M];
        for (index, row) in rows.iter_mut().enumerate() {
            let Some(source) = after(self.rows, (pixel + index) * depth).get(..depth) else {
                return;
            };
            *row = source;
        }
        let mut weights = [&[] as &[[F16; 8]]; P];
        for (to, panel) in weights.iter_mut().zip(panels) {
            let Some(panel) = panel.as_chunks().0.get(..depth) else { return };
            *to = panel;
        }

        let mut sums = [[_mm256_setzero_ps(); M]; P];
        for step in 0..depth {
            let mut widened = [_mm256_setzero_ps(); P];
            for (to, panel) in widened.iter_mut().zip(weights) {
                *to = load_f16x8(&panel[step]);
            }
            for (pixel, row) in rows.iter().enumerate() {
                let value = _mm256_set1_ps(row[step]);
                for (sums, weights) in sums.iter_mut().zip(widened) {
                    sums[pixel] = _mm256_fmadd_ps(value, weights, sums[pixel]);
                }
            }
        }
        for (panel, sums) in sums.iter().enumerate() {
            let channel = self.channel + 8 * panel;
            let bias = bias(self.epilogue.bias, channel);
            for (index, &sum) in sums.iter().enumerate() {
                let start = (pixel + index) * self.channels;
                let Some(to) = output.get_mut(start + channel..start + self.channels) else {
                    return;
                };
                let value = clamped(_mm256_add_ps(sum, bias), self.epilogue.clamp);
                store_up_to_8_f16(to, value);
            }
        }
    }
}

/// The biases of eight channels, zeros beyond the last.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
pub(crate) fn bias(bias: &[f32], channel: usize) -> __m256 {
    let bias = after(bias, channel);
    match bias.first_chunk() {
        Some(bias) => load_f32x8(bias),
        None => load_up_to_8_f32(bias),
    }
}
