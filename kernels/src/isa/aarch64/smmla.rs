//! `SMMLA`: a 2x8 matrix of int8 times the transpose of another, added to a 2x2 matrix of int32.

use super::finish::{
    bias, clamp, narrow, next, of_kind, parameters, scale, scale_four, start, vector_asm,
};
use super::places::windows_asm;
use super::{Tiles, WindowTiles, holds};
use core::arch::aarch64::*;
use core::arch::asm;

/// `sums[2 * i + j] + sum(a[8 * i + k] * b[8 * j + k])` over k.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn smmla(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let mut result = sums;
    // SAFETY: computes on registers; the feature is enabled.
    unsafe {
        asm!(
            "smmla {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) result, in(vreg) a, in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    result
}

/// Two pixels times eight channels.
macro_rules! pair {
    ($pixels:literal, [$($w:literal)*], [$s0:literal $s1:literal $s2:literal $s3:literal]) => {
        pair!(@ $pixels, $($w)*, $s0 $s1 $s2 $s3)
    };
    (@ $p:literal, $w0:literal $w1:literal $w2:literal $w3:literal,
     $s0:literal $s1:literal $s2:literal $s3:literal) => {
        concat!(
            "smmla ", $s0, ".4s, ", $p, ".16b, ", $w0, ".16b\n",
            "smmla ", $s1, ".4s, ", $p, ".16b, ", $w1, ".16b\n",
            "smmla ", $s2, ".4s, ", $p, ".16b, ", $w2, ".16b\n",
            "smmla ", $s3, ".4s, ", $p, ".16b, ", $w3, ".16b\n",
        )
    };
}

/// Eight depth steps of everything.
macro_rules! step {
    ([$p0:literal $p1:literal $p2:literal $p3:literal], $weights:tt) => {
        concat!(
            pair!($p0, $weights, ["v16" "v17" "v18" "v19"]),
            pair!($p1, $weights, ["v20" "v21" "v22" "v23"]),
            pair!($p2, $weights, ["v24" "v25" "v26" "v27"]),
            pair!($p3, $weights, ["v28" "v29" "v30" "v31"]),
        )
    };
}

/// The outputs of two pixels.
macro_rules! finish_pair {
    ($kind:ident, [$a:literal $b:literal $c:literal $d:literal]) => {
        concat!(
            narrow!($kind, [$a $b $c $d], "v12", "v13", "v14"),
            "tbl ", $a, ".16b, {{", $a, ".16b}}, v15.16b\n",
            "st1 {{", $a, ".d}}[0], [{out}], {channels}\n",
            "st1 {{", $a, ".d}}[1], [{out}], {channels}\n",
        )
    };
}

/// The outputs of eight pixels.
macro_rules! outputs {
    ($kind:ident) => {
        concat!(
            parameters!($kind),
            scale_four!($kind, ["v16" "v17" "v18" "v19"]),
            scale_four!($kind, ["v20" "v21" "v22" "v23"]),
            scale_four!($kind, ["v24" "v25" "v26" "v27"]),
            scale_four!($kind, ["v28" "v29" "v30" "v31"]),
            "ldr q15, [{finish}, #304]\n",
            finish_pair!($kind, ["v16" "v17" "v18" "v19"]),
            finish_pair!($kind, ["v20" "v21" "v22" "v23"]),
            finish_pair!($kind, ["v24" "v25" "v26" "v27"]),
            finish_pair!($kind, ["v28" "v29" "v30" "v31"]),
        )
    };
}

/// Registers: 16 sums, 8 pixels, 8 weights, all 32; then the sums and 16 of a `Finish<4>`.
macro_rules! tiles {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads 64 * steps bytes of `pixels` and of `weights` and writes
        // eight runs of 8 in `output`, all of which the caller has checked.
        unsafe {
            vector_asm!(
                "2:",
                start!(),
                "mov {w}, {weights}",
                "subs {n}, {steps}, #2",
                "b.lo 4f",
                "3:",
                "ldp q0, q1, [{pixels}], #32",
                "ldp q8, q9, [{w}], #32",
                "ldp q10, q11, [{w}], #32",
                "ldp q2, q3, [{pixels}], #32",
                "ldp q4, q5, [{pixels}], #32",
                "ldp q12, q13, [{w}], #32",
                "ldp q14, q15, [{w}], #32",
                "ldp q6, q7, [{pixels}], #32",
                step!(["v0" "v1" "v2" "v3"], ["v8" "v9" "v10" "v11"]),
                step!(["v4" "v5" "v6" "v7"], ["v12" "v13" "v14" "v15"]),
                "subs {n}, {n}, #2",
                "b.hs 3b",
                "4:",
                "tbz {n}, #0, 5f",
                "ldp q0, q1, [{pixels}], #32",
                "ldp q2, q3, [{pixels}], #32",
                "ldp q8, q9, [{w}]",
                "ldp q10, q11, [{w}, #32]",
                step!(["v0" "v1" "v2" "v3"], ["v8" "v9" "v10" "v11"]),
                "5:",
                outputs!($kind),
                "add {pixels}, {pixels}, {next}",
                "subs {tiles}, {tiles}, #1",
                "b.ne 2b",
                pixels = inout(reg) $work.pixels.as_ptr() => _,
                next = in(reg) (8 * $work.stride).wrapping_sub(64 * $work.steps),
                weights = in(reg) $work.weights.as_ptr(),
                w = out(reg) _,
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

/// Outputs of tiles of eight pixels times eight channels over `steps` times 8 depth steps. A tile
/// of pixels and the weights are `[steps][8][8]`; a tile begins every eight times `stride`.
///
/// `None`, and nothing done, without a tile or when a slice is too short.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn smmla_8x8<const K: u8>(work: Tiles<'_, 4>) -> Option<()> {
    let Tiles { pixels, stride, weights, steps, output, channels, tiles, .. } = &work;
    let (pixels_fit, outputs_fit) =
        (holds(pixels, *tiles, 8 * stride, steps * 64), holds(output, 8 * tiles, *channels, 8));
    if weights.len() / 64 < *steps || !pixels_fit || !outputs_fit {
        return None;
    }
    of_kind!(K, tiles, work);
    Some(())
}

/// Eight depth steps of two pairs of pixels.
macro_rules! half_step {
    ([$p0:literal $p1:literal], $weights:tt) => {
        concat!(
            pair!($p0, $weights, ["v16" "v17" "v18" "v19"]),
            pair!($p1, $weights, ["v20" "v21" "v22" "v23"]),
        )
    };
}

/// As `tiles`, of four pixels each.
macro_rules! half_tiles {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads 32 * steps bytes of `pixels` and 64 * steps of `weights` and
        // writes four runs of 8 in `output`, all of which the caller has checked.
        unsafe {
            vector_asm!(
                "2:",
                bias!(["q16" "q17" "q18" "q19"]),
                bias!(["q20" "q21" "q22" "q23"]),
                "mov {w}, {weights}",
                "subs {n}, {steps}, #2",
                "b.lo 4f",
                "3:",
                "ldp q0, q1, [{pixels}], #32",
                "ldp q8, q9, [{w}], #32",
                "ldp q10, q11, [{w}], #32",
                "ldp q4, q5, [{pixels}], #32",
                "ldp q12, q13, [{w}], #32",
                "ldp q14, q15, [{w}], #32",
                half_step!(["v0" "v1"], ["v8" "v9" "v10" "v11"]),
                half_step!(["v4" "v5"], ["v12" "v13" "v14" "v15"]),
                "subs {n}, {n}, #2",
                "b.hs 3b",
                "4:",
                "tbz {n}, #0, 5f",
                "ldp q0, q1, [{pixels}], #32",
                "ldp q8, q9, [{w}]",
                "ldp q10, q11, [{w}, #32]",
                half_step!(["v0" "v1"], ["v8" "v9" "v10" "v11"]),
                "5:",
                parameters!($kind),
                scale_four!($kind, ["v16" "v17" "v18" "v19"]),
                scale_four!($kind, ["v20" "v21" "v22" "v23"]),
                "ldr q15, [{finish}, #304]",
                finish_pair!($kind, ["v16" "v17" "v18" "v19"]),
                finish_pair!($kind, ["v20" "v21" "v22" "v23"]),
                "add {pixels}, {pixels}, {next}",
                "subs {tiles}, {tiles}, #1",
                "b.ne 2b",
                pixels = inout(reg) $work.pixels.as_ptr() => _,
                next = in(reg) (4 * $work.stride).wrapping_sub(32 * $work.steps),
                weights = in(reg) $work.weights.as_ptr(),
                w = out(reg) _,
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

/// [`smmla_8x8`] of four pixels: a tile of them is `[steps][4][8]` and begins every four times `stride`.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn smmla_4x8<const K: u8>(work: Tiles<'_, 4>) -> Option<()> {
    let Tiles { pixels, stride, weights, steps, output, channels, tiles, .. } = &work;
    let (pixels_fit, outputs_fit) =
        (holds(pixels, *tiles, 4 * stride, steps * 32), holds(output, 4 * tiles, *channels, 8));
    if weights.len() / 64 < *steps || !pixels_fit || !outputs_fit {
        return None;
    }
    of_kind!(K, half_tiles, work);
    Some(())
}

/// The same of windows: a vector of each pair of pixels at a time.
macro_rules! windows {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads four places, at each of them runs of 16 * steps bytes in
        // every row, 64 * steps * rows bytes of `weights` and writes eight runs of 8 in `output`,
        // all of which `Places` or the caller has checked.
        unsafe {
            windows_asm!(
                $work,
                16,
                [start!(), "mov {w}, {weights}",],
                [
                    "mov {n}, {steps}",
                    "3:",
                    "ldp q0, q4, [{p0}], #32",
                    "ldp q8, q9, [{w}], #32",
                    "ldp q10, q11, [{w}], #32",
                    "ldp q1, q5, [{p1}], #32",
                    "ldp q2, q6, [{p2}], #32",
                    "ldp q12, q13, [{w}], #32",
                    "ldp q14, q15, [{w}], #32",
                    "ldp q3, q7, [{p3}], #32",
                    step!(["v0" "v1" "v2" "v3"], ["v8" "v9" "v10" "v11"]),
                    step!(["v4" "v5" "v6" "v7"], ["v12" "v13" "v14" "v15"]),
                    "subs {n}, {n}, #2",
                    "b.ne 3b",
                ],
                [outputs!($kind),],
                w = out(reg) _,
            );
        }
    };
}

/// [`smmla_8x8`] of windows of pairs of pixels, whose rows have a multiple of 32 bytes.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn smmla_windows<const K: u8>(work: WindowTiles<'_, '_, 4>) -> Option<()> {
    work.fit(32, 8, 8).then(|| of_kind!(K, windows, work))
}
