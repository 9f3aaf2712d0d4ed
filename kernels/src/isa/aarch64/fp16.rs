//! Arithmetic on halves, Armv8.2: tiles of eight pixels in assembly, because the sums, pixels and
//! weights of a tile fill all 32 registers; and the leaves of the cells around them.

use super::finish::vector_asm;
use super::holds;
use crate::F16;
use core::arch::aarch64::*;

/// Steps that are added in halves before they go into a sum in f32.
pub(crate) const BLOCK: usize = 144;
/// The same in groups of eight, the steps that a register of a pixel holds.
const GROUPS: usize = BLOCK / 8;

/// Eight halves.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load(halves: &[F16; 8]) -> float16x8_t {
    // SAFETY: the array holds the 16 bytes that are read; no alignment is asked.
    vreinterpretq_f16_u16(unsafe { vld1q_u16(halves.as_ptr().cast()) })
}

/// Eight halves.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store(to: &mut [F16; 8], halves: float16x8_t) {
    let bits = vreinterpretq_u16_f16(halves);
    // SAFETY: the array holds the 16 bytes that are written; no alignment is asked.
    unsafe { vst1q_u16(to.as_mut_ptr().cast(), bits) }
}

/// The first `groups` times eight steps of `count` pixels, one every `pitch` halves, at most eight, as
/// the tiles read them: `[groups][8][8]`, the last one as often as there are fewer. `None`, and nothing
/// done, without a pixel, or when `pixels` or `to` is too short.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn pack(
    pixels: &[F16],
    pitch: usize,
    count: usize,
    groups: usize,
    to: &mut [F16],
) -> Option<()> {
    let len = groups.checked_mul(8)?;
    if to.len() / 8 < len || !runs_fit(pixels, count, pitch, len) {
        return None;
    }
    let pixel = |index: usize| pixels.as_ptr().wrapping_add(index.min(count - 1) * pitch);
    let [p0, p1, p2, p3, p4, p5, p6, p7] = [0, 1, 2, 3, 4, 5, 6, 7].map(pixel);
    // SAFETY: reads `groups` times eight halves of every pixel and writes as many of all of them,
    // which the check above has found.
    unsafe {
        vector_asm!(
            "subs {n}, {groups}, #2",
            "b.lo 3f",
            "2:",
            "ldp q0, q8, [{p0}], #32",
            "ldp q1, q9, [{p1}], #32",
            "ldp q2, q10, [{p2}], #32",
            "ldp q3, q11, [{p3}], #32",
            "ldp q4, q12, [{p4}], #32",
            "ldp q5, q13, [{p5}], #32",
            "ldp q6, q14, [{p6}], #32",
            "ldp q7, q15, [{p7}], #32",
            "st1 {{v0.8h, v1.8h, v2.8h, v3.8h}}, [{to}], #64",
            "st1 {{v4.8h, v5.8h, v6.8h, v7.8h}}, [{to}], #64",
            "st1 {{v8.8h, v9.8h, v10.8h, v11.8h}}, [{to}], #64",
            "st1 {{v12.8h, v13.8h, v14.8h, v15.8h}}, [{to}], #64",
            "subs {n}, {n}, #2",
            "b.hs 2b",
            "3:",
            "tbz {n}, #0, 4f",
            "ldr q0, [{p0}]",
            "ldr q1, [{p1}]",
            "ldr q2, [{p2}]",
            "ldr q3, [{p3}]",
            "ldr q4, [{p4}]",
            "ldr q5, [{p5}]",
            "ldr q6, [{p6}]",
            "ldr q7, [{p7}]",
            "st1 {{v0.8h, v1.8h, v2.8h, v3.8h}}, [{to}], #64",
            "st1 {{v4.8h, v5.8h, v6.8h, v7.8h}}, [{to}], #64",
            "4:",
            n = out(reg) _,
            groups = in(reg) groups,
            p0 = inout(reg) p0 => _,
            p1 = inout(reg) p1 => _,
            p2 = inout(reg) p2 => _,
            p3 = inout(reg) p3 => _,
            p4 = inout(reg) p4 => _,
            p5 = inout(reg) p5 => _,
            p6 = inout(reg) p6 => _,
            p7 = inout(reg) p7 => _,
            to = inout(reg) to.as_mut_ptr() => _,
        );
    }
    Some(())
}

