//! Eight channels of a panel, widened on loading, times one broadcast value of every pixel. Products
//! of halves are exact in f32, so that fusing changes no bit.
//!
//! Registers of the tile of 6 pixels and 2 panels: 12 sums, 2 weights, 1 broadcast; on AArch64 twice
//! as many of the first two, of 32.

use crate::isa::lanes::{Lanes, add, fused, load, load_f32, max, min, splat, store, store_f32};
use crate::{ClampF16, EpilogueF16, F16, Filter, after, copy};

/// Up to eight halves, widened, zeros above.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn load_up_to_8(halves: &[F16]) -> Lanes {
    if let Some(halves) = halves.first_chunk() {
        return load(halves);
    }
    let mut padded = [F16::default(); 8];
    copy(&mut padded, halves);
    load(&padded)
}

/// As many of the eight values as `halves` takes, narrowed.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn store_up_to_8(halves: &mut [F16], values: Lanes) {
    if let Some(halves) = halves.first_chunk_mut() {
        return store(halves, values);
    }
    let mut padded = [F16::default(); 8];
    store(&mut padded, values);
    copy(halves, &padded);
}

/// The scratch as f32, and how many pixels of `depth` it has room for.
pub(crate) fn pixels(scratch: &mut [i8], depth: usize) -> (&mut [f32], usize) {
    let values = bytemuck::pod_align_to_mut::<i8, f32>(scratch).1;
    let count = values.len().checked_div(depth).unwrap_or(0);
    (values, count)
}

/// Widens all of `source` to the start of `to`.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn widen(source: &[F16], to: &mut [f32]) {
    let (blocks, rest) = source.as_chunks::<8>();
    let (to, last) = to.split_at_mut(to.len().min(8 * blocks.len()));
    for (to, block) in to.as_chunks_mut().0.iter_mut().zip(blocks) {
        store_f32(to, load(block));
    }
    for (to, half) in last.iter_mut().zip(rest) {
        *to = half.to_f32();
    }
}

/// Lanes within the range, NaN at its lower end; see [`ClampF16::apply`].
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn clamped(values: Lanes, clamp: ClampF16) -> Lanes {
    let raised = max(values, splat(clamp.min));
    min(raised, splat(clamp.max))
}

/// All channels of as many pixels as `output` holds.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
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
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
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
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
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
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
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

        let mut sums = [[splat(0.0); M]; P];
        for step in 0..depth {
            let mut widened = [splat(0.0); P];
            for (to, panel) in widened.iter_mut().zip(weights) {
                *to = load(&panel[step]);
            }
            for (pixel, row) in rows.iter().enumerate() {
                let value = splat(row[step]);
                for (sums, weights) in sums.iter_mut().zip(widened) {
                    sums[pixel] = fused(value, weights, sums[pixel]);
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
                let value = clamped(add(sum, bias), self.epilogue.clamp);
                store_up_to_8(to, value);
            }
        }
    }
}

/// The biases of eight channels, zeros beyond the last.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,f16c,fma"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub(crate) fn bias(bias: &[f32], channel: usize) -> Lanes {
    let bias = after(bias, channel);
    match bias.first_chunk() {
        Some(bias) => load_f32(bias),
        None => {
            let mut padded = [0.0; 8];
            copy(&mut padded, bias);
            load_f32(&padded)
        }
    }
}
