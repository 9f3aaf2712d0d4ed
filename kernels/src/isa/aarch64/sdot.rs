//! `SDOT`: four products of int8 added to each int32.

use super::finish::{
    bias, clamp, narrow, next, of_kind, parameters, scale, scale_four, start, vector_asm,
};
use super::places::windows_asm;
use super::{Tiles, WindowTiles, holds};
use core::arch::aarch64::*;
use core::arch::asm;

/// `sums[i] + sum(a[4 * i + j] * b[4 * LANE + j])` over j.
#[inline]
#[target_feature(enable = "dotprod")]
pub(crate) fn sdot_lane<const LANE: i32>(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let mut result = sums;
    // SAFETY: computes on registers; the feature is enabled.
    unsafe {
        asm!(
            "sdot {0:v}.4s, {1:v}.16b, {2:v}.4b[{lane}]",
            inout(vreg) result, in(vreg) a, in(vreg) b, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    result
}

/// Four depth steps of four channels: a weight vector times a lane of a pixel.
macro_rules! one {
    ($w:literal, $lane:literal, $pixel:literal, $sum:literal) => {
        concat!("sdot ", $sum, ".4s, ", $w, ".16b, ", $pixel, ".4b[", $lane, "]\n")
    };
}

/// The same of four pixels.
macro_rules! four {
    ($w:literal, $lane:literal, [$p0:literal $p1:literal $p2:literal $p3:literal],
     [$s0:literal $s1:literal $s2:literal $s3:literal]) => {
        concat!(
            one!($w, $lane, $p0, $s0),
            one!($w, $lane, $p1, $s1),
            one!($w, $lane, $p2, $s2),
            one!($w, $lane, $p3, $s3),
        )
    };
}

/// Sixteen steps of four channels, by `one` or `four`.
macro_rules! sixteen {
    ($products:ident, $weights:literal, $pixels:tt, $sums:tt) => {
        concat!(
            "ldp q8, q9, [{",
            $weights,
            "}], #32\n",
            "ldp q10, q11, [{",
            $weights,
            "}], #32\n",
            $products!("v8", "0", $pixels, $sums),
            $products!("v9", "1", $pixels, $sums),
            $products!("v10", "2", $pixels, $sums),
            $products!("v11", "3", $pixels, $sums),
        )
    };
}

/// Sixteen steps of all channels.
macro_rules! step {
    ($pixels:tt) => {
        concat!(
            sixteen!(four, "w0", $pixels, ["v16" "v20" "v24" "v28"]),
            sixteen!(four, "w1", $pixels, ["v17" "v21" "v25" "v29"]),
            sixteen!(four, "w2", $pixels, ["v18" "v22" "v26" "v30"]),
            sixteen!(four, "w3", $pixels, ["v19" "v23" "v27" "v31"]),
        )
    };
}

/// The outputs of one pixel.
macro_rules! pixel {
    ($kind:ident, [$a:literal $b:literal $c:literal $d:literal]) => {
        concat!(
            scale_four!($kind, [$a $b $c $d]),
            narrow!($kind, [$a $b $c $d], "v12", "v13", "v14"),
            "st1 {{", $a, ".16b}}, [{out}], {channels}\n",
        )
    };
}

/// All steps of four runs of `steps`, 16 at a time; what is left of them in `n`'s lowest two bits.
macro_rules! steps {
    () => {
        concat!(
            "subs {n}, {steps}, #8\n",
            "b.lo 4f\n",
            "3:\n",
            "ldp q0, q1, [{p0}], #32\n",
            "ldp q2, q3, [{p1}], #32\n",
            "ldp q4, q5, [{p2}], #32\n",
            "ldp q6, q7, [{p3}], #32\n",
            step!(["v0" "v2" "v4" "v6"]),
            step!(["v1" "v3" "v5" "v7"]),
            "subs {n}, {n}, #8\n",
            "b.hs 3b\n",
            "4:\n",
            "tbz {n}, #2, 5f\n",
            "ldr q0, [{p0}], #16\n",
            "ldr q2, [{p1}], #16\n",
            "ldr q4, [{p2}], #16\n",
            "ldr q6, [{p3}], #16\n",
            step!(["v0" "v2" "v4" "v6"]),
            "5:\n",
        )
    };
}

/// Goes to the weights of each panel.
macro_rules! panels {
    () => {
        concat!(
            "mov {w0}, {weights}\n",
            "add {w1}, {weights}, {panel}\n",
            "add {w2}, {w1}, {panel}\n",
            "add {w3}, {w2}, {panel}\n",
        )
    };
}

/// The outputs of four pixels.
macro_rules! outputs {
    ($kind:ident) => {
        concat!(
            parameters!($kind),
            pixel!($kind, ["v16" "v17" "v18" "v19"]),
            pixel!($kind, ["v20" "v21" "v22" "v23"]),
            pixel!($kind, ["v24" "v25" "v26" "v27"]),
            pixel!($kind, ["v28" "v29" "v30" "v31"]),
        )
    };
}

/// Registers: 16 sums, 8 pixels, 4 weights of 32; then the sums and 16 of a `Finish<4>`.
macro_rules! tiles {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads four runs of 4 * steps bytes in `pixels` and four of
        // 16 * steps, one after the other, in `weights` and writes four runs of 16 in `output`, all
        // of which the caller has checked.
        unsafe {
            vector_asm!(
                "2:",
                start!(),
                panels!(),
                steps!(),
                "ands {n}, {n}, #3",
                "b.eq 7f",
                "6:",
                "ldr s0, [{p0}], #4",
                "ldr s2, [{p1}], #4",
                "ldr s4, [{p2}], #4",
                "ldr s6, [{p3}], #4",
                "ldr q8, [{w0}], #16",
                "ldr q9, [{w1}], #16",
                "ldr q10, [{w2}], #16",
                "ldr q11, [{w3}], #16",
                four!("v8", "0", ["v0" "v2" "v4" "v6"], ["v16" "v20" "v24" "v28"]),
                four!("v9", "0", ["v0" "v2" "v4" "v6"], ["v17" "v21" "v25" "v29"]),
                four!("v10", "0", ["v0" "v2" "v4" "v6"], ["v18" "v22" "v26" "v30"]),
                four!("v11", "0", ["v0" "v2" "v4" "v6"], ["v19" "v23" "v27" "v31"]),
                "subs {n}, {n}, #1",
                "b.ne 6b",
                "7:",
                outputs!($kind),
                next!(),
                "subs {tiles}, {tiles}, #1",
                "b.ne 2b",
                p0 = inout(reg) $work.pixels.as_ptr() => _,
                p1 = inout(reg) $work.pixels.as_ptr().wrapping_add($work.stride) => _,
                p2 = inout(reg) $work.pixels.as_ptr().wrapping_add(2 * $work.stride) => _,
                p3 = inout(reg) $work.pixels.as_ptr().wrapping_add(3 * $work.stride) => _,
                next = in(reg) (4 * $work.stride).wrapping_sub(4 * $work.steps),
                weights = in(reg) $work.weights.as_ptr(),
                panel = in(reg) 16 * $work.steps,
                w0 = out(reg) _,
                w1 = out(reg) _,
                w2 = out(reg) _,
                w3 = out(reg) _,
                n = out(reg) _,
                steps = in(reg) $work.steps,
                finish = in(reg) $work.finish,
                out = inout(reg) $work.output.as_mut_ptr() => _,
                channels = in(reg) $work.channels,
                tiles = inout(reg) $work.tiles => _,
            );
        }
    };
}

/// Outputs of tiles of four pixels times 16 channels over `steps` times 4 depth steps. Weights are
/// four panels of `[steps][4][4]`, one after the other.
///
/// `None`, and nothing done, without a tile or when a slice is too short.
#[inline]
#[target_feature(enable = "dotprod")]
pub(crate) fn sdot_4x16<const K: u8>(work: Tiles<'_, 4>) -> Option<()> {
    let Tiles { pixels, stride, weights, steps, output, channels, tiles, .. } = &work;
    let (pixels_fit, outputs_fit) =
        (holds(pixels, 4 * tiles, *stride, steps * 4), holds(output, 4 * tiles, *channels, 16));
    if weights.len() / 64 < *steps || !pixels_fit || !outputs_fit {
        return None;
    }
    of_kind!(K, tiles, work);
    Some(())
}

/// Sixteen steps of all channels and one pixel.
macro_rules! one_step {
    ($pixel:literal) => {
        concat!(
            sixteen!(one, "w0", $pixel, "v16"),
            sixteen!(one, "w1", $pixel, "v17"),
            sixteen!(one, "w2", $pixel, "v18"),
            sixteen!(one, "w3", $pixel, "v19"),
        )
    };
}

/// The same as `tiles`, of one pixel each.
macro_rules! single_tiles {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads a run of 4 * steps bytes in `pixels` and four of 16 * steps,
        // one after the other, in `weights` and writes a run of 16 in `output`, all of which the
        // caller has checked.
        unsafe {
            vector_asm!(
                "2:",
                bias!(["q16" "q17" "q18" "q19"]),
                panels!(),
                "subs {n}, {steps}, #8",
                "b.lo 4f",
                "3:",
                "ldp q0, q1, [{p0}], #32",
                one_step!("v0"),
                one_step!("v1"),
                "subs {n}, {n}, #8",
                "b.hs 3b",
                "4:",
                "tbz {n}, #2, 5f",
                "ldr q0, [{p0}], #16",
                one_step!("v0"),
                "5:",
                "ands {n}, {n}, #3",
                "b.eq 7f",
                "6:",
                "ldr s0, [{p0}], #4",
                "ldr q8, [{w0}], #16",
                "ldr q9, [{w1}], #16",
                "ldr q10, [{w2}], #16",
                "ldr q11, [{w3}], #16",
                one!("v8", "0", "v0", "v16"),
                one!("v9", "0", "v0", "v17"),
                one!("v10", "0", "v0", "v18"),
                one!("v11", "0", "v0", "v19"),
                "subs {n}, {n}, #1",
                "b.ne 6b",
                "7:",
                parameters!($kind),
                pixel!($kind, ["v16" "v17" "v18" "v19"]),
                "add {p0}, {p0}, {next}",
                "subs {tiles}, {tiles}, #1",
                "b.ne 2b",
                p0 = inout(reg) $work.pixels.as_ptr() => _,
                next = in(reg) $work.stride.wrapping_sub(4 * $work.steps),
                weights = in(reg) $work.weights.as_ptr(),
                panel = in(reg) 16 * $work.steps,
                w0 = out(reg) _,
                w1 = out(reg) _,
                w2 = out(reg) _,
                w3 = out(reg) _,
                n = out(reg) _,
                steps = in(reg) $work.steps,
                finish = in(reg) $work.finish,
                out = inout(reg) $work.output.as_mut_ptr() => _,
                channels = in(reg) $work.channels,
                tiles = inout(reg) $work.tiles => _,
            );
        }
    };
}

