//! The inner product that convolution, pointwise and fully connected share: a few pixels, widened
//! once into the scratch, times panels of output channels.

use crate::{Epilogue, Filter, Isa, Layout};

#[cfg(armv7em)]
pub(crate) mod armv7em_dsp;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_dotprod;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon_i8mm;
#[cfg(any(armv6m, armv7m))]
pub(crate) mod no_dsp;

/// The layout of a `[channels, depth]` filter that the tiles of `isa` read.
pub(crate) const fn layout(isa: Isa) -> Layout {
    match isa {
        Isa::Scalar => Layout::PLAIN,
        Isa::Avx2 => AVX2_LAYOUT,
        Isa::Neon => NEON_LAYOUT,
        Isa::NeonDotprod | Isa::NeonFp16 => NEON_DOTPROD_LAYOUT,
        Isa::NeonI8mm => NEON_I8MM_LAYOUT,
        Isa::Armv6m | Isa::Armv7m => NO_DSP_LAYOUT,
        Isa::Armv7emDsp => Layout::WOVEN,
        Isa::Mve => MVE_LAYOUT,
    }
}

/// A panel: eight channels, which fill a register of int32, by two steps, which `vpmaddwd` sums.
pub(crate) const AVX2_LAYOUT: Layout = match Layout::new(8, 2) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// One channel after the other, an even number of steps of each.
pub(crate) const NO_DSP_LAYOUT: Layout = match Layout::new(1, 2) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Four channels by the 16 steps of a register; two products have to fit an int16.
pub(crate) const NEON_LAYOUT: Layout = match Layout::new(4, 16) {
    Ok(layout) => match layout.narrow() {
        Ok(layout) => layout,
        Err(_) => Layout::PLAIN,
    },
    Err(_) => Layout::PLAIN,
};

/// Four channels, which fill a register of int32, by the four steps that `SDOT` sums.
pub(crate) const NEON_DOTPROD_LAYOUT: Layout = match Layout::new(4, 4) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Four pairs of channels by the eight steps that `SMMLA` sums.
pub(crate) const NEON_I8MM_LAYOUT: Layout = match Layout::new(8, 8) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Scratch of a convolution: a strip of pixels, widened.
pub(crate) const fn scratch_bytes(isa: Isa, channels: usize, depth: usize) -> usize {
    match isa {
        Isa::Scalar => 0,
        Isa::Armv6m | Isa::Armv7m => no_dsp_scratch_bytes(channels, depth),
        Isa::Avx2 => {
            let row = row_bytes(depth);
            // A tile of six pixels, of three where that alone keeps within the strip; short
            // pixels take more, which spreads the cost of loading a panel's parameters.
            let mut pixels = match AVX2_STRIP.checked_div(row) {
                Some(3) => 3,
                Some(more) if more >= 6 => (if more < 30 { more } else { 30 }) / 6 * 6,
                _ => 6,
            };
            // Weights that no near cache holds are read once a strip: make that pay.
            if channels.saturating_mul(depth) > AVX2_RESIDENT {
                while pixels * 2 * row <= AVX2_LARGE_STRIP {
                    pixels *= 2;
                }
            }
            row.saturating_mul(pixels).saturating_add(AVX2_SLACK)
        }
        Isa::Neon | Isa::NeonDotprod | Isa::NeonFp16 => neon_strip_bytes(depth),
        // Once as rows and once as pairs.
        Isa::NeonI8mm => neon_strip_bytes(depth).saturating_mul(2),
        Isa::Armv7emDsp => armv7em_scratch_bytes(channels, depth),
        Isa::Mve => mve_scratch_bytes(channels, depth),
    }
}

/// Scratch of a single pixel.
pub(crate) const fn vector_scratch_bytes(isa: Isa, channels: usize, depth: usize) -> usize {
    match isa {
        Isa::Scalar => 0,
        Isa::Armv6m | Isa::Armv7m => no_dsp_scratch_bytes(channels, depth),
        Isa::Avx2 => row_bytes(depth).saturating_add(AVX2_SLACK),
        Isa::Neon | Isa::NeonDotprod | Isa::NeonFp16 => {
            neon_row_bytes(depth).saturating_add(NEON_SLACK)
        }
        // A row, and one twice over.
        Isa::NeonI8mm => neon_row_bytes(depth).saturating_mul(4).saturating_add(2 * NEON_SLACK),
        Isa::Armv7emDsp => armv7em_scratch_bytes(channels, depth),
        Isa::Mve => mve_group_bytes(channels),
    }
}

/// Scratch that a strip keeps within unless a tile takes more.
const AVX2_STRIP: usize = 1 << 10;
/// Scratch that is spent on reading large weights more rarely.
const AVX2_LARGE_STRIP: usize = 32 << 10;
/// Weights that may be read again for every strip.
const AVX2_RESIDENT: usize = 256 << 10;
/// What widening may write beyond the last pixel, since it writes whole vectors of 16.
pub(crate) const AVX2_SLACK: usize = 32;