/// What the sums of `P` times eight channels start and end with, as the assembly reads it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Finish<const P: usize> {
    /// Smallest and largest output.
    pub(crate) range: [[F16; 8]; 2],
    /// What four sums of a block start with: the bias, panel after panel, where it is the only one.
    pub(crate) start: [[F16; 8]; 4],
    /// The bias, which is added last where there are several.
    pub(crate) wide_bias: [[f32; 8]; P],
}

impl<const P: usize> Default for Finish<P> {
    fn default() -> Self {
        let none = [F16::default(); 8];
        Self { range: [none; 2], start: [none; 4], wide_bias: [[0.0; 8]; P] }
    }
}

impl<const P: usize> Finish<P> {
    /// Of outputs; null when it is that of all finite halves, which sums need not be clamped to.
    fn range(&self) -> *const [[F16; 8]; 2] {
        let all = self.range.map(|bound| bound[0].to_f32()) == [-F16::MAX, F16::MAX];
        if all { core::ptr::null() } else { &raw const self.range }
    }
}

/// Consecutive tiles of a few pixels times the same `P` panels of eight channels.
#[derive(Debug)]
pub(crate) struct Tiles<'a, const P: usize> {
    /// `[tiles][groups][8 pixels][8 steps]`, as [`pack`] lays them out.
    pub(crate) pixels: &'a [F16],
    /// Panels of `[depth][8]`.
    pub(crate) weights: &'a [F16],
    pub(crate) depth: usize,
    pub(crate) finish: &'a Finish<P>,
    /// From the first output on; empty for a tile whose sums are wanted in [`Raw`].
    pub(crate) output: &'a mut [F16],
    /// From the output of a pixel to that of the next.
    pub(crate) channels: usize,
    pub(crate) tiles: usize,
}

/// The sums of a tile with their bias, `[pixels][panels]` side by side, neither clamped nor stored.
pub(crate) type Raw = [[F16; 8]; 16];

/// Whether `count` runs of `len` halves, `stride` apart, lie in `halves`.
#[inline]
fn runs_fit(halves: &[F16], count: usize, stride: usize, len: usize) -> bool {
    let bytes = [stride, len].map(|halves| halves.saturating_mul(2));
    holds(bytemuck::cast_slice(halves), count, bytes[0], bytes[1])
}

/// Sums of earlier blocks, `[pixels][panels]`.
type Totals = [[f32; 8]; 16];

/// One step of a panel: its weights times a lane of each pixel.
macro_rules! products {
    ($w:literal, $lane:literal, [$($p:literal)*], [$($s:literal)*]) => {
        concat!($("fmla ", $s, ".8h, ", $w, ".8h, ", $p, ".h[", $lane, "]\n",)*)
    };
}

/// Four steps of every panel.
macro_rules! four {
    ([$a:literal $b:literal $c:literal $d:literal], $pixels:tt,
     $([$w:literal, $w0:literal $w1:literal $w2:literal $w3:literal, $sums:tt])*) => {
        concat!(
            $(
                "ld1 {{", $w0, ".8h, ", $w1, ".8h, ", $w2, ".8h, ", $w3, ".8h}}, [{", $w,
                "}], #64\n",
            )*
            $(products!($w0, $a, $pixels, $sums),)*
            $(products!($w1, $b, $pixels, $sums),)*
            $(products!($w2, $c, $pixels, $sums),)*
            $(products!($w3, $d, $pixels, $sums),)*
        )
    };
}

