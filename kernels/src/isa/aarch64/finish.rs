//! The end of a tile in assembly: from sums of int32 to bytes in the output.

use core::arch::aarch64::*;

/// What the sums of `P` times four channels start with and are finished with, as the assembly reads
/// it. See [`Scale`](crate::requantize::neon::Scale) and [`Narrow`](crate::requantize::neon::Narrow).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Finish<const P: usize> {
    pub(crate) bias: [int32x4_t; P],
    pub(crate) multiplier: [int32x4_t; P],
    pub(crate) right: [int32x4_t; P],
    pub(crate) left: [int32x4_t; P],
    pub(crate) zero_point: int16x8_t,
    pub(crate) min: int8x16_t,
    pub(crate) max: int8x16_t,
    /// Where the bytes of two pixels come from, for `SMMLA` only.
    pub(crate) order: int8x16_t,
}

/// Multiplies and rounds a register: `Scale::apply`, of the kind of the same name.
macro_rules! scale {
    (FLOAT_FREE, $($registers:tt)*) => { scale!(FLOAT, $($registers)*) };
    (RIGHT_FREE, $($registers:tt)*) => { scale!(RIGHT, $($registers)*) };
    (FLOAT, $sum:literal, $multiplier:literal, $right:literal, $left:literal, $spare:literal) => {
        concat!(
            "scvtf ",
            $sum,
            ".4s, ",
            $sum,
            ".4s\n",
            "fmul ",
            $sum,
            ".4s, ",
            $sum,
            ".4s, ",
            $multiplier,
            ".4s\n",
            "fcvtns ",
            $sum,
            ".4s, ",
            $sum,
            ".4s\n",
        )
    };
    (RIGHT, $sum:literal, $multiplier:literal, $right:literal, $left:literal, $spare:literal) => {
        concat!(
            "sqrdmulh ",
            $sum,
            ".4s, ",
            $sum,
            ".4s, ",
            $multiplier,
            ".4s\n",
            "ssra ",
            $sum,
            ".4s, ",
            $sum,
            ".4s, #31\n",
            "srshl ",
            $sum,
            ".4s, ",
            $sum,
            ".4s, ",
            $right,
            ".4s\n",
        )
    };
    (ANY, $sum:literal, $multiplier:literal, $right:literal, $left:literal, $spare:literal) => {
        concat!(
            "sshl ",
            $sum,
            ".4s, ",
            $sum,
            ".4s, ",
            $left,
            ".4s\n",
            "sqrdmulh ",
            $sum,
            ".4s, ",
            $sum,
            ".4s, ",
            $multiplier,
            ".4s\n",
            "and ",
            $spare,
            ".16b, ",
            $sum,
            ".16b, ",
            $right,
            ".16b\n",
            "ssra ",
            $sum,
            ".4s, ",
            $spare,
            ".4s, #31\n",
            "srshl ",
            $sum,
            ".4s, ",
            $sum,
            ".4s, ",
            $right,
            ".4s\n",
        )
    };
}
pub(super) use scale;

/// Clamps bytes, but where a kind is free of it.
macro_rules! clamp {
    (FLOAT_FREE, $bytes:literal, $min:literal, $max:literal) => {
        ""
    };
    (RIGHT_FREE, $bytes:literal, $min:literal, $max:literal) => {
        ""
    };
    ($kind:ident, $bytes:literal, $min:literal, $max:literal) => {
        concat!(
            "smax ", $bytes, ".16b, ", $bytes, ".16b, ", $min, ".16b\n", "smin ", $bytes, ".16b, ",
            $bytes, ".16b, ", $max, ".16b\n",
        )
    };
}
pub(super) use clamp;

/// Four registers of int32 to bytes in the first of them: `Narrow::apply`.
macro_rules! narrow {
    ($kind:ident, [$a:literal $b:literal $c:literal $d:literal], $zero_point:literal, $min:literal, $max:literal) => {
        concat!(
            "sqxtn ",
            $a,
            ".4h, ",
            $a,
            ".4s\n",
            "sqxtn2 ",
            $a,
            ".8h, ",
            $b,
            ".4s\n",
            "sqxtn ",
            $c,
            ".4h, ",
            $c,
            ".4s\n",
            "sqxtn2 ",
            $c,
            ".8h, ",
            $d,
            ".4s\n",
            "sqadd ",
            $a,
            ".8h, ",
            $a,
            ".8h, ",
            $zero_point,
            ".8h\n",
            "sqadd ",
            $c,
            ".8h, ",
            $c,
            ".8h, ",
            $zero_point,
            ".8h\n",
            "sqxtn ",
            $a,
            ".8b, ",
            $a,
            ".8h\n",
            "sqxtn2 ",
            $a,
            ".16b, ",
            $c,
            ".8h\n",
            clamp!($kind, $a, $min, $max),
        )
    };
}
pub(super) use narrow;

