//! The inner product that convolution, pointwise and fully connected share: a few pixels, widened
//! once into the scratch, times panels of output channels. Halves.

use crate::{Isa, Layout};

#[cfg(armv7em_f16)]
pub(crate) mod armv7em_dsp;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2_f16c;

/// The layout of a `[channels, depth]` filter that the tiles of `isa` read.
pub(crate) const fn layout(isa: Isa) -> Layout {
    match isa {
        Isa::Avx2 => AVX2_LAYOUT,
        isa if isa.includes(Isa::Armv7emDsp) => ARMV7EM_LAYOUT,
        _ => Layout::PLAIN,
    }
}

/// A panel: eight channels, which fill a register of f32, step after step.
pub(crate) const AVX2_LAYOUT: Layout = match Layout::new(8, 1) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// A panel: four channels by two steps, which fill a word.
pub(crate) const ARMV7EM_LAYOUT: Layout = match Layout::new(4, 2) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Scratch of a convolution: a strip of pixels in f32, on Armv7E-M four as halves.
pub(crate) const fn scratch_bytes(isa: Isa, channels: usize, depth: usize) -> usize {
    match isa {
        Isa::Avx2 => {
            let row = vector_scratch_bytes(isa, depth);
            // Weights that no near cache holds are read once a strip: make that pay.
            let large = channels.saturating_mul(depth) > AVX2_RESIDENT;
            let limit = if large { AVX2_LARGE_STRIP } else { AVX2_STRIP };
            let mut pixels = AVX2_TILE;
            while row > 0 && 2 * pixels * row <= limit {
                pixels *= 2;
            }
            row.saturating_mul(pixels)
        }
        isa if isa.includes(Isa::Armv7emDsp) => {
            vector_scratch_bytes(isa, depth).saturating_mul(ARMV7EM_TILE)
        }
        _ => 0,
    }
}

/// Scratch of a single pixel.
pub(crate) const fn vector_scratch_bytes(isa: Isa, depth: usize) -> usize {
    match isa {
        Isa::Avx2 => depth.saturating_mul(4),
        isa if isa.includes(Isa::Armv7emDsp) => depth.div_ceil(2).saturating_mul(4),
        _ => 0,
    }
}

/// Pixels of a tile.
pub(crate) const ARMV7EM_TILE: usize = 4;
/// Pixels of the tallest tile.
const AVX2_TILE: usize = 6;
/// Scratch that a strip keeps within unless a tile takes more.
const AVX2_STRIP: usize = 2 << 10;
/// Scratch that is spent on reading large weights more rarely.
const AVX2_LARGE_STRIP: usize = 64 << 10;
/// Weights that may be read again for every strip.
const AVX2_RESIDENT: usize = 128 << 10;