/// One of the last steps, after which there may be no more.
macro_rules! one {
    ($lane:literal, $pixels:tt,
     $([$w:literal, $w0:literal $w1:literal $w2:literal $w3:literal, $sums:tt])*) => {
        concat!(
            $("ld1 {{", $w0, ".8h}}, [{", $w, "}], #16\n",)*
            $(products!($w0, $lane, $pixels, $sums),)*
            "subs {n}, {n}, #1\n",
            "b.eq 20f\n",
        )
    };
}

/// Every sum of a block to `totals`.
macro_rules! first_totals {
    ([$($s:literal)*]) => {
        concat!($(
            "fcvtl v0.4s, ", $s, ".4h\n", "fcvtl2 v1.4s, ", $s, ".8h\n",
            "stp q0, q1, [{t}], #32\n",
        )*)
    };
}

/// Every sum of a block added to `totals`.
macro_rules! more_totals {
    ([$($s:literal)*]) => {
        concat!($(
            "ldp q2, q3, [{t}]\n",
            "fcvtl v0.4s, ", $s, ".4h\n", "fcvtl2 v1.4s, ", $s, ".8h\n",
            "fadd v0.4s, v0.4s, v2.4s\n", "fadd v1.4s, v1.4s, v3.4s\n",
            "stp q0, q1, [{t}], #32\n",
        )*)
    };
}

/// Every sum of the last block added to `totals`, then the bias; narrowed.
macro_rules! last_totals {
    ([$($s:literal)*], [$($low:literal)*], [$($high:literal)*]) => {
        concat!($(
            "ldp q2, q3, [{t}], #32\n",
            "fcvtl v0.4s, ", $s, ".4h\n", "fcvtl2 v1.4s, ", $s, ".8h\n",
            "fadd v0.4s, v0.4s, v2.4s\n", "fadd v1.4s, v1.4s, v3.4s\n",
            "fadd v0.4s, v0.4s, ", $low, ".4s\n", "fadd v1.4s, v1.4s, ", $high, ".4s\n",
            "fcvtn ", $s, ".4h, v0.4s\n", "fcvtn2 ", $s, ".8h, v1.4s\n",
        )*)
    };
}

/// `{n}` is zero when a sum is infinite or not a number: so is then what all of them add up to, and
/// that times zero is not one. It may be zero when they only add up to more than a half holds.
macro_rules! check {
    ([$a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal
      $($s:literal)*], [$($t:literal)*]) => {
        concat!(
            "fadd v4.8h, ", $a, ".8h, ", $b, ".8h\n", "fadd v5.8h, ", $c, ".8h, ", $d, ".8h\n",
            "fadd v6.8h, ", $e, ".8h, ", $f, ".8h\n", "fadd v7.8h, ", $g, ".8h, ", $h, ".8h\n",
            $("fadd ", $t, ".8h, ", $t, ".8h, ", $s, ".8h\n",)*
            "fadd v4.8h, v4.8h, v5.8h\n", "fadd v6.8h, v6.8h, v7.8h\n", "movi v0.2d, #0\n",
            "fadd v4.8h, v4.8h, v6.8h\n", "fmul v4.8h, v4.8h, v0.8h\n",
            "fcmeq v4.8h, v4.8h, v4.8h\n", "uminv h4, v4.8h\n", "umov {n:w}, v4.h[0]\n",
        )
    };
}

macro_rules! clamp {
    ($([$($s:literal)*])*) => {
        concat!($($(
            "fmax ", $s, ".8h, ", $s, ".8h, v2.8h\n", "fmin ", $s, ".8h, ", $s, ".8h, v3.8h\n",
        )*)*)
    };
}

/// Stores pixel by pixel.
macro_rules! write {
    ($([$a:literal $($b:literal)?])*) => {
        concat!($(
            "st1 {{", $a, ".8h", $(", ", $b, ".8h",)? "}}, [{out}], {channels}\n",
        )*)
    };
}

