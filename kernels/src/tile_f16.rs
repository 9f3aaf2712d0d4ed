//! The inner product that convolution, pointwise and fully connected share: a few pixels, widened
//! once into the scratch, times panels of output channels. Halves.

use crate::{Isa, Layout};

#[cfg(armv7em_f16)]
pub(crate) mod armv7em_dsp;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
#[cfg(mve)]
pub(crate) mod mve;

/// Whether the cells on eight lanes run on it.
pub(crate) const fn has_lanes(isa: Isa) -> bool {
    isa.includes(Isa::Avx2) || isa.includes(Isa::Neon)
}

/// The layout of a `[channels, depth]` filter that the tiles of `isa` read.
pub(crate) const fn layout(isa: Isa) -> Layout {
    match isa {
        isa if has_lanes(isa) => LANES_LAYOUT,
        isa if isa.includes(Isa::Armv7emDsp) => ARMV7EM_LAYOUT,
        _ => Layout::PLAIN,
    }
}

/// A panel: eight channels, one a lane, step after step.
pub(crate) const LANES_LAYOUT: Layout = match Layout::new(8, 1) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// A panel: four channels by two steps, which fill a word.
pub(crate) const ARMV7EM_LAYOUT: Layout = match Layout::new(4, 2) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Scratch of a convolution: a strip of pixels in f32, on Armv7E-M without Helium four as halves.
pub(crate) const fn scratch_bytes(isa: Isa, channels: usize, depth: usize) -> usize {
    match isa {
        isa if has_lanes(isa) => {
            let row = vector_scratch_bytes(isa, depth);
            // Weights that no near cache holds are read once a strip: make that pay.
            let large = channels.saturating_mul(depth) > RESIDENT;
            let limit = if large { LARGE_STRIP } else { STRIP };
            let mut pixels = TALLEST;
            while row > 0 && 2 * pixels * row <= limit {
                pixels *= 2;
            }
            row.saturating_mul(pixels)
        }
        isa if isa.includes(Isa::Mve) => vector_scratch_bytes(isa, depth).saturating_mul(MVE_TILE),
        isa if isa.includes(Isa::Armv7emDsp) => {
            vector_scratch_bytes(isa, depth).saturating_mul(ARMV7EM_TILE)
        }
        _ => 0,
    }
}

/// Scratch of a single pixel.
pub(crate) const fn vector_scratch_bytes(isa: Isa, depth: usize) -> usize {
    match isa {
        isa if has_lanes(isa) => depth.saturating_mul(4),
        isa if isa.includes(Isa::Mve) => depth.div_ceil(2).saturating_mul(8),
        isa if isa.includes(Isa::Armv7emDsp) => depth.div_ceil(2).saturating_mul(4),
        _ => 0,
    }
}

/// Pixels of a tile.
pub(crate) const ARMV7EM_TILE: usize = 4;
/// The same for Helium.
pub(crate) const MVE_TILE: usize = 6;
/// Pixels of the tallest tile.
const TALLEST: usize = 6;
/// Scratch that a strip keeps within unless a tile takes more.
const STRIP: usize = 2 << 10;
/// Scratch that is spent on reading large weights more rarely.
const LARGE_STRIP: usize = 64 << 10;
/// Weights that may be read again for every strip.
const RESIDENT: usize = 128 << 10;
