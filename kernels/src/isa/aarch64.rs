//! Leaves of AArch64: loads and stores on arrays whose length is in their type, instructions that
//! have no stable intrinsic yet, and the inner loops of the tiles. Everything else that the cells
//! need from `core::arch` is safe already: NEON is part of every AArch64.
#![allow(unsafe_code, reason = "the one home of raw loads, stores and assembly on AArch64")]

mod depthwise;
mod finish;
pub(crate) mod fp16;
pub(crate) mod fp16_depthwise;
mod gather;
pub(crate) mod lanes;
mod places;
mod sdot;
mod smmla;
mod smull;

pub(crate) use depthwise::{GROUP, Line, STEPS, Steps, Taps};
pub(crate) use finish::Finish;
pub(crate) use gather::{Windows, interleave, interleave_tiles};
pub(crate) use places::{PLACES, Places, TILE, WindowTiles};
pub(crate) use sdot::{sdot_1x16, sdot_4x16, sdot_8x8, sdot_lane, sdot_windows};
pub(crate) use smmla::{smmla, smmla_4x8, smmla_8x8, smmla_windows};
pub(crate) use smull::{smull_4x4, smull_windows};

use crate::copy;
use core::arch::aarch64::*;
use core::arch::asm;

/// Eight bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_8(bytes: &[i8; 8]) -> int8x8_t {
    // SAFETY: the array holds the 8 bytes that are read; no alignment is asked.
    unsafe { vld1_s8(bytes.as_ptr()) }
}

/// Sixteen bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_16(bytes: &[i8; 16]) -> int8x16_t {
    // SAFETY: the array holds the 16 bytes that are read; no alignment is asked.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

/// Four int32.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_i32x4(values: &[i32; 4]) -> int32x4_t {
    // SAFETY: the array holds the 16 bytes that are read; no alignment is asked.
    unsafe { vld1q_s32(values.as_ptr()) }
}

/// Four f32.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_f32x4(values: &[f32; 4]) -> float32x4_t {
    // SAFETY: the array holds the 16 bytes that are read; no alignment is asked.
    unsafe { vld1q_f32(values.as_ptr()) }
}

/// Sixty-four bytes, as registers for table lookups.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_64(bytes: &[i8; 64]) -> int8x16x4_t {
    // SAFETY: the array holds the 64 bytes that are read; no alignment is asked.
    unsafe { vld1q_s8_x4(bytes.as_ptr()) }
}

/// Eight bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store_8(bytes: &mut [i8; 8], vector: int8x8_t) {
    // SAFETY: the array holds the 8 bytes that are written; no alignment is asked.
    unsafe { vst1_s8(bytes.as_mut_ptr(), vector) }
}

/// Sixteen bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store_16(bytes: &mut [i8; 16], vector: int8x16_t) {
    // SAFETY: the array holds the 16 bytes that are written; no alignment is asked.
    unsafe { vst1q_s8(bytes.as_mut_ptr(), vector) }
}

/// Up to eight bytes, zeros above.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_up_to_8(bytes: &[i8]) -> int8x8_t {
    if let Some(bytes) = bytes.first_chunk() {
        return load_8(bytes);
    }
    let mut padded = [0; 8];
    copy(&mut padded, bytes);
    load_8(&padded)
}

/// As many of the eight bytes as `bytes` takes.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store_up_to_8(bytes: &mut [i8], vector: int8x8_t) {
    if let Some(bytes) = bytes.first_chunk_mut() {
        return store_8(bytes, vector);
    }
    let mut padded = [0; 8];
    store_8(&mut padded, vector);
    copy(bytes, &padded);
}

/// Columns of `R` rows, eight bytes each, `stride` apart: one check for many loads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a, const R: usize> {
    rows: [&'a [i8]; R],
    stride: usize,
    count: usize,
}

/// `N` columns that lie in every row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a, const R: usize, const N: usize> {
    columns: Columns<'a, R>,
    offset: usize,
}

impl<'a, const R: usize> Columns<'a, R> {
    /// `None` when the last of `count` columns ends outside a row.
    #[inline]
    pub(crate) fn new(rows: [&'a [i8]; R], stride: usize, count: usize) -> Option<Self> {
        rows.iter().all(|row| holds(row, count, stride, 8)).then_some(Self { rows, stride, count })
    }

    /// Columns `first..first + N`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn run<const N: usize>(&self, first: usize) -> Option<Run<'a, R, N>> {
        let fits = first.checked_add(N).is_some_and(|end| end <= self.count);
        fits.then_some(Run { columns: *self, offset: first.wrapping_mul(self.stride) })
    }
}