macro_rules! dump {
    ([$($s:literal)*]) => {
        concat!($("st1 {{", $s, ".8h}}, [{raw}], #16\n",)*)
    };
}

/// Eight steps of every panel.
macro_rules! eight {
    ($load:expr, $pixels:tt, $($panel:tt)*) => {
        concat!(
            $load,
            four!(["0" "1" "2" "3"], $pixels, $($panel)*),
            four!(["4" "5" "6" "7"], $pixels, $($panel)*),
        )
    };
}

/// What the sums of a block start with.
macro_rules! start {
    ($([$a:literal $b:literal $c:literal $d:literal])*) => {
        concat!($(
            "ld1 {{", $a, ".8h, ", $b, ".8h, ", $c, ".8h, ", $d, ".8h}}, [{start}]\n",
        )*)
    };
}

/// Tiles until one has a sum beyond the halves, or, without `$store`, the sums of one. Sums of blocks are
/// added in f32, in memory.
macro_rules! tiles {
    ($work:ident, $raw:ident, operands: { $($operands:tt)* }, panel_pointers: $pointers:expr,
     load: $load:expr, start: $start:expr, wide: $load_wide:expr, $low:tt, $high:tt,
     store: $store:expr, pixels: $pixels:tt, sums: $sums:tt, panels: $($panel:tt)*) => {{
        let mut totals: Totals = [[0.0; 8]; 16];
        // SAFETY: for every tile reads a group of each pixel after the other in `pixels`, and 8 * depth
        // halves of each panel in `weights`, and writes the channels of its pixels in `output` where
        // `$store` does, all of which the caller has checked; `totals` and `raw` have room for all
        // the sums of a tile.
        unsafe {
            vector_asm!(
                "2:",
                $pointers,
                "mov {b}, {blocks}",
                "3:",
                $start,
                "mov {n}, {last}",
                "cbz {b}, 4f",
                "mov {n}, {whole}",
                "4:",
                "subs {n}, {n}, #2",
                "b.lo 6f",
                "5:",
                eight!($load, $pixels, $($panel)*),
                eight!($load, $pixels, $($panel)*),
                "subs {n}, {n}, #2",
                "b.hs 5b",
                "6:",
                "tbz {n}, #0, 7f",
                eight!($load, $pixels, $($panel)*),
                "7:",
                "cbz {b}, 9f",
                "mov {t}, {totals}",
                "cmp {b}, {blocks}",
                "sub {b}, {b}, #1",
                "b.ne 8f",
                first_totals!($sums),
                "b 3b",
                "8:",
                more_totals!($sums),
                "b 3b",
                "9:",
                "cbz {tail}, 20f",
                "mov {n}, {tail}",
                $load,
                one!("0", $pixels, $($panel)*),
                one!("1", $pixels, $($panel)*),
                one!("2", $pixels, $($panel)*),
                one!("3", $pixels, $($panel)*),
                one!("4", $pixels, $($panel)*),
                one!("5", $pixels, $($panel)*),
                one!("6", $pixels, $($panel)*),
                "20:",
                "cbz {blocks}, 30f",
                "mov {t}, {totals}",
                $load_wide,
                last_totals!($sums, $low, $high),
                "30:",
                $store,
                "40:",
                dump!($sums),
                "50:",
                p = inout(reg) $work.pixels.as_ptr() => _,
                weights = in(reg) $work.weights.as_ptr(),
                w0 = out(reg) _,
                b = out(reg) _,
                blocks = in(reg) ($work.depth.div_ceil(8) - 1) / GROUPS,
                n = out(reg) _,
                whole = const GROUPS,
                last = in(reg) last_groups($work.depth),
                tail = in(reg) $work.depth % 8,
                t = out(reg) _,
                totals = in(reg) &raw mut totals,
                start = in(reg) &raw const $work.finish.start,
                wide = in(reg) &raw const $work.finish.wide_bias,
                raw = inout(reg) $raw => _,
                $($operands)*
            );
        }
    }};
}

