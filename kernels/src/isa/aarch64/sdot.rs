//! `SDOT`: four products of int8 added to each int32.

use super::holds;
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

/// Four depth steps: one weight vector times a lane of each pixel.
macro_rules! four {
    ($w:literal, $lane:literal, [$p0:literal $p1:literal $p2:literal $p3:literal],
     [$s0:literal $s1:literal $s2:literal $s3:literal]) => {
        concat!(
            "sdot ", $s0, ".4s, ", $w, ".16b, ", $p0, ".4b[", $lane, "]\n", "sdot ", $s1, ".4s, ",
            $w, ".16b, ", $p1, ".4b[", $lane, "]\n", "sdot ", $s2, ".4s, ", $w, ".16b, ", $p2,
            ".4b[", $lane, "]\n", "sdot ", $s3, ".4s, ", $w, ".16b, ", $p3, ".4b[", $lane, "]\n",
        )
    };
}

/// Sixteen steps of four channels.
macro_rules! sixteen {
    ($weights:literal, $pixels:tt, $sums:tt) => {
        concat!(
            "ldp q8, q9, [{",
            $weights,
            "}], #32\n",
            "ldp q10, q11, [{",
            $weights,
            "}], #32\n",
            four!("v8", "0", $pixels, $sums),
            four!("v9", "1", $pixels, $sums),
            four!("v10", "2", $pixels, $sums),
            four!("v11", "3", $pixels, $sums),
        )
    };
}

/// Sixteen steps of all channels.
macro_rules! step {
    ($pixels:tt) => {
        concat!(
            sixteen!("w0", $pixels, ["v16" "v20" "v24" "v28"]),
            sixteen!("w1", $pixels, ["v17" "v21" "v25" "v29"]),
            sixteen!("w2", $pixels, ["v18" "v22" "v26" "v30"]),
            sixteen!("w3", $pixels, ["v19" "v23" "v27" "v31"]),
        )
    };
}

/// Adds four pixels times 16 channels, `[pixel][four channels]`, over `steps` times 4 depth steps.
/// Pixel rows lie `stride` apart; weights are four panels of `[steps][4][4]`, one after the other.
///
/// To be called with the feature; always inlined, or the sums would go through memory. `None` when
/// either slice is too short. Registers: 16 sums, 8 pixels, 4 weights of 32.
#[inline(always)]
pub(crate) fn sdot_4x16(
    pixels: &[i8],
    stride: usize,
    weights: &[i8],
    steps: usize,
    mut sums: [[int32x4_t; 4]; 4],
) -> Option<[[int32x4_t; 4]; 4]> {
    if weights.len() / 64 < steps || !holds(pixels, 4, stride, steps * 4) {
        return None;
    }
    let (first, panel) = (pixels.as_ptr(), weights.as_ptr());
    let [row0, row1, row2, row3] = &mut sums;
    // SAFETY: reads four runs of 4 * steps bytes in `pixels` and four of 16 * steps, one after the
    // other, in `weights`, both checked above; writes registers only.
    unsafe {
        asm!(
            "subs {steps}, {steps}, #8",
            "b.lo 3f",
            "2:",
            "ldp q0, q1, [{p0}], #32",
            "ldp q2, q3, [{p1}], #32",
            "ldp q4, q5, [{p2}], #32",
            "ldp q6, q7, [{p3}], #32",
            step!(["v0" "v2" "v4" "v6"]),
            step!(["v1" "v3" "v5" "v7"]),
            "subs {steps}, {steps}, #8",
            "b.hs 2b",
            "3:",
            "tbz {steps}, #2, 4f",
            "ldr q0, [{p0}], #16",
            "ldr q2, [{p1}], #16",
            "ldr q4, [{p2}], #16",
            "ldr q6, [{p3}], #16",
            step!(["v0" "v2" "v4" "v6"]),
            "4:",
            "ands {steps}, {steps}, #3",
            "b.eq 6f",
            "5:",
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
            "subs {steps}, {steps}, #1",
            "b.ne 5b",
            "6:",
            p0 = inout(reg) first => _,
            p1 = inout(reg) first.wrapping_add(stride) => _,
            p2 = inout(reg) first.wrapping_add(2 * stride) => _,
            p3 = inout(reg) first.wrapping_add(3 * stride) => _,
            w0 = inout(reg) panel => _,
            w1 = inout(reg) panel.wrapping_add(16 * steps) => _,
            w2 = inout(reg) panel.wrapping_add(32 * steps) => _,
            w3 = inout(reg) panel.wrapping_add(48 * steps) => _,
            steps = inout(reg) steps => _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            inout("v16") row0[0], inout("v17") row0[1], inout("v18") row0[2], inout("v19") row0[3],
            inout("v20") row1[0], inout("v21") row1[1], inout("v22") row1[2], inout("v23") row1[3],
            inout("v24") row2[0], inout("v25") row2[1], inout("v26") row2[2], inout("v27") row2[3],
            inout("v28") row3[0], inout("v29") row3[1], inout("v30") row3[2], inout("v31") row3[3],
            options(readonly, nostack),
        );
    }
    Some(sums)
}