/// [`sdot_4x16`] of single pixels.
#[inline]
#[target_feature(enable = "dotprod")]
pub(crate) fn sdot_1x16<const K: u8>(work: Tiles<'_, 4>) -> Option<()> {
    let Tiles { pixels, stride, weights, steps, output, channels, tiles, .. } = &work;
    let (pixels_fit, outputs_fit) =
        (holds(pixels, *tiles, *stride, steps * 4), holds(output, *tiles, *channels, 16));
    if weights.len() / 64 < *steps || !pixels_fit || !outputs_fit {
        return None;
    }
    of_kind!(K, single_tiles, work);
    Some(())
}

/// The same of windows.
macro_rules! windows {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads four places, at each of them runs of 4 * steps bytes in
        // every row, four times 16 * steps * rows, one after the other, in `weights` and writes four
        // runs of 16 in `output`, all of which `Places` or the caller has checked.
        unsafe {
            windows_asm!(
                $work,
                4,
                [start!(), panels!(),],
                [steps!(),],
                [outputs!($kind),],
                panel = in(reg) 4 * $work.places.len() * $work.places.rows(),
                w0 = out(reg) _,
                w1 = out(reg) _,
                w2 = out(reg) _,
                w3 = out(reg) _,
            );
        }
    };
}

/// [`sdot_4x16`] of windows, whose rows have a multiple of 16 bytes.
#[inline]
#[target_feature(enable = "dotprod")]
pub(crate) fn sdot_windows<const K: u8>(work: WindowTiles<'_, '_, 4>) -> Option<()> {
    work.fit(16, 4, 16).then(|| of_kind!(K, windows, work))
}

