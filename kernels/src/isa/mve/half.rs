//! Halves: vectors of four channels in f32, widened by `VCVTB` and `VCVTT`, times one value of a pixel.
//!
//! Products of halves are exact in f32, so that `VFMA` changes no bit. Vectors flush subnormal numbers to
//! zero; [`is_exact`] says where that changes none. Of the eight vector registers two hold weights,
//! which leaves six sums: six pixels.

use crate::{ClampF16, EpilogueF16, F16};
use core::arch::asm;

/// The clamped half of a sum; q6 and q7 are the bounds.
macro_rules! narrow {
    ($sums:literal) => {
        narrow!($sums, "q6", "q7")
    };
    ($sums:literal, $min:literal, $max:literal) => {
        concat!(
            "vmaxnm.f32 ",
            $sums,
            ", ",
            $sums,
            ", ",
            $min,
            "\n",
            "vminnm.f32 ",
            $sums,
            ", ",
            $sums,
            ", ",
            $max,
            "\n",
            "vcvtb.f16.f32 ",
            $sums,
            ", ",
            $sums,
            "\n",
        )
    };
}

/// Four channels by two steps.
pub(crate) type Weights = [u32; 4];

/// Whether vectors give scalar's bits. Sums of halves and of their products are multiples of 2^-48 and
/// never subnormal, but a bias can be.
pub(crate) fn is_exact(epilogue: &EpilogueF16<'_>) -> bool {
    is_exact_clamp(epilogue.clamp) && epilogue.bias.iter().all(|bias| !bias.is_subnormal())
}

/// The same of a clamp: bounds can be subnormal, and `VMAXNM` and `VMINNM` order zeros by their sign,
/// where scalar takes the bound.
pub(crate) fn is_exact_clamp(ClampF16 { min, max }: ClampF16) -> bool {
    min.to_bits() != (-0.0_f32).to_bits()
        && max.to_bits() != 0
        && !min.is_subnormal()
        && !max.is_subnormal()
}

/// Adds halves until one of the three ends; without a first input it is the output.
pub(crate) fn add(lhs: Option<&[F16]>, rhs: &[F16], clamp: ClampF16, output: &mut [F16]) {
    let count = lhs.map_or(output.len(), <[F16]>::len).min(rhs.len()).min(output.len());
    let to = output.as_mut_ptr();
    // SAFETY: all three hold `count` values, and each is read before it is written.
    unsafe {
        asm!(
            "vdup.32 q2, {min}",
            "vdup.32 q3, {max}",
            "wlstp.32 lr, {count}, 3f",
            "2:",
            "vldrh.u32 q0, [r0], #8",
            "vldrh.u32 q1, [r1], #8",
            "vcvtb.f32.f16 q0, q0",
            "vcvtb.f32.f16 q1, q1",
            "vadd.f32 q0, q0, q1",
            narrow!("q0", "q2", "q3"),
            "vstrh.32 q0, [r2], #8",
            "letp lr, 2b",
            "3:",
            count = in(reg) count,
            min = in(reg) clamp.min.to_bits(),
            max = in(reg) clamp.max.to_bits(),
            inout("r0") lhs.map_or(to.cast_const(), <[F16]>::as_ptr) => _,
            inout("r1") rhs.as_ptr() => _,
            inout("r2") to => _,
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            out("d4") _,
            out("d5") _,
            out("d6") _,
            out("d7") _,
            options(nostack),
        );
    }
}

/// Adds to up to four channels' `sums` their values in `count` pixels, the first of `values` and every
/// `distance` values behind it. Does nothing when `values` is shorter than that takes.
pub(crate) fn add_pixels(values: &[F16], distance: usize, count: usize, sums: &mut [f32]) {
    let channels = sums.len().min(4);
    let Some(last) = count.checked_sub(1) else { return };
    if last.saturating_mul(distance).saturating_add(channels) > values.len() {
        return;
    }
    // SAFETY: every pixel lies within `values`; lanes beyond the channels are neither read nor written.
    unsafe {
        asm!(
            "vctp.32 {channels}",
            "vpst",
            "vldrwt.u32 q0, [r1]",
            "dls lr, {count}",
            "2:",
            "vpst",
            "vldrht.u32 q1, [r0]",
            "add r0, r0, {distance}, lsl #1",
            "vcvtb.f32.f16 q1, q1",
            "vadd.f32 q0, q0, q1",
            "le lr, 2b",
            "vpst",
            "vstrwt.32 q0, [r1]",
            channels = in(reg) channels,
            count = in(reg) count,
            distance = in(reg) distance,
            inout("r0") values.as_ptr() => _,
            in("r1") sums.as_mut_ptr(),
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            options(nostack),
        );
    }
}

