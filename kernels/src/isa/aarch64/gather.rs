//! Copies of many short runs after one check: windows into rows, rows into pairs.

use super::holds;
use core::arch::aarch64::*;

/// Windows of some rows, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    /// Rows of the map and what follows them in memory; `None` in the padding.
    pub(crate) rows: &'a [Option<&'a [i8]>],
    /// Where the first window begins in each row.
    pub(crate) first: usize,
    /// From a window to the next.
    pub(crate) step: usize,
    /// Bytes of each row in a window.
    pub(crate) len: usize,
    pub(crate) count: usize,
    pub(crate) pad_value: i8,
}

impl Windows<'_> {
    /// Writes the rows of every window side by side, a window every `stride` bytes of `to`, and
    /// whatever in the 16 bytes after a window. Returns how many windows were written: those that
    /// neither end too near the end of a row nor too near the end of `to`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn gather(&self, to: &mut [i8], stride: usize) -> usize {
        match (self.len.div_ceil(16), self.rows) {
            (0, _) => 0,
            (1, &[Some(row)]) => self.short([row], to, stride),
            (1, &[Some(a), Some(b), Some(c)]) => self.short([a, b, c], to, stride),
            (1, _) => self.blocks::<1>(to, stride),
            (2, _) => self.blocks::<2>(to, stride),
            (3, _) => self.blocks::<3>(to, stride),
            (4, _) => self.blocks::<4>(to, stride),
            _ => self.blocks::<0>(to, stride),
        }
    }

    /// Windows whose rows, of `blocks` blocks of 16 bytes, all lie in their slices.
    #[inline]
    fn whole(&self, blocks: usize, to: &[i8], stride: usize) -> usize {
        let Self { rows, first, step, len, count, .. } = *self;
        let row_fits = |row: &&[i8], count| {
            row.get(first..).is_some_and(|row| holds(row, count, step, 16 * blocks))
        };
        // The end of a window lies at most 15 bytes before that of its last block.
        let fits = |count| {
            rows.iter().flatten().all(|row| row_fits(row, count))
                && holds(to, count, stride, rows.len() * len + 15)
        };
        // Near the end of the map a few windows less.
        (0..16).filter_map(|less| count.checked_sub(less)).find(|&n| fits(n)).unwrap_or(0)
    }

    /// A block in each of a few `rows`, which are all: the first layers, with few channels.
    #[target_feature(enable = "neon")]
    fn short<const R: usize>(&self, rows: [&[i8]; R], to: &mut [i8], stride: usize) -> usize {
        let Self { first, step, len, .. } = *self;
        let count = self.whole(1, to, stride);
        let mut from = rows.map(|row| row.as_ptr().wrapping_add(first));
        let mut window = to.as_mut_ptr();
        for _ in 0..count {
            let mut to = window;
            for from in &mut from {
                // SAFETY: the block of one of `count` windows, which all lie in the row.
                let bytes = unsafe { vld1q_s8(*from) };
                // SAFETY: a block that begins before the end of its window, `count` of which and 15
                // bytes more lie in `to`.
                unsafe { vst1q_s8(to, bytes) };
                *from = from.wrapping_add(step);
                to = to.wrapping_add(len);
            }
            window = window.wrapping_add(stride);
        }
        count
    }

    /// With `B` blocks of 16 bytes in each row of a window, or any number for 0.
    #[target_feature(enable = "neon")]
    fn blocks<const B: usize>(&self, to: &mut [i8], stride: usize) -> usize {
        let Self { rows, first, step, len, pad_value, .. } = *self;
        let blocks = if B == 0 { len.div_ceil(16) } else { B };
        let count = self.whole(blocks, to, stride);
        let pad = vdupq_n_s8(pad_value);
        let mut offset = first;
        let mut window = to.as_mut_ptr();
        for _ in 0..count {
            let mut to = window;
            for row in rows {
                if let Some(row) = row {
                    let from = row.as_ptr().wrapping_add(offset);
                    let mut block = 0;
                    // A few at a time, which are loaded and stored in pairs.
                    while block + 4 <= blocks {
                        let mut bytes = [pad; 4];
                        for (index, bytes) in (block..).zip(&mut bytes) {
                            // SAFETY: a block of one of `count` windows, which all lie in the row.
                            *bytes = unsafe { vld1q_s8(from.wrapping_add(16 * index)) };
                        }
                        for (index, bytes) in (block..).zip(bytes) {
                            // SAFETY: a block that begins before the end of its window, `count` of
                            // which and 15 bytes more lie in `to`.
                            unsafe { vst1q_s8(to.wrapping_add(16 * index), bytes) };
                        }
                        block += 4;
                    }
                    while block < blocks {
                        // SAFETY: as above.
                        let bytes = unsafe { vld1q_s8(from.wrapping_add(16 * block)) };
                        // SAFETY: as above.
                        unsafe { vst1q_s8(to.wrapping_add(16 * block), bytes) };
                        block += 1;
                    }
                } else {
                    for block in 0..blocks {
                        // SAFETY: as above.
                        unsafe { vst1q_s8(to.wrapping_add(16 * block), pad) };
                    }
                }
                to = to.wrapping_add(len);
            }
            offset = offset.wrapping_add(step);
            window = window.wrapping_add(stride);
        }
        count
    }
}