/// Whole groups of the last block.
const fn last_groups(depth: usize) -> usize {
    depth / 8 - (depth.div_ceil(8) - 1) / GROUPS * GROUPS
}

/// Stores a tile that has no sum beyond the halves, if it may, and goes on with the next.
macro_rules! store {
    ($sums:tt, $more:tt, $($pixel:tt)*) => {
        concat!(
            check!($sums, $more),
            "and {n}, {n}, {may}\n",
            "cbz {n}, 40f\n",
            "cbz {range}, 41f\n",
            "ldp q2, q3, [{range}]\n",
            clamp!($($pixel)*),
            "41:\n",
            write!($($pixel)*),
            "subs {tiles}, {tiles}, #1\n",
            "b.ne 2b\n",
            "b 50f\n",
        )
    };
}

/// Eight pixels side by side.
macro_rules! load_8 {
    () => {
        concat!(
            "ld1 {{v0.8h, v1.8h, v2.8h, v3.8h}}, [{p}], #64\n",
            "ld1 {{v4.8h, v5.8h, v6.8h, v7.8h}}, [{p}], #64\n",
        )
    };
}

impl<const P: usize> Tiles<'_, P> {
    /// Whether all that tiles of eight pixels read and write is there.
    fn fits(&self) -> bool {
        let Self { pixels, weights, depth, output, channels, tiles, .. } = self;
        let groups = depth.div_ceil(8).checked_mul(*tiles);
        *depth > 0
            && *tiles > 0
            && groups.is_some_and(|groups| groups <= pixels.len() / 64)
            && weights.len() / (8 * P) >= *depth
            && (output.is_empty() || runs_fit(output, 8 * tiles, *channels, 8 * P))
    }
}

/// Tiles of eight pixels times 16 channels; how many are stored. The next one, if it is not the last,
/// has a sum that is not finite, or `output` is empty: its sums are in `raw`.
///
/// `None`, and nothing done, without a step or a tile, or when a slice is too short.
#[inline]
#[target_feature(enable = "fp16")]
pub(crate) fn tiles_8x16(work: Tiles<'_, 2>, raw: &mut Raw) -> Option<usize> {
    if !work.fits() {
        return None;
    }
    let mut left = work.tiles;
    tiles!(work, raw,
        operands: {
            w1 = out(reg) _,
            panel = in(reg) 16 * work.depth,
            range = in(reg) work.finish.range(),
            out = inout(reg) work.output.as_mut_ptr() => _,
            channels = in(reg) 2 * work.channels,
            may = in(reg) if work.output.is_empty() { 0_usize } else { usize::MAX },
            tiles = inout(reg) left,
        },
        panel_pointers: "mov {w0}, {weights}\nadd {w1}, {w0}, {panel}",
        load: load_8!(),
        start: start!(["v16" "v17" "v18" "v19"] ["v20" "v21" "v22" "v23"]
            ["v24" "v25" "v26" "v27"] ["v28" "v29" "v30" "v31"]),
        wide: "ldp q8, q9, [{wide}]\nldp q10, q11, [{wide}, #32]",
            ["v8" "v10" "v8" "v10" "v8" "v10" "v8" "v10" "v8" "v10" "v8" "v10" "v8" "v10" "v8" "v10"],
            ["v9" "v11" "v9" "v11" "v9" "v11" "v9" "v11" "v9" "v11" "v9" "v11" "v9" "v11" "v9" "v11"],
        store: store!(
            ["v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"],
            ["v4" "v5" "v6" "v7" "v4" "v5" "v6" "v7"],
            ["v16" "v17"] ["v18" "v19"] ["v20" "v21"] ["v22" "v23"]
            ["v24" "v25"] ["v26" "v27"] ["v28" "v29"] ["v30" "v31"]),
        pixels: ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7"],
        sums: ["v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"],
        panels:
            ["w0", "v8" "v9" "v10" "v11", ["v16" "v18" "v20" "v22" "v24" "v26" "v28" "v30"]]
            ["w1", "v12" "v13" "v14" "v15", ["v17" "v19" "v21" "v23" "v25" "v27" "v29" "v31"]]
    );
    Some(work.tiles - left)
}