/// Loads the second part of a `Finish<4>`, for [`sixteen`].
macro_rules! parameters {
    () => {
        concat!(
            "ldp q0, q1, [{finish}, #64]\n", "ldp q2, q3, [{finish}, #96]\n",
            "ldp q4, q5, [{finish}, #128]\n", "ldp q6, q7, [{finish}, #160]\n",
            "ldp q12, q13, [{finish}, #256]\n", "ldr q14, [{finish}, #288]\n",
        )
    };
    (FLOAT) => { concat!(
            "ldp q0, q1, [{finish}, #64]\n", "ldp q2, q3, [{finish}, #96]\n",
            "ldp q12, q13, [{finish}, #256]\n", "ldr q14, [{finish}, #288]\n",
    ) };
    (FLOAT_FREE) => { parameters!(FLOAT) };
    (RIGHT) => { parameters!() };
    (RIGHT_FREE) => { parameters!() };
    (ANY) => { concat!(
            parameters!(),
            "ldp q8, q9, [{finish}, #192]\n", "ldp q10, q11, [{finish}, #224]\n",
    ) };
}
pub(super) use parameters;

/// Scales four registers, whose channels are those of a `Finish<4>`.
macro_rules! scale_four {
    ($kind:ident, [$a:literal $b:literal $c:literal $d:literal]) => {
        concat!(
            scale!($kind, $a, "v0", "v4", "v8", "v15"),
            scale!($kind, $b, "v1", "v5", "v9", "v15"),
            scale!($kind, $c, "v2", "v6", "v10", "v15"),
            scale!($kind, $d, "v3", "v7", "v11", "v15"),
        )
    };
}
pub(super) use scale_four;

/// Sums of a pixel, which start with the bias.
macro_rules! bias {
    ([$a:literal $b:literal $c:literal $d:literal]) => {
        concat!(
            "ldp ", $a, ", ", $b, ", [{finish}]\n", "ldp ", $c, ", ", $d, ", [{finish}, #32]\n",
        )
    };
}
pub(super) use bias;

/// Those of four pixels.
macro_rules! start {
    () => {
        concat!(
            bias!(["q16" "q17" "q18" "q19"]),
            bias!(["q20" "q21" "q22" "q23"]),
            bias!(["q24" "q25" "q26" "q27"]),
            bias!(["q28" "q29" "q30" "q31"]),
        )
    };
}
pub(super) use start;

/// Goes to what follows the four runs.
macro_rules! next {
    () => {
        concat!(
            "add {p0}, {p0}, {next}\n",
            "add {p1}, {p1}, {next}\n",
            "add {p2}, {p2}, {next}\n",
            "add {p3}, {p3}, {next}\n",
        )
    };
}
pub(super) use next;

/// A loop in assembly that may use every vector register.
macro_rules! vector_asm {
    ($($body:tt)*) => {
        core::arch::asm!(
            $($body)*
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _,
            out("v6") _, out("v7") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _, out("v16") _, out("v17") _,
            out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _,
            out("v30") _, out("v31") _,
            options(nostack),
        )
    };
}
pub(super) use vector_asm;

/// Runs the loop that is written for the scale of this kind.
macro_rules! of_kind {
    ($kind:ident, $tiles:ident, $($work:ident),+) => {
        match $kind {
            $crate::requantize::neon::FLOAT => $tiles!(FLOAT, $($work),+),
            $crate::requantize::neon::RIGHT => $tiles!(RIGHT, $($work),+),
            $crate::requantize::neon::FLOAT_FREE => $tiles!(FLOAT_FREE, $($work),+),
            $crate::requantize::neon::RIGHT_FREE => $tiles!(RIGHT_FREE, $($work),+),
            _ => $tiles!(ANY, $($work),+),
        }
    };
}
pub(super) use of_kind;
