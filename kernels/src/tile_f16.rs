//! The inner product that convolution, pointwise and fully connected share: a few pixels, widened
//! once into the scratch, times panels of output channels. Halves.

use crate::{Isa, Layout};

#[cfg(armv7em_f16)]
pub(crate) mod armv7em_dsp;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod lanes;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_fp16;

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

/// Scratch of a convolution: a strip of pixels in f32, as halves in packed tiles where AArch64 has
/// arithmetic on them, on Armv7E-M without Helium four as halves.
pub(crate) const fn scratch_bytes(isa: Isa, channels: usize, depth: usize) -> usize {
    // Weights that no near cache holds are read once a strip: make that pay.
    let large = channels.saturating_mul(depth) > RESIDENT;
    match isa {
        isa if isa.includes(Isa::NeonFp16) => {
            let limit = if large { LARGE_STRIP } else { HALF_STRIP };
            doubled_up_to(limit, packed_len(depth).saturating_mul(2))
        }
        isa if has_lanes(isa) => {
            let limit = if large { LARGE_STRIP } else { STRIP };
            doubled_up_to(limit, vector_scratch_bytes(isa, depth).saturating_mul(TALLEST))
        }
        isa if isa.includes(Isa::Mve) => vector_scratch_bytes(isa, depth).saturating_mul(MVE_TILE),
        isa if isa.includes(Isa::Armv7emDsp) => {
            vector_scratch_bytes(isa, depth).saturating_mul(ARMV7EM_TILE)
        }
        _ => 0,
    }
}

/// A tile, or as many as keep within `limit`: a power of two.
const fn doubled_up_to(limit: usize, tile: usize) -> usize {
    let mut bytes = tile;
    while bytes > 0 && bytes <= limit / 2 {
        bytes *= 2;
    }
    bytes
}

/// Scratch of a single pixel.
pub(crate) const fn vector_scratch_bytes(isa: Isa, depth: usize) -> usize {
    match isa {
        isa if isa.includes(Isa::NeonFp16) => depth.div_ceil(8).saturating_mul(16),
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
/// Pixels that are packed together for arithmetic on halves.
pub(crate) const HALF_TILE: usize = 8;

/// Halves of those: `[groups of eight steps][pixels][8]`.
pub(crate) const fn packed_len(depth: usize) -> usize {
    depth.div_ceil(8).saturating_mul(8 * HALF_TILE)
}

/// Pixels of the tallest tile.
const TALLEST: usize = 6;
/// Scratch that a strip keeps within unless a tile takes more.
const STRIP: usize = 2 << 10;
/// The same for halves.
const HALF_STRIP: usize = 16 << 10;
/// Scratch that is spent on reading large weights more rarely.
const LARGE_STRIP: usize = 64 << 10;
/// Weights that may be read again for every strip.
const RESIDENT: usize = 128 << 10;
