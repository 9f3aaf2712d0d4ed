//! The inner product that convolution, pointwise and fully connected share: a few pixels, widened
//! once into the scratch, times panels of output channels.

use crate::{Isa, Layout};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;

/// The layout of a `[channels, depth]` filter that the tiles of `isa` read.
pub(crate) const fn layout(isa: Isa) -> Layout {
    match isa {
        Isa::Scalar => Layout::PLAIN,
        Isa::Avx2 => AVX2_LAYOUT,
    }
}

/// A panel: eight channels, which fill a register of int32, by two steps, which `vpmaddwd` sums.
pub(crate) const AVX2_LAYOUT: Layout = match Layout::new(8, 2) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Pixels that the tiles of `isa` widen at once.
pub(crate) const fn strip_pixels(isa: Isa, channels: usize, depth: usize) -> usize {
    match isa {
        Isa::Scalar => 0,
        Isa::Avx2 => {
            // A lone panel wants 8 pixels to fill the registers, a pair of panels 4.
            let tile = if channels.div_ceil(8) % 2 == 1 { 8 } else { 4 };
            // Weights beyond the second-level cache are read once a strip: make that pay.
            let mut pixels = tile;
            while channels.saturating_mul(depth) > AVX2_RESIDENT
                && pixels * 2 * row_bytes(depth) <= AVX2_STRIP
            {
                pixels *= 2;
            }
            pixels
        }
    }
}

/// Weights that may be read again for every tile.
const AVX2_RESIDENT: usize = 256 << 10;
/// Most scratch that is spent on reading larger weights more rarely.
const AVX2_STRIP: usize = 32 << 10;

/// Values between two pixels in the scratch: widening writes whole vectors of 16.
pub(crate) const fn row_len(depth: usize) -> usize {
    depth.saturating_add(30) / 16 * 16
}

const fn row_bytes(depth: usize) -> usize {
    row_len(depth).saturating_mul(2)
}

/// Scratch of a strip.
pub(crate) const fn scratch_bytes(isa: Isa, pixels: usize, depth: usize) -> usize {
    match isa {
        Isa::Scalar => 0,
        Isa::Avx2 => row_bytes(depth).saturating_mul(pixels),
    }
}