impl<const R: usize, const N: usize> Run<'_, R, N> {
    /// Column `I` of these.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn get<const I: usize>(&self) -> [int8x8_t; R] {
        const { assert!(I < N) };
        let offset = self.offset.wrapping_add(I.wrapping_mul(self.columns.stride));
        self.columns.rows.map(|row| {
            let bytes: int8x8_t;
            // SAFETY: column `I` is one of `N` that `run` found before `count`, so its eight bytes
            // lie in every row, as `new` has checked. In assembly, because the compiler would keep
            // and advance a pointer for each of them.
            unsafe {
                asm!(
                    "ldr {0:d}, [{1}, {2}]",
                    out(vreg) bytes, in(reg) row.as_ptr(), in(reg) offset,
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            bytes
        })
    }
}

/// Groups of `W` bytes (4, 8 or 16), `stride` apart, that all lie in a slice: one check for many
/// stores.
#[derive(Debug)]
pub(crate) struct StridedMut<'a, const W: usize> {
    bytes: &'a mut [i8],
    stride: usize,
    count: usize,
}

impl<'a, const W: usize> StridedMut<'a, W> {
    /// `None` when the last of `count` groups ends outside `bytes`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn new(bytes: &'a mut [i8], stride: usize, count: usize) -> Option<Self> {
        const { assert!(W == 4 || W == 8 || W == 16) };
        let end = count.checked_sub(1)?.checked_mul(stride)?.checked_add(W)?;
        (end <= bytes.len()).then_some(Self { bytes, stride, count })
    }

    /// Groups `first..first + N` from the first `N * W` bytes of `vector`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn store<const N: usize>(&mut self, first: usize, vector: int8x16_t) -> Option<()> {
        const { assert!(N * W <= 16) };
        if self.count.checked_sub(first)? < N {
            return None;
        }
        let mut offset = first * self.stride;
        let words = vreinterpretq_s32_s8(vector);
        let halves = vreinterpretq_s64_s8(vector);
        for index in 0..N {
            // SAFETY: a group before `count`, so `new` has checked that it lies in `bytes`.
            let to = unsafe { self.bytes.as_mut_ptr().add(offset) };
            match (W, index) {
                // SAFETY: the whole group of 16 lies in `bytes`; no alignment is asked.
                (16, _) => unsafe { vst1q_s8(to, vector) },
                // SAFETY: the whole group of 8 lies in `bytes`; no alignment is asked.
                (8, 0) => unsafe { vst1q_lane_s64::<0>(to.cast(), halves) },
                // SAFETY: as above.
                (8, _) => unsafe { vst1q_lane_s64::<1>(to.cast(), halves) },
                // SAFETY: the whole group of 4 lies in `bytes`; no alignment is asked.
                (_, 0) => unsafe { vst1q_lane_s32::<0>(to.cast(), words) },
                // SAFETY: as above.
                (_, 1) => unsafe { vst1q_lane_s32::<1>(to.cast(), words) },
                // SAFETY: as above.
                (_, 2) => unsafe { vst1q_lane_s32::<2>(to.cast(), words) },
                // SAFETY: as above.
                (_, _) => unsafe { vst1q_lane_s32::<3>(to.cast(), words) },
            }
            offset = offset.wrapping_add(self.stride);
        }
        Some(())
    }
}

/// Consecutive tiles of a few pixels times the same channels.
#[derive(Debug)]
pub(crate) struct Tiles<'a, const P: usize> {
    pub(crate) pixels: &'a [i8],
    /// From one pixel to the next.
    pub(crate) stride: usize,
    pub(crate) weights: &'a [i8],
    /// Depth, in groups of the instruction set.
    pub(crate) steps: usize,
    pub(crate) finish: &'a Finish<P>,
    /// From the first output on.
    pub(crate) output: &'a mut [i8],
    /// From the output of a pixel to that of the next.
    pub(crate) channels: usize,
    pub(crate) tiles: usize,
}

/// Whether `count` runs of `len` bytes, `stride` apart, lie in `bytes`: the check of the loops in
/// assembly.
#[inline]
fn holds(bytes: &[i8], count: usize, stride: usize, len: usize) -> bool {
    let end = count.checked_sub(1).and_then(|last| last.checked_mul(stride));
    end.and_then(|last| last.checked_add(len)).is_some_and(|end| end <= bytes.len())
}