/// Four depth steps of eight pixels: `four` twice.
macro_rules! eight {
    ($w:literal, $lane:literal, $low:tt, $high:tt) => {
        concat!(
            four!($w, $lane, ["v0" "v1" "v2" "v3"], $low),
            four!($w, $lane, ["v4" "v5" "v6" "v7"], $high),
        )
    };
}

/// Sixteen steps of a panel and eight pixels.
macro_rules! eight_sixteen {
    ($weights:literal, $low:tt, $high:tt) => {
        concat!(
            "ldp q8, q9, [{",
            $weights,
            "}], #32\n",
            "ldp q10, q11, [{",
            $weights,
            "}], #32\n",
            eight!("v8", "0", $low, $high),
            eight!("v9", "1", $low, $high),
            eight!("v10", "2", $low, $high),
            eight!("v11", "3", $low, $high),
        )
    };
}

/// The outputs of two pixels.
macro_rules! two_pixels {
    ($kind:ident, [$a:literal $b:literal $c:literal $d:literal]) => {
        concat!(
            scale!($kind, $a, "v0", "v2", "v8", "v7"),
            scale!($kind, $b, "v1", "v3", "v9", "v7"),
            scale!($kind, $c, "v0", "v2", "v8", "v7"),
            scale!($kind, $d, "v1", "v3", "v9", "v7"),
            narrow!($kind, [$a $b $c $d], "v4", "v5", "v6"),
            "st1 {{", $a, ".d}}[0], [{out}], {channels}\n",
            "st1 {{", $a, ".d}}[1], [{out}], {channels}\n",
        )
    };
}

