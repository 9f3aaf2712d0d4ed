//! Armv8.0: two products of int8 in an int16 (`SMULL`, `SMLAL2`), pairs of those into an int32
//! (`SADALP`): 16 multiplications in three instructions. No weight may be -128, or two products
//! do not fit.

use super::holds;
use core::arch::aarch64::*;
use core::arch::asm;

/// One weight vector times four pixels; the first time around the sums start.
macro_rules! channel {
    ($add:literal, $w:literal, [$p0:literal $p1:literal $p2:literal $p3:literal],
     [$s0:literal $s1:literal $s2:literal $s3:literal]) => {
        concat!(
            "smull v12.8h, ",
            $w,
            ".8b, ",
            $p0,
            ".8b\n",
            "smull v13.8h, ",
            $w,
            ".8b, ",
            $p1,
            ".8b\n",
            "smull v14.8h, ",
            $w,
            ".8b, ",
            $p2,
            ".8b\n",
            "smull v15.8h, ",
            $w,
            ".8b, ",
            $p3,
            ".8b\n",
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
            "ldp q8, q9, [{weights}], #32\n",
            "ldp q10, q11, [{weights}], #32\n",
            channel!($add, "v8", $pixels, ["v16" "v20" "v24" "v28"]),
            channel!($add, "v9", $pixels, ["v17" "v21" "v25" "v29"]),
            channel!($add, "v10", $pixels, ["v18" "v22" "v26" "v30"]),
            channel!($add, "v11", $pixels, ["v19" "v23" "v27" "v31"]),
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

/// Sums of four pixels times four channels, each in four parts, `[pixel][channel]`, over `steps`
/// times 16 depth steps. Pixel rows lie `stride` apart; weights are `[steps][4][16]`.
///
/// `None` without a step or when either slice is too short. Registers: 16 sums, 8 pixels, 4
/// weights, 4 products, all 32. Always inlined, or the sums would go through memory.
#[inline(always)]
pub(crate) fn smull_4x4(
    pixels: &[i8],
    stride: usize,
    weights: &[i8],
    steps: usize,
) -> Option<[[int32x4_t; 4]; 4]> {
    if steps == 0 || weights.len() / 64 < steps || !holds(pixels, 4, stride, steps * 16) {
        return None;
    }
    let (a0, a1, a2, a3): (int32x4_t, int32x4_t, int32x4_t, int32x4_t);
    let (b0, b1, b2, b3): (int32x4_t, int32x4_t, int32x4_t, int32x4_t);
    let (c0, c1, c2, c3): (int32x4_t, int32x4_t, int32x4_t, int32x4_t);
    let (d0, d1, d2, d3): (int32x4_t, int32x4_t, int32x4_t, int32x4_t);
    let first = pixels.as_ptr();
    // SAFETY: reads four runs of 16 * steps bytes in `pixels` and 64 * steps in `weights`, both
    // checked above; writes registers only.
    unsafe {
        asm!(
            single!("saddlp"),
            "subs {pairs}, {pairs}, #1",
            "b.lo 3f",
            "2:",
            "ldp q0, q1, [{p0}], #32",
            "ldp q2, q3, [{p1}], #32",
            "ldp q4, q5, [{p2}], #32",
            "ldp q6, q7, [{p3}], #32",
            step!("sadalp", ["v0" "v2" "v4" "v6"]),
            step!("sadalp", ["v1" "v3" "v5" "v7"]),
            "subs {pairs}, {pairs}, #1",
            "b.hs 2b",
            "3:",
            "cbz {odd}, 4f",
            single!("sadalp"),
            "4:",
            p0 = inout(reg) first => _,
            p1 = inout(reg) first.wrapping_add(stride) => _,
            p2 = inout(reg) first.wrapping_add(2 * stride) => _,
            p3 = inout(reg) first.wrapping_add(3 * stride) => _,
            weights = inout(reg) weights.as_ptr() => _,
            pairs = inout(reg) (steps - 1) / 2 => _,
            odd = in(reg) (steps - 1) % 2,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") a0, out("v17") a1, out("v18") a2, out("v19") a3,
            out("v20") b0, out("v21") b1, out("v22") b2, out("v23") b3,
            out("v24") c0, out("v25") c1, out("v26") c2, out("v27") c3,
            out("v28") d0, out("v29") d1, out("v30") d2, out("v31") d3,
            options(readonly, nostack),
        );
    }
    Some([[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]])
}