/// Bytes of a widened pixel: whole pairs.
const fn row_bytes(depth: usize) -> usize {
    depth.div_ceil(2).saturating_mul(4)
}

/// What copying may write beyond the last pixel, since it writes whole vectors of 16.
pub(crate) const NEON_SLACK: usize = 32;
/// Bytes of pixels in a strip, unless eight take more.
const NEON_STRIP: usize = 16 << 10;

/// Bytes from one pixel to the next.
pub(crate) const fn neon_row_bytes(depth: usize) -> usize {
    depth.div_ceil(16).saturating_mul(16)
}

const fn neon_strip_bytes(depth: usize) -> usize {
    let row = neon_row_bytes(depth);
    let pixels = match NEON_STRIP.checked_div(row) {
        Some(pixels) if pixels > 8 => pixels / 8 * 8,
        _ => 8,
    };
    row.saturating_mul(pixels).saturating_add(NEON_SLACK)
}

/// Whether the tiles of a microcontroller compute all of this themselves, given `scratch` bytes.
pub(crate) fn is_taken(
    isa: Isa,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    scratch: usize,
    needed: usize,
) -> bool {
    let depth = match isa {
        // Whole blocks are multiplied, of which so many words are read.
        Isa::Armv7emDsp if filter.data().as_ptr().addr().is_multiple_of(4) => {
            filter.depth().div_ceil(4).saturating_mul(4)
        }
        Isa::Mve => filter.depth(),
        Isa::Armv7emDsp => return false,
        _ => return true,
    };
    filter.layout() == layout(isa)
        && scratch >= needed
        && (isa != Isa::Armv7emDsp || depth <= 4 * ARMV7EM_EXACT_BLOCKS)
        && epilogue.is_exact(isa, depth)
}

/// Blocks of four steps whose odd channel keeps within 24 bits: `512 * 128 * 127 < 2^23`.
pub(crate) const ARMV7EM_EXACT_BLOCKS: usize = 128;

/// Groups of four channels whose factors are prepared at a time.
pub(crate) const ARMV7EM_GROUPS: usize = 64;

/// Two pixels, 20 bytes for every four steps while they are widened, and the factors of a panel of
/// channels.
const fn armv7em_scratch_bytes(channels: usize, depth: usize) -> usize {
    let (blocks, groups) = (depth.div_ceil(4), channels.div_ceil(4));
    let groups = if groups < ARMV7EM_GROUPS { groups } else { ARMV7EM_GROUPS };
    blocks.saturating_mul(20).saturating_add(64 * groups)
}

/// Channels whose factors are prepared at a time.
pub(crate) const NO_DSP_CHANNELS: usize = 128;

/// Depth steps of whole pairs.
pub(crate) const fn no_dsp_steps(depth: usize) -> usize {
    depth.div_ceil(2).saturating_mul(2)
}

/// Four pixels in 16 bits a value, and the factors of a panel of channels.
const fn no_dsp_scratch_bytes(channels: usize, depth: usize) -> usize {
    let channels = if channels < NO_DSP_CHANNELS { channels } else { NO_DSP_CHANNELS };
    no_dsp_steps(depth).saturating_mul(8).saturating_add(16 * channels)
}

/// A group: four channels, which share two pixels in registers, by sixteen steps, a vector.
pub(crate) const MVE_LAYOUT: Layout = match Layout::new(4, 16) {
    Ok(layout) => layout,
    Err(_) => Layout::PLAIN,
};

/// Groups of four channels whose factors are prepared at a time.
pub(crate) const MVE_GROUPS: usize = 64;

/// Bytes that windows are gathered in unless two take more.
const MVE_STRIP: usize = 768;

/// The factors of a panel of channels.
const fn mve_group_bytes(channels: usize) -> usize {
    let groups = channels.div_ceil(4);
    64 * if groups < MVE_GROUPS { groups } else { MVE_GROUPS }
}

/// The same and a few windows.
const fn mve_scratch_bytes(channels: usize, depth: usize) -> usize {
    mve_pitch(depth).saturating_mul(mve_pixels(depth)).saturating_add(mve_group_bytes(channels))
}

/// Bytes from a gathered window to the next: whole vectors.
pub(crate) const fn mve_pitch(depth: usize) -> usize {
    depth.div_ceil(16).saturating_mul(16)
}

/// Windows that are gathered at a time: pairs.
pub(crate) const fn mve_pixels(depth: usize) -> usize {
    match (MVE_STRIP / 2).checked_div(mve_pitch(depth)) {
        Some(pairs) if pairs > 1 => 2 * pairs,
        _ => 2,
    }
}