/// Pixels that lie in the same distance from each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    pub(crate) values: &'a [F16],
    /// Values of each.
    pub(crate) len: usize,
    pub(crate) count: usize,
    /// Values from the start of one to that of the next.
    pub(crate) distance: usize,
}

/// Widens pixels: those to come side by side in `to`, the values of each `pitch` apart. Does nothing
/// when either is shorter than that takes.
#[inline]
pub(crate) fn widen(pixels: Pixels<'_>, to: &mut [f32], pitch: usize) {
    let Pixels { values, len, count, distance } = pixels;
    let (Some(last), Some(last_pixel)) = (len.checked_sub(1), count.checked_sub(1)) else { return };
    let fits = last_pixel.saturating_mul(distance).saturating_add(len) <= values.len()
        && last.saturating_mul(pitch).saturating_add(count) <= to.len();
    if !fits {
        return;
    }
    // SAFETY: as just checked, both hold what is read and written.
    unsafe {
        asm!(
            "vidup.u32 q1, r2, #1",
            "vmul.i32 q1, q1, {pitch}",
            "4:",
            "mov r0, {from}",
            "mov r2, {to}",
            "wlstp.32 lr, {len}, 3f",
            "2:",
            "vldrh.u32 q0, [r0], #8",
            "vcvtb.f32.f16 q0, q0",
            "vstrw.32 q0, [r2, q1, uxtw #2]",
            "add r2, r2, {pitch}, lsl #4",
            "letp lr, 2b",
            "3:",
            "add {from}, {from}, {distance}, lsl #1",
            "add {to}, {to}, #4",
            "subs {count}, {count}, #1",
            "bne 4b",
            pitch = in(reg) pitch,
            from = inout(reg) values.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            len = in(reg) len,
            count = inout(reg) count => _,
            distance = in(reg) distance,
            out("r0") _,
            inout("r2") 0 => _,
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            options(nostack),
        );
    }
}

/// Zeros to `len` values of `to`, `pitch` apart, until it ends.
#[inline]
pub(crate) fn clear(to: &mut [f32], len: usize, pitch: usize) {
    let len = len.min(to.len().div_ceil(pitch.max(1)));
    // SAFETY: the last of the values is `pitch * (len - 1)` values behind the start.
    unsafe {
        asm!(
            "vidup.u32 q1, r2, #1",
            "vmul.i32 q1, q1, {pitch}",
            "vmov.i32 q0, #0",
            "wlstp.32 lr, {len}, 3f",
            "2:",
            "vstrw.32 q0, [{to}, q1, uxtw #2]",
            "add {to}, {to}, {pitch}, lsl #4",
            "letp lr, 2b",
            "3:",
            pitch = in(reg) pitch,
            to = inout(reg) to.as_mut_ptr() => _,
            len = in(reg) len,
            inout("r2") 0 => _,
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            options(nostack),
        );
    }
}

/// What the tiles read, passed by value: the first four words in registers.
#[repr(C)]
struct Tile {
    weights: *const Weights,
    pixels: *const f32,
    output: *mut F16,
    bias: *const f32,
    channels: usize,
    /// Pairs of steps.
    pairs: usize,
    clamp: [f32; 2],
    /// Bytes from the first pixel's outputs to those of the others.
    others: [usize; 5],
}

impl Tile {
    /// `None` unless everything lies within its slice.
    fn new<const PIXELS: usize>(
        weights: &[Weights],
        pixels: &[[f32; PIXELS]],
        epilogue: &EpilogueF16<'_>,
        output: &mut [F16],
    ) -> Option<Self> {
        let channels = epilogue.bias.len();
        let pairs = pixels.len() / 2;
        let count = output.len().checked_div(channels)?.min(PIXELS);
        let fits =
            count > 0 && pairs > 0 && weights.len() >= channels.div_ceil(4).checked_mul(pairs)?;
        let pitch = 2 * channels;
        fits.then(|| Self {
            weights: weights.as_ptr(),
            pixels: pixels.as_ptr().cast(),
            output: output.as_mut_ptr(),
            bias: epilogue.bias.as_ptr(),
            channels,
            pairs,
            clamp: [epilogue.clamp.min, epilogue.clamp.max],
            // Pixels that nobody asked for go where the last one follows.
            others: [1, 2, 3, 4, 5].map(|pixel| pixel.min(count - 1) * pitch),
        })
    }
}

/// All channels of up to six pixels, as many as `output` holds, whose steps lie side by side. Of an odd
/// depth the last step is of zeros. Does nothing when something is shorter than that takes.
///
/// 18 instructions for 48 products.
pub(crate) fn tile_6(
    weights: &[Weights],
    pixels: &[[f32; 6]],
    epilogue: &EpilogueF16<'_>,
    output: &mut [F16],
) {
    if let Some(tile) = Tile::new(weights, pixels, epilogue, output) {
        // SAFETY: `Tile` has checked every length.
        unsafe { tile_6_channels(tile) }
    }
}

