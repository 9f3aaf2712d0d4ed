//! Armv8.0: two products of int8 in an int16 (`SMULL`, `SMLAL2`), pairs of those into an int32
//! (`SADALP`): 16 multiplications in three instructions. No weight may be -128, or two products
//! do not fit.

use super::finish::{clamp, narrow, next, of_kind, scale, vector_asm};
use super::places::windows_asm;
use super::{Tiles, WindowTiles, holds};

/// One weight vector times four pixels: the products of the upper halves are added to those of the
/// lower ones.
macro_rules! upper {
    ($w:literal, [$p0:literal $p1:literal $p2:literal $p3:literal]) => {
        concat!(
            "smlal2 v12.8h, ",
            $w,
            ".16b, ",
            $p0,
            ".16b\n",
            "smlal2 v13.8h, ",
            $w,
            ".16b, ",
            $p1,
            ".16b\n",
            "smlal2 v14.8h, ",
            $w,
            ".16b, ",
            $p2,
            ".16b\n",
            "smlal2 v15.8h, ",
            $w,
            ".16b, ",
            $p3,
            ".16b\n",
        )
    };
}

/// The products of a weight vector are added to its sums, each just before those of the next one
/// take its place: a processor that runs in order waits less. The first time around `$add` starts
/// the sums.
macro_rules! channel {
    ($add:literal, [$s0:literal $s1:literal $s2:literal $s3:literal], $w:literal,
     [$p0:literal $p1:literal $p2:literal $p3:literal]) => {
        concat!(
            $add, " ", $s0, ".4s, v12.8h\n",
            "smull v12.8h, ", $w, ".8b, ", $p0, ".8b\n",
            $add, " ", $s1, ".4s, v13.8h\n",
            "smull v13.8h, ", $w, ".8b, ", $p1, ".8b\n",
            $add, " ", $s2, ".4s, v14.8h\n",
            "smull v14.8h, ", $w, ".8b, ", $p2, ".8b\n",
            $add, " ", $s3, ".4s, v15.8h\n",
            "smull v15.8h, ", $w, ".8b, ", $p3, ".8b\n",
            upper!($w, [$p0 $p1 $p2 $p3]),
        )
    };
}

/// The same with nothing before.
macro_rules! first {
    ($w:literal, [$p0:literal $p1:literal $p2:literal $p3:literal]) => {
        concat!(
            "smull v12.8h, ", $w, ".8b, ", $p0, ".8b\n",
            "smull v13.8h, ", $w, ".8b, ", $p1, ".8b\n",
            "smull v14.8h, ", $w, ".8b, ", $p2, ".8b\n",
            "smull v15.8h, ", $w, ".8b, ", $p3, ".8b\n",
            upper!($w, [$p0 $p1 $p2 $p3]),
        )
    };
}

/// The same with nothing after.
macro_rules! last {
    ($add:literal, [$s0:literal $s1:literal $s2:literal $s3:literal]) => {
        concat!(
            $add,
            " ",
            $s0,
            ".4s, v12.8h\n",
            $add,
            " ",
            $s1,
            ".4s, v13.8h\n",
            $add,
            " ",
            $s2,
            ".4s, v14.8h\n",
            $add,
            " ",
            $s3,
            ".4s, v15.8h\n",
        )
    };
}

/// Sixteen steps: the next 64 weights times the pixels in four registers.
macro_rules! step {
    ($add:literal, $pixels:tt) => {
        concat!(
            "ldp q8, q9, [{w}], #32\n",
            "ldp q10, q11, [{w}], #32\n",
            first!("v8", $pixels),
            channel!($add, ["v16" "v20" "v24" "v28"], "v9", $pixels),
            channel!($add, ["v17" "v21" "v25" "v29"], "v10", $pixels),
            channel!($add, ["v18" "v22" "v26" "v30"], "v11", $pixels),
            last!($add, ["v19" "v23" "v27" "v31"]),
        )
    };
}

/// Sixteen steps with pixels loaded for these alone.
macro_rules! single {
    ($add:literal) => {
        concat!(
            "ldr q0, [{p0}], #16\n",
            "ldr q2, [{p1}], #16\n",
            "ldr q4, [{p2}], #16\n",
            "ldr q6, [{p3}], #16\n",
            step!($add, ["v0" "v2" "v4" "v6"]),
        )
    };
}

/// One pixel: four sums in four parts each become a register of four channels.
macro_rules! whole {
    ($kind:ident, [$a:literal $b:literal $c:literal $d:literal]) => {
        concat!(
            "addp ",
            $a,
            ".4s, ",
            $a,
            ".4s, ",
            $b,
            ".4s\n",
            "addp ",
            $c,
            ".4s, ",
            $c,
            ".4s, ",
            $d,
            ".4s\n",
            "addp ",
            $a,
            ".4s, ",
            $a,
            ".4s, ",
            $c,
            ".4s\n",
            "add ",
            $a,
            ".4s, ",
            $a,
            ".4s, v0.4s\n",
            scale!($kind, $a, "v1", "v2", "v3", "v7"),
        )
    };
}