/// The same for eight channels.
#[inline]
#[target_feature(enable = "fp16")]
pub(crate) fn tiles_8x8(work: Tiles<'_, 1>, raw: &mut Raw) -> Option<usize> {
    if !work.fits() {
        return None;
    }
    let mut left = work.tiles;
    tiles!(work, raw,
        operands: {
            range = in(reg) work.finish.range(),
            out = inout(reg) work.output.as_mut_ptr() => _,
            channels = in(reg) 2 * work.channels,
            may = in(reg) if work.output.is_empty() { 0_usize } else { usize::MAX },
            tiles = inout(reg) left,
        },
        panel_pointers: "mov {w0}, {weights}",
        load: load_8!(),
        start: start!(["v16" "v17" "v18" "v19"] ["v20" "v21" "v22" "v23"]),
        wide: "ldp q8, q9, [{wide}]",
            ["v8" "v8" "v8" "v8" "v8" "v8" "v8" "v8"],
            ["v9" "v9" "v9" "v9" "v9" "v9" "v9" "v9"],
        store: store!(
            ["v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23"],
            [],
            ["v16"] ["v17"] ["v18"] ["v19"] ["v20"] ["v21"] ["v22"] ["v23"]),
        pixels: ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7"],
        sums: ["v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23"],
        panels:
            ["w0", "v8" "v9" "v10" "v11", ["v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23"]]
    );
    Some(work.tiles - left)
}

/// One pixel, a group of eight steps every `pitch` halves, times four panels, one every `panel`.
///
/// `None`, and nothing done, without a step, or when a slice is too short.
#[inline]
#[target_feature(enable = "fp16")]
pub(crate) fn tile_1x32(
    work: Tiles<'_, 4>,
    pitch: usize,
    panel: usize,
    raw: &mut Raw,
) -> Option<()> {
    let Tiles { pixels, weights, depth, .. } = work;
    if !runs_fit(pixels, depth.div_ceil(8), pitch, 8) || !runs_fit(weights, 4, panel, 8 * depth) {
        return None;
    }
    tiles!(work, raw,
        operands: {
            w1 = out(reg) _,
            w2 = out(reg) _,
            w3 = out(reg) _,
            panel = in(reg) 2 * panel,
            pitch = in(reg) 2 * pitch,
        },
        panel_pointers: "mov {w0}, {weights}\nadd {w1}, {w0}, {panel}\nadd {w2}, {w1}, {panel}\nadd {w3}, {w2}, {panel}",
        load: "ld1 {{v0.8h}}, [{p}], {pitch}\n",
        start: start!(["v16" "v17" "v18" "v19"]),
        wide: "ldp q8, q9, [{wide}]\nldp q10, q11, [{wide}, #32]\nldp q12, q13, [{wide}, #64]\nldp q14, q15, [{wide}, #96]",
            ["v8" "v10" "v12" "v14"],
            ["v9" "v11" "v13" "v15"],
        store: "",
        pixels: ["v0"],
        sums: ["v16" "v17" "v18" "v19"],
        panels:
            ["w0", "v8" "v9" "v10" "v11", ["v16"]]
            ["w1", "v12" "v13" "v14" "v15", ["v17"]]
            ["w2", "v20" "v21" "v22" "v23", ["v18"]]
            ["w3", "v24" "v25" "v26" "v27", ["v19"]]
    );
    Some(())
}