/// [`tile_6`] of one pixel: 7 instructions for 8 products.
pub(crate) fn tile_1(
    weights: &[Weights],
    pixel: &[[f32; 1]],
    epilogue: &EpilogueF16<'_>,
    output: &mut [F16],
) {
    if let Some(tile) = Tile::new(weights, pixel, epilogue, output) {
        // SAFETY: `Tile` has checked every length.
        unsafe { tile_1_channels(tile) }
    }
}

/// Groups of four channels around the sums and their outputs.
macro_rules! tile {
    ([$($zero:expr,)*], [$($products:expr,)*], [$($then:expr,)*]) => {
        routine!(
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
            "mov r8, r2",
            "mov r9, r3",
            "mov r11, r1",
            // The rest is at sp + 100.
            "ldr r10, [sp, #100]",
            "2:",
            "ldr lr, [sp, #104]",
            "mov r1, r11",
            $($zero,)*
            "dls lr, lr",
            "3:",
            "vldrw.u32 q6, [r0], #16",
            $($products,)*
            "le lr, 3b",
            // The last group may have fewer channels.
            "vctp.32 r10",
            "ldrd r2, r3, [sp, #108]",
            "vpst",
            "vldrwt.u32 q6, [r9], #16",
            $($then,)*
            "add r8, #8",
            "subs r10, #4",
            "bgt 2b",
            "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        )
    };
}

/// A step of six pixels times the weights in `$weights`.
macro_rules! step {
    ($weights:literal) => {
        concat!(
            "vfma.f32 q0, ",
            $weights,
            ", r2\n",
            "vfma.f32 q1, ",
            $weights,
            ", r3\n",
            "vfma.f32 q2, ",
            $weights,
            ", r4\n",
            "vfma.f32 q3, ",
            $weights,
            ", r5\n",
            "vfma.f32 q4, ",
            $weights,
            ", r6\n",
            "vfma.f32 q5, ",
            $weights,
            ", r7\n",
        )
    };
}

/// # Safety
/// A sound tile of six pixels.
#[unsafe(naked)]
unsafe extern "C" fn tile_6_channels(tile: Tile) {
    tile!(
        [
            "vmov.i32 q0, #0",
            "vmov.i32 q1, #0",
            "vmov.i32 q2, #0",
            "vmov.i32 q3, #0",
            "vmov.i32 q4, #0",
            "vmov.i32 q5, #0",
        ],
        [
            "ldm r1!, {{r2, r3, r4, r5, r6, r7}}",
            "vcvtt.f32.f16 q7, q6",
            "vcvtb.f32.f16 q6, q6",
            step!("q6"),
            "ldm r1!, {{r2, r3, r4, r5, r6, r7}}",
            step!("q7"),
        ],
        [
            "vadd.f32 q0, q0, q6",
            "vadd.f32 q1, q1, q6",
            "vadd.f32 q2, q2, q6",
            "vadd.f32 q3, q3, q6",
            "vadd.f32 q4, q4, q6",
            "vadd.f32 q5, q5, q6",
            "vdup.32 q6, r2",
            "vdup.32 q7, r3",
            narrow!("q0"),
            narrow!("q1"),
            narrow!("q2"),
            narrow!("q3"),
            narrow!("q4"),
            narrow!("q5"),
            "add r12, sp, #116",
            "ldm r12, {{r2, r3, r4, r5, r6}}",
            "mov r7, r8",
            "add r2, r8",
            "add r3, r8",
            "add r4, r8",
            "add r5, r8",
            "add r6, r8",
            // Backwards, so that the last pixel asked for comes after those nobody did.
            "vpstttt",
            "vstrht.32 q5, [r6]",
            "vstrht.32 q4, [r5]",
            "vstrht.32 q3, [r4]",
            "vstrht.32 q2, [r3]",
            "vpstt",
            "vstrht.32 q1, [r2]",
            "vstrht.32 q0, [r7]",
        ]
    )
}

/// # Safety
/// A sound tile of one pixel.
#[unsafe(naked)]
unsafe extern "C" fn tile_1_channels(tile: Tile) {
    tile!(
        ["vmov.i32 q0, #0",],
        [
            "ldrd r2, r3, [r1], #8",
            "vcvtt.f32.f16 q7, q6",
            "vcvtb.f32.f16 q6, q6",
            "vfma.f32 q0, q6, r2",
            "vfma.f32 q0, q7, r3",
        ],
        [
            "vadd.f32 q0, q0, q6",
            "vdup.32 q6, r2",
            "vdup.32 q7, r3",
            narrow!("q0"),
            "mov r7, r8",
            "vpst",
            "vstrht.32 q0, [r7]",
        ]
    )
}