/// Registers: 16 sums, 8 pixels, 4 weights of 32; then the sums and 10 of a `Finish<2>`.
macro_rules! narrow_tiles {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads eight runs of 4 * steps bytes in `pixels` and two of
        // 16 * steps, one after the other, in `weights` and writes eight runs of 8 in `output`, all
        // of which the caller has checked.
        unsafe {
            vector_asm!(
                "2:",
                "ldp q16, q17, [{finish}]",
                "ldp q18, q19, [{finish}]",
                "ldp q20, q21, [{finish}]",
                "ldp q22, q23, [{finish}]",
                "ldp q24, q25, [{finish}]",
                "ldp q26, q27, [{finish}]",
                "ldp q28, q29, [{finish}]",
                "ldp q30, q31, [{finish}]",
                "mov {w0}, {weights}",
                "add {w1}, {weights}, {panel}",
                "subs {n}, {steps}, #4",
                "b.lo 4f",
                "3:",
                "ldr q0, [{p0}], #16",
                "ldr q1, [{p1}], #16",
                "ldr q2, [{p2}], #16",
                "ldr q3, [{p3}], #16",
                "ldr q4, [{p4}], #16",
                "ldr q5, [{p5}], #16",
                "ldr q6, [{p6}], #16",
                "ldr q7, [{p7}], #16",
                eight_sixteen!("w0", ["v16" "v18" "v20" "v22"], ["v24" "v26" "v28" "v30"]),
                eight_sixteen!("w1", ["v17" "v19" "v21" "v23"], ["v25" "v27" "v29" "v31"]),
                "subs {n}, {n}, #4",
                "b.hs 3b",
                "4:",
                "ands {n}, {n}, #3",
                "b.eq 6f",
                "5:",
                "ldr s0, [{p0}], #4",
                "ldr s1, [{p1}], #4",
                "ldr s2, [{p2}], #4",
                "ldr s3, [{p3}], #4",
                "ldr s4, [{p4}], #4",
                "ldr s5, [{p5}], #4",
                "ldr s6, [{p6}], #4",
                "ldr s7, [{p7}], #4",
                "ldr q8, [{w0}], #16",
                "ldr q9, [{w1}], #16",
                eight!("v8", "0", ["v16" "v18" "v20" "v22"], ["v24" "v26" "v28" "v30"]),
                eight!("v9", "0", ["v17" "v19" "v21" "v23"], ["v25" "v27" "v29" "v31"]),
                "subs {n}, {n}, #1",
                "b.ne 5b",
                "6:",
                "ldp q0, q1, [{finish}, #32]",
                "ldp q2, q3, [{finish}, #64]",
                "ldp q8, q9, [{finish}, #96]",
                "ldp q4, q5, [{finish}, #128]",
                "ldr q6, [{finish}, #160]",
                two_pixels!($kind, ["v16" "v17" "v18" "v19"]),
                two_pixels!($kind, ["v20" "v21" "v22" "v23"]),
                two_pixels!($kind, ["v24" "v25" "v26" "v27"]),
                two_pixels!($kind, ["v28" "v29" "v30" "v31"]),
                "add {p0}, {p0}, {next}",
                "add {p1}, {p1}, {next}",
                "add {p2}, {p2}, {next}",
                "add {p3}, {p3}, {next}",
                "add {p4}, {p4}, {next}",
                "add {p5}, {p5}, {next}",
                "add {p6}, {p6}, {next}",
                "add {p7}, {p7}, {next}",
                "subs {tiles}, {tiles}, #1",
                "b.ne 2b",
                p0 = inout(reg) $work.pixels.as_ptr() => _,
                p1 = inout(reg) $work.pixels.as_ptr().wrapping_add($work.stride) => _,
                p2 = inout(reg) $work.pixels.as_ptr().wrapping_add(2 * $work.stride) => _,
                p3 = inout(reg) $work.pixels.as_ptr().wrapping_add(3 * $work.stride) => _,
                p4 = inout(reg) $work.pixels.as_ptr().wrapping_add(4 * $work.stride) => _,
                p5 = inout(reg) $work.pixels.as_ptr().wrapping_add(5 * $work.stride) => _,
                p6 = inout(reg) $work.pixels.as_ptr().wrapping_add(6 * $work.stride) => _,
                p7 = inout(reg) $work.pixels.as_ptr().wrapping_add(7 * $work.stride) => _,
                next = in(reg) (8 * $work.stride).wrapping_sub(4 * $work.steps),
                weights = in(reg) $work.weights.as_ptr(),
                panel = in(reg) 16 * $work.steps,
                w0 = out(reg) _,
                w1 = out(reg) _,
                n = out(reg) _,
                steps = in(reg) $work.steps,
                finish = in(reg) $work.finish,
                out = inout(reg) $work.output.as_mut_ptr() => _,
                channels = in(reg) $work.channels,
                tiles = inout(reg) $work.tiles => _,
            );
        }
    };
}

/// Outputs of tiles of eight pixels times eight channels over `steps` times 4 depth steps. Weights
/// are two panels of `[steps][4][4]`, one after the other.
///
/// `None`, and nothing done, without a tile or when a slice is too short.
#[inline]
#[target_feature(enable = "dotprod")]
pub(crate) fn sdot_8x8<const K: u8>(work: Tiles<'_, 2>) -> Option<()> {
    let Tiles { pixels, stride, weights, steps, output, channels, tiles, .. } = &work;
    let (pixels_fit, outputs_fit) =
        (holds(pixels, 8 * tiles, *stride, steps * 4), holds(output, 8 * tiles, *channels, 8));
    if weights.len() / 32 < *steps || !pixels_fit || !outputs_fit {
        return None;
    }
    of_kind!(K, narrow_tiles, work);
    Some(())
}