/// Twice sixteen steps at a time, while `n` less what it says is not negative.
macro_rules! pairs {
    ($less:literal) => {
        concat!(
            "3:\n",
            "ldp q0, q1, [{p0}], #32\n",
            "ldp q2, q3, [{p1}], #32\n",
            "ldp q4, q5, [{p2}], #32\n",
            "ldp q6, q7, [{p3}], #32\n",
            step!("sadalp", ["v0" "v2" "v4" "v6"]),
            step!("sadalp", ["v1" "v3" "v5" "v7"]),
            "subs {n}, {n}, #", $less, "\n",
            "b.hs 3b\n",
            "4:\n",
        )
    };
}

/// The outputs of four pixels.
macro_rules! outputs {
    ($kind:ident) => {
        concat!(
            "ldp q0, q1, [{finish}]\n",
            "ldp q2, q3, [{finish}, #32]\n",
            "ldp q4, q5, [{finish}, #64]\n",
            "ldr q6, [{finish}, #96]\n",
            whole!($kind, ["v16" "v17" "v18" "v19"]),
            whole!($kind, ["v20" "v21" "v22" "v23"]),
            whole!($kind, ["v24" "v25" "v26" "v27"]),
            whole!($kind, ["v28" "v29" "v30" "v31"]),
            narrow!($kind, ["v16" "v20" "v24" "v28"], "v4", "v5", "v6"),
            "st1 {{v16.s}}[0], [{out}], {channels}\n",
            "st1 {{v16.s}}[1], [{out}], {channels}\n",
            "st1 {{v16.s}}[2], [{out}], {channels}\n",
            "st1 {{v16.s}}[3], [{out}], {channels}\n",
        )
    };
}

/// Registers: 16 sums, 8 pixels, 4 weights, 4 products, all 32; then 7 of a `Finish<1>`.
macro_rules! tiles {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads four runs of 16 * steps bytes in `pixels` and 64 * steps in
        // `weights` and writes four runs of 4 in `output`, all of which the caller has checked.
        unsafe {
            vector_asm!(
                "2:",
                "mov {w}, {weights}",
                "mov {n}, {pairs}",
                single!("saddlp"),
                "subs {n}, {n}, #1",
                "b.lo 4f",
                pairs!("1"),
                "cbz {odd}, 5f",
                single!("sadalp"),
                "5:",
                outputs!($kind),
                next!(),
                "subs {tiles}, {tiles}, #1",
                "b.ne 2b",
                p0 = inout(reg) $work.pixels.as_ptr() => _,
                p1 = inout(reg) $work.pixels.as_ptr().wrapping_add($work.stride) => _,
                p2 = inout(reg) $work.pixels.as_ptr().wrapping_add(2 * $work.stride) => _,
                p3 = inout(reg) $work.pixels.as_ptr().wrapping_add(3 * $work.stride) => _,
                next = in(reg) (4 * $work.stride).wrapping_sub(16 * $work.steps),
                weights = in(reg) $work.weights.as_ptr(),
                w = out(reg) _,
                n = out(reg) _,
                pairs = in(reg) ($work.steps - 1) / 2,
                odd = in(reg) ($work.steps - 1) % 2,
                finish = in(reg) $work.finish,
                out = inout(reg) $work.output.as_mut_ptr() => _,
                channels = in(reg) $work.channels,
                tiles = inout(reg) $work.tiles => _,
            );
        }
    };
}

/// Outputs of tiles of four pixels times four channels over `steps` times 16 depth steps. Weights
/// are `[steps][4][16]`.
///
/// `None`, and nothing done, without a step or a tile, or when a slice is too short.
#[inline]
pub(crate) fn smull_4x4<const K: u8>(work: Tiles<'_, 1>) -> Option<()> {
    let Tiles { pixels, stride, weights, steps, output, channels, tiles, .. } = &work;
    let (pixels_fit, outputs_fit) =
        (holds(pixels, 4 * tiles, *stride, steps * 16), holds(output, 4 * tiles, *channels, 4));
    if *steps == 0 || weights.len() / 64 < *steps || !pixels_fit || !outputs_fit {
        return None;
    }
    of_kind!(K, tiles, work);
    Some(())
}

/// The same of windows.
macro_rules! windows {
    ($kind:ident, $work:ident) => {
        // SAFETY: for every tile reads four places, at each of them runs of 16 * steps bytes in
        // every row, 64 * steps * rows bytes of `weights` and writes four runs of 4 in `output`,
        // all of which `Places` or the caller has checked.
        unsafe {
            windows_asm!(
                $work,
                16,
                [
                    "mov {w}, {weights}",
                    single!("saddlp"),
                    "sub {n}, {steps}, #1",
                    "b 7f",
                ],
                [
                    "mov {n}, {steps}",
                    "7:",
                    "subs {n}, {n}, #2",
                    "b.lo 4f",
                    pairs!("2"),
                    "tbz {n}, #0, 5f",
                    single!("sadalp"),
                    "5:",
                ],
                [outputs!($kind),],
                w = out(reg) _,
            );
        }
    };
}

/// [`smull_4x4`] of windows, whose rows have a multiple of 16 bytes.
#[inline]
pub(crate) fn smull_windows<const K: u8>(work: WindowTiles<'_, '_, 1>) -> Option<()> {
    work.fit(16, 4, 4).then(|| of_kind!(K, windows, work))
}
