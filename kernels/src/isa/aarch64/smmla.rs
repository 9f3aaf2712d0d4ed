//! `SMMLA`: a 2x8 matrix of int8 times the transpose of another, added to a 2x2 matrix of int32.

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

/// Adds eight pixels times eight channels, `[pixel pair][channel pair]` of 2x2, over `steps` times
/// 8 depth steps. Both sides are `[steps][8][8]`.
///
/// To be called with the feature; always inlined, or the sums would go through memory. `None` when
/// either slice is too short. Registers: 16 sums, 8 pixels, 8 weights, all 32.
#[inline(always)]
pub(crate) fn smmla_8x8(
    pixels: &[i8],
    weights: &[i8],
    steps: usize,
    mut sums: [[int32x4_t; 4]; 4],
) -> Option<[[int32x4_t; 4]; 4]> {
    if pixels.len() / 64 < steps || weights.len() / 64 < steps {
        return None;
    }
    let [row0, row1, row2, row3] = &mut sums;
    // SAFETY: reads 64 * steps bytes of `pixels` and of `weights`, checked above; writes registers
    // only.
    unsafe {
        asm!(
            "subs {steps}, {steps}, #2",
            "b.lo 3f",
            "2:",
            "ldp q0, q1, [{pixels}], #32",
            "ldp q8, q9, [{weights}], #32",
            "ldp q10, q11, [{weights}], #32",
            "ldp q2, q3, [{pixels}], #32",
            "ldp q4, q5, [{pixels}], #32",
            "ldp q12, q13, [{weights}], #32",
            "ldp q14, q15, [{weights}], #32",
            "ldp q6, q7, [{pixels}], #32",
            step!(["v0" "v1" "v2" "v3"], ["v8" "v9" "v10" "v11"]),
            step!(["v4" "v5" "v6" "v7"], ["v12" "v13" "v14" "v15"]),
            "subs {steps}, {steps}, #2",
            "b.hs 2b",
            "3:",
            "tbz {steps}, #0, 4f",
            "ldp q0, q1, [{pixels}]",
            "ldp q2, q3, [{pixels}, #32]",
            "ldp q8, q9, [{weights}]",
            "ldp q10, q11, [{weights}, #32]",
            step!(["v0" "v1" "v2" "v3"], ["v8" "v9" "v10" "v11"]),
            "4:",
            pixels = inout(reg) pixels.as_ptr() => _,
            weights = inout(reg) weights.as_ptr() => _,
            steps = inout(reg) steps => _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            inout("v16") row0[0], inout("v17") row0[1], inout("v18") row0[2], inout("v19") row0[3],
            inout("v20") row1[0], inout("v21") row1[1], inout("v22") row1[2], inout("v23") row1[3],
            inout("v24") row2[0], inout("v25") row2[1], inout("v26") row2[2], inout("v27") row2[3],
            inout("v28") row3[0], inout("v29") row3[1], inout("v30") row3[2], inout("v31") row3[3],
            options(readonly, nostack),
        );
    }
    Some(sums)
}