/// Pairs of pixels: from two rows of `from`, `stride` apart, which has to be a multiple of 16, to
/// `[stride / 8][2][8]`, every `pitch` bytes of `to`. `None`, and nothing done, when either is too
/// short. The second pixel may be the first one again.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn interleave(
    first: &[i8],
    second: &[i8],
    stride: usize,
    to: &mut [i8],
    pitch: usize,
) -> Option<()> {
    let blocks = stride / 16;
    if first.len() < 16 * blocks || second.len() < 16 * blocks || !holds(to, 2 * blocks, pitch, 16)
    {
        return None;
    }
    let (mut first, mut second, mut to) = (first.as_ptr(), second.as_ptr(), to.as_mut_ptr());
    for _ in 0..blocks {
        // SAFETY: one of `blocks` blocks of 16 bytes, which the check above has found.
        let a = vreinterpretq_s64_s8(unsafe { vld1q_s8(first) });
        // SAFETY: as above.
        let b = vreinterpretq_s64_s8(unsafe { vld1q_s8(second) });
        for pair in [vzip1q_s64(a, b), vzip2q_s64(a, b)] {
            let pair = vreinterpretq_s8_s64(pair);
            // SAFETY: one of twice `blocks` blocks every `pitch` bytes, likewise.
            unsafe { vst1q_s8(to, pair) };
            to = to.wrapping_add(pitch);
        }
        first = first.wrapping_add(16);
        second = second.wrapping_add(16);
    }
    Some(())
}

/// Tiles of eight pixels: from rows of `pixels`, `stride` apart, which has to be a multiple of 8, to
/// `[stride / 8][8][8]` one after the other. Returns how many tiles there were of both.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn interleave_tiles(pixels: &[i8], stride: usize, to: &mut [i8]) -> usize {
    let groups = stride / 8;
    let tile = 64 * groups;
    let tiles = pixels.len().min(to.len()).checked_div(tile).unwrap_or(0);
    let (mut from, mut to) = (pixels.as_ptr(), to.as_mut_ptr());
    for _ in 0..tiles {
        for block in 0..groups / 2 {
            let mut pixel = from.wrapping_add(16 * block);
            let (mut lower, mut upper) = ([vdupq_n_s8(0); 4], [vdupq_n_s8(0); 4]);
            for (lower, upper) in lower.iter_mut().zip(&mut upper) {
                // SAFETY: a block of one of the eight pixels of one of `tiles` tiles.
                let a = vreinterpretq_s64_s8(unsafe { vld1q_s8(pixel) });
                pixel = pixel.wrapping_add(stride);
                // SAFETY: as above.
                let b = vreinterpretq_s64_s8(unsafe { vld1q_s8(pixel) });
                pixel = pixel.wrapping_add(stride);
                *lower = vreinterpretq_s8_s64(vzip1q_s64(a, b));
                *upper = vreinterpretq_s8_s64(vzip2q_s64(a, b));
            }
            for half in [lower, upper].as_flattened() {
                // SAFETY: one of four vectors for every group of eight bytes, likewise.
                unsafe { vst1q_s8(to, *half) };
                to = to.wrapping_add(16);
            }
        }
        if groups % 2 == 1 {
            let mut pixel = from.wrapping_add(8 * (groups - 1));
            for _ in 0..4 {
                // SAFETY: the last group of one of the eight pixels.
                let a = unsafe { vld1_s8(pixel) };
                pixel = pixel.wrapping_add(stride);
                // SAFETY: as above.
                let b = unsafe { vld1_s8(pixel) };
                pixel = pixel.wrapping_add(stride);
                let pair = vcombine_s8(a, b);
                // SAFETY: as for the blocks.
                unsafe { vst1q_s8(to, pair) };
                to = to.wrapping_add(16);
            }
        }
        from = from.wrapping_add(tile);
    }
    tiles
}
