//! 3x3 windows of eight channels: whole rows of outputs in assembly, so that a column is loaded once
//! and never moved, and what a channel needs stays in registers from row to row.

use super::finish::{clamp, narrow, of_kind, scale, vector_asm};
use super::{Finish, holds, load_8};
use core::arch::aarch64::*;
use core::marker::PhantomData;

/// Channels that are computed for all steps before the next ones: the line of a cache.
pub(crate) const GROUP: usize = 64;

/// Steps down the output that a table has room for.
pub(crate) const STEPS: usize = 16;

/// The weights of eight channels, and the way to multiply with them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Taps<'a> {
    /// With `SDOT`, for the first row of outputs and for the second: three columns, each of four
    /// rows by channels 0 to 3 and 4 to 7.
    Dots([[int8x16_t; 6]; 2]),
    /// The three products of a column fit an int16.
    Threes(&'a [[i8; 8]; 9]),
    /// Two products fit one.
    Pairs(&'a [[i8; 8]; 9]),
}

impl Taps<'_> {
    /// For `SDOT`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn dots(weights: &[[i8; 8]; 9]) -> Self {
        // Two copies side by side, of which the lower one counts.
        let twice = |tap: &[i8; 8]| vcombine_s8(load_8(tap), load_8(tap));
        let zero = vdupq_n_s8(0);
        let [mut first, mut second] = [[zero; 6]; 2];
        let columns = first.as_chunks_mut::<2>().0.iter_mut().zip(second.as_chunks_mut::<2>().0);
        let [upper, middle, lower] = weights.as_chunks::<3>().0 else {
            return Self::Dots([first, second]);
        };
        for ((((first, second), a), b), c) in columns.zip(upper).zip(middle).zip(lower) {
            let (a, b, c) = (twice(a), twice(b), twice(c));
            // From the first row on with a zero at the end, and from the second with one at the start.
            *first = quads(a, b, c, zero);
            *second = quads(zero, a, b, c);
        }
        Self::Dots([first, second])
    }
}

/// Four rows of channel 0, of channel 1 and so on to channel 7.
#[inline]
#[target_feature(enable = "neon")]
fn quads(a: int8x16_t, b: int8x16_t, c: int8x16_t, d: int8x16_t) -> [int8x16_t; 2] {
    let upper = vreinterpretq_s16_s8(vzip1q_s8(a, b));
    let lower = vreinterpretq_s16_s8(vzip1q_s8(c, d));
    [vreinterpretq_s8_s16(vzip1q_s16(upper, lower)), vreinterpretq_s8_s16(vzip2q_s16(upper, lower))]
}

/// What all rows have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Outputs in a row, not none.
    pub(crate) outputs: usize,
    /// 1 or 2; with 1 two rows of outputs are computed together.
    pub(crate) stride: usize,
    /// Whether a column of padding comes before the input, and after it.
    pub(crate) left: bool,
    pub(crate) right: bool,
    /// Bytes from a column to the next, of input and output.
    pub(crate) channels: usize,
}

impl Line {
    /// Columns of the input that are read.
    fn inside(&self) -> Option<usize> {
        let all = self.outputs.checked_sub(1)?.checked_mul(self.stride)?.checked_add(3)?;
        all.checked_sub(usize::from(self.left) + usize::from(self.right))
    }
}

/// A row of input, as the assembly reads it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Row {
    data: *const i8,
    /// Bytes from a column to the next; none in the padding.
    stride: usize,
}

/// As the assembly reads it: four rows of input, and one row of outputs or two.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Step {
    rows: [Row; 4],
    outputs: [*mut i8; 2],
}

/// Rows of outputs of a group of channels, and the rows of input under them.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    steps: [Step; STEPS],
    count: usize,
    line: Line,
    inside: usize,
    /// Channels of the group.
    len: usize,
    pad: &'a [i8; GROUP],
    borrows: PhantomData<&'a mut [i8]>,
}

impl<'a> Steps<'a> {
    /// No step yet, of `len` channels. `pad` is full of the padding. `None` for a line that there
    /// is no loop for.
    pub(crate) fn new(line: Line, len: usize, pad: &'a [i8; GROUP]) -> Option<Self> {
        const { assert!(size_of::<Step>() == 80) };
        let row = Row { data: pad.as_ptr(), stride: 0 };
        let step = Step { rows: [row; 4], outputs: [core::ptr::null_mut(); 2] };
        let (inside, borrows) = (line.inside()?, PhantomData);
        let fits = len <= GROUP && matches!(line.stride, 1 | 2);
        fits.then_some(Self { steps: [step; STEPS], count: 0, line, inside, len, pad, borrows })
    }

    /// Adds the outputs of `rows`, `None` in the padding, each from the first channel of the group
    /// on. `None`, and nothing added, when one is too short or there is no room.
    pub(crate) fn push(
        &mut self,
        rows: [Option<&'a [i8]>; 4],
        output: &'a mut [i8],
        second: Option<&'a mut [i8]>,
    ) -> Option<()> {
        let Line { outputs, channels, .. } = self.line;
        let step = self.steps.get_mut(self.count)?;
        let fits = |output: &[i8]| holds(output, outputs, channels, self.len);
        let are_long = rows.iter().flatten().all(|row| holds(row, self.inside, channels, self.len));
        if !are_long || !fits(output) || !second.as_deref().is_none_or(fits) {
            return None;
        }
        step.rows = rows.map(|row| match row {
            Some(row) => Row { data: row.as_ptr(), stride: channels },
            None => Row { data: self.pad.as_ptr(), stride: 0 },
        });
        // Of a single row the second outputs are written first, and then over.
        let output = output.as_mut_ptr();
        step.outputs = [output, second.map_or(output, <[i8]>::as_mut_ptr)];
        self.count += 1;
        Some(())
    }
}

/// What all loops work on.
struct Work<'a> {
    steps: &'a Steps<'a>,
    finish: &'a Finish<2>,
    channel: usize,
}

/// Loads what eight channels need. Registers: three columns in v0 to v5; weights in v6 to v14, then
/// bias in v21 and v22, or weights in v19 to v21; sums in v15 to v18; factors in v23 to v28; zero
/// point and clamp in v29 to v31. Products that no `SDOT` adds up are in v19, v20, v27 and v28.
macro_rules! constants {
    (DOTS, $kind:ident) => {
        concat!(
            ".arch_extension dotprod\n",
            "ldp q6, q7, [{weights}]\n",
            "ldp q8, q9, [{weights}, #32]\n",
            "ldp q10, q11, [{weights}, #64]\n",
            "ldp q12, q13, [{weights}, #96]\n",
            "ldp q14, q19, [{weights}, #128]\n",
            "ldp q20, q21, [{weights}, #160]\n",
            constants!($kind),
        )
    };
    ($taps:ident, $kind:ident) => {
        concat!(
            "mov {n}, {weights}\n",
            "ld1r {{v6.2d}}, [{n}], #8\n",
            "ld1r {{v7.2d}}, [{n}], #8\n",
            "ld1r {{v8.2d}}, [{n}], #8\n",
            "ld1r {{v9.2d}}, [{n}], #8\n",
            "ld1r {{v10.2d}}, [{n}], #8\n",
            "ld1r {{v11.2d}}, [{n}], #8\n",
            "ld1r {{v12.2d}}, [{n}], #8\n",
            "ld1r {{v13.2d}}, [{n}], #8\n",
            "ld1r {{v14.2d}}, [{n}]\n",
            "ldp q21, q22, [{finish}]\n",
            constants!($kind),
        )
    };
    (FLOAT) => {
        concat!(
            "ldp q23, q24, [{finish}, #32]\n",
            "ldp q29, q30, [{finish}, #128]\n",
            "ldr q31, [{finish}, #160]\n",
        )
    };
    (FLOAT_FREE) => {
        constants!(FLOAT)
    };
    (RIGHT_FREE) => {
        constants!(RIGHT)
    };
    (RIGHT) => {
        concat!(constants!(FLOAT), "ldp q25, q26, [{finish}, #64]\n")
    };
    (ANY) => {
        concat!(constants!(RIGHT), "ldp q27, q28, [{finish}, #96]\n")
    };
}

/// Loads a column of four rows.
macro_rules! column_of_4 {
    (DOTS, [$low:literal $high:literal]) => {
        concat!(
            "ld1 {{v15.8b}}, [{p0}], {s0}\n",
            "ld1 {{v16.8b}}, [{p1}], {s1}\n",
            "ld1 {{v17.8b}}, [{p2}], {s2}\n",
            "ld1 {{v18.8b}}, [{p3}], {s3}\n",
            "zip1 v15.16b, v15.16b, v16.16b\n",
            "zip1 v17.16b, v17.16b, v18.16b\n",
            quads!("v15", "v17", $low, $high),
        )
    };
    ($taps:ident, [$upper:literal $lower:literal]) => {
        concat!(
            column_of_3!($taps, [$upper $lower]),
            "ld1 {{", $lower, ".d}}[1], [{p3}], {s3}\n",
        )
    };
}

/// Loads a column of three rows.
macro_rules! column_of_3 {
    (DOTS, [$low:literal $high:literal]) => {
        concat!(
            "ld1 {{v17.8b}}, [{p0}], {s0}\n",
            "ld1 {{v18.8b}}, [{p1}], {s1}\n",
            "ld1 {{v22.8b}}, [{p2}], {s2}\n",
            "zip1 v17.16b, v17.16b, v18.16b\n",
            "zip1 v18.16b, v22.16b, v22.16b\n",
            quads!("v17", "v18", $low, $high),
        )
    };
    ($taps:ident, [$upper:literal $lower:literal]) => {
        concat!(
            "ld1 {{",
            $upper,
            ".8b}}, [{p0}], {s0}\n",
            "ld1 {{",
            $lower,
            ".8b}}, [{p2}], {s2}\n",
            "ld1 {{",
            $upper,
            ".d}}[1], [{p1}], {s1}\n",
        )
    };
}

/// Channels 0 to 3, and 4 to 7, of two pairs of rows.
macro_rules! quads {
    ($upper:literal, $lower:literal, $low:literal, $high:literal) => {
        concat!(
            "zip1 ", $low, ".8h, ", $upper, ".8h, ", $lower, ".8h\n", "zip2 ", $high, ".8h, ",
            $upper, ".8h, ", $lower, ".8h\n",
        )
    };
}

/// A column of padding.
macro_rules! padding {
    ([$a:literal $b:literal]) => {
        concat!("dup ", $a, ".16b, {pad:w}\n", "dup ", $b, ".16b, {pad:w}\n")
    };
}

/// `to = from + the products in an int16`.
macro_rules! widen {
    ($products:literal, [$low:literal $high:literal], [$from_low:literal $from_high:literal]) => {
        concat!(
            "saddw ", $low, ".4s, ", $from_low, ".4s, ", $products, ".4h\n", "saddw2 ", $high,
            ".4s, ", $from_high, ".4s, ", $products, ".8h\n",
        )
    };
}

/// A product with a weight in an int16: of one of the four rows of a column.
macro_rules! product {
    ($multiply:literal, 0, $to:literal, [$upper:literal $lower:literal], $weight:literal) => {
        concat!($multiply, " ", $to, ".8h, ", $upper, ".8b, ", $weight, ".8b\n")
    };
    ($multiply:literal, 1, $to:literal, [$upper:literal $lower:literal], $weight:literal) => {
        concat!($multiply, "2 ", $to, ".8h, ", $upper, ".16b, ", $weight, ".16b\n")
    };
    ($multiply:literal, 2, $to:literal, [$upper:literal $lower:literal], $weight:literal) => {
        product!($multiply, 0, $to, [$lower $lower], $weight)
    };
    ($multiply:literal, 3, $to:literal, [$upper:literal $lower:literal], $weight:literal) => {
        product!($multiply, 1, $to, [$lower $lower], $weight)
    };
}

/// Three columns times their weights, added to the bias, with what follows an instruction far from
/// it, since the Cortex-A53 runs in order and waits.
macro_rules! sums {
    (DOTS, 0, $columns:tt, $sums:tt) => {
        sums!(@ $columns, ["v6" "v7" "v8" "v9" "v10" "v11"], $sums)
    };
    (DOTS, 1, $columns:tt, $sums:tt) => {
        sums!(@ $columns, ["v12" "v13" "v14" "v19" "v20" "v21"], $sums)
    };
    (@ [[$a0:literal $a1:literal] [$b0:literal $b1:literal] [$c0:literal $c1:literal]],
     [$u0:literal $u1:literal $v0:literal $v1:literal $w0:literal $w1:literal],
     [$low:literal $high:literal $low_q:literal $high_q:literal]) => {
        concat!(
            "ldp ", $low_q, ", ", $high_q, ", [{finish}]\n",
            "sdot ", $low, ".4s, ", $a0, ".16b, ", $u0, ".16b\n",
            "sdot ", $high, ".4s, ", $a1, ".16b, ", $u1, ".16b\n",
            "sdot ", $low, ".4s, ", $b0, ".16b, ", $v0, ".16b\n",
            "sdot ", $high, ".4s, ", $b1, ".16b, ", $v1, ".16b\n",
            "sdot ", $low, ".4s, ", $c0, ".16b, ", $w0, ".16b\n",
            "sdot ", $high, ".4s, ", $c1, ".16b, ", $w1, ".16b\n",
        )
    };
    (THREES, 0, [$a:tt $b:tt $c:tt], [$low:literal $high:literal $($q:literal)*]) => {
        concat!(
            product!("smull", 0, "v19", $a, "v6"),
            product!("smull", 0, "v20", $b, "v7"),
            product!("smull", 0, "v27", $c, "v8"),
            product!("smlal", 1, "v19", $a, "v9"),
            product!("smlal", 1, "v20", $b, "v10"),
            product!("smlal", 1, "v27", $c, "v11"),
            product!("smlal", 2, "v19", $a, "v12"),
            product!("smlal", 2, "v20", $b, "v13"),
            product!("smlal", 2, "v27", $c, "v14"),
            widen!("v19", [$low $high], ["v21" "v22"]),
            widen!("v20", [$low $high], [$low $high]),
            widen!("v27", [$low $high], [$low $high]),
        )
    };
    (PAIRS, 0, [$a:tt $b:tt $c:tt], [$low:literal $high:literal $($q:literal)*]) => {
        concat!(
            product!("smull", 0, "v19", $a, "v6"),
            product!("smull", 0, "v20", $b, "v7"),
            product!("smull", 0, "v27", $c, "v8"),
            product!("smull", 2, "v28", $a, "v12"),
            product!("smlal", 1, "v19", $a, "v9"),
            product!("smlal", 1, "v20", $b, "v10"),
            product!("smlal", 1, "v27", $c, "v11"),
            product!("smlal", 2, "v28", $b, "v13"),
            widen!("v19", [$low $high], ["v21" "v22"]),
            product!("smull", 2, "v19", $c, "v14"),
            widen!("v20", [$low $high], [$low $high]),
            widen!("v27", [$low $high], [$low $high]),
            widen!("v28", [$low $high], [$low $high]),
            widen!("v19", [$low $high], [$low $high]),
        )
    };
}

/// The first rows of the first two columns, for both rows of outputs.
macro_rules! early_first {
    (DOTS, [$a:tt $b:tt]) => {
        ""
    };
    ($taps:ident, [$a:tt $b:tt]) => {
        concat!(
            product!("smull", 0, "v19", $a, "v6"),
            product!("smull", 1, "v20", $a, "v6"),
            product!("smull", 0, "v27", $b, "v7"),
            product!("smull", 1, "v28", $b, "v7"),
        )
    };
}

/// Their second rows.
macro_rules! early_second {
    (DOTS, [$a:tt $b:tt]) => {
        ""
    };
    ($taps:ident, [$a:tt $b:tt]) => {
        concat!(
            product!("smlal", 1, "v19", $a, "v9"),
            product!("smlal", 2, "v20", $a, "v9"),
            product!("smlal", 1, "v27", $b, "v10"),
            product!("smlal", 2, "v28", $b, "v10"),
        )
    };
}

/// Their third rows, where three products fit.
macro_rules! early_third {
    (THREES, [$a:tt $b:tt]) => {
        concat!(
            product!("smlal", 2, "v19", $a, "v12"),
            product!("smlal", 3, "v20", $a, "v12"),
            product!("smlal", 2, "v27", $b, "v13"),
            product!("smlal", 3, "v28", $b, "v13"),
        )
    };
    ($taps:ident, [$a:tt $b:tt]) => {
        ""
    };
}

/// The sums of both rows of outputs in v15 to v18, where the products above are there already.
macro_rules! both_sums {
    (DOTS, $columns:tt) => {
        concat!(
            sums!(DOTS, 0, $columns, ["v15" "v16" "q15" "q16"]),
            sums!(DOTS, 1, $columns, ["v17" "v18" "q17" "q18"]),
        )
    };
    (THREES, [$a:tt $b:tt $c:tt]) => {
        concat!(
            widen!("v19", ["v15" "v16"], ["v21" "v22"]),
            widen!("v20", ["v17" "v18"], ["v21" "v22"]),
            product!("smull", 0, "v19", $c, "v8"),
            product!("smull", 1, "v20", $c, "v8"),
            widen!("v27", ["v15" "v16"], ["v15" "v16"]),
            product!("smlal", 1, "v19", $c, "v11"),
            product!("smlal", 2, "v20", $c, "v11"),
            widen!("v28", ["v17" "v18"], ["v17" "v18"]),
            product!("smlal", 2, "v19", $c, "v14"),
            product!("smlal", 3, "v20", $c, "v14"),
            widen!("v19", ["v15" "v16"], ["v15" "v16"]),
            widen!("v20", ["v17" "v18"], ["v17" "v18"]),
        )
    };
    (PAIRS, [$a:tt $b:tt $c:tt]) => {
        concat!(
            widen!("v19", ["v15" "v16"], ["v21" "v22"]),
            widen!("v20", ["v17" "v18"], ["v21" "v22"]),
            product!("smull", 0, "v19", $c, "v8"),
            product!("smull", 1, "v20", $c, "v8"),
            widen!("v27", ["v15" "v16"], ["v15" "v16"]),
            widen!("v28", ["v17" "v18"], ["v17" "v18"]),
            product!("smlal", 1, "v19", $c, "v11"),
            product!("smlal", 2, "v20", $c, "v11"),
            product!("smull", 2, "v27", $a, "v12"),
            product!("smull", 3, "v28", $a, "v12"),
            widen!("v19", ["v15" "v16"], ["v15" "v16"]),
            widen!("v20", ["v17" "v18"], ["v17" "v18"]),
            product!("smlal", 2, "v27", $b, "v13"),
            product!("smlal", 3, "v28", $b, "v13"),
            product!("smull", 2, "v19", $c, "v14"),
            product!("smull", 3, "v20", $c, "v14"),
            widen!("v27", ["v15" "v16"], ["v15" "v16"]),
            widen!("v28", ["v17" "v18"], ["v17" "v18"]),
            widen!("v19", ["v15" "v16"], ["v15" "v16"]),
            widen!("v20", ["v17" "v18"], ["v17" "v18"]),
        )
    };
}

/// One step of `scale` for all sums: `v15` and `v17` with the first register, the others with the
/// second.
macro_rules! each {
    ($step:literal, $even:literal, $odd:literal) => {
        concat!(
            $step,
            " v15.4s, v15.4s",
            $even,
            "\n",
            $step,
            " v16.4s, v16.4s",
            $odd,
            "\n",
            $step,
            " v17.4s, v17.4s",
            $even,
            "\n",
            $step,
            " v18.4s, v18.4s",
            $odd,
            "\n",
        )
    };
}

/// `scale` for all sums, step by step.
macro_rules! scale_each {
    (FLOAT_FREE) => {
        scale_each!(FLOAT)
    };
    (RIGHT_FREE) => {
        scale_each!(RIGHT)
    };
    (FLOAT) => {
        concat!(
            each!("scvtf", "", ""),
            each!("fmul", ", v23.4s", ", v24.4s"),
            each!("fcvtns", "", ""),
        )
    };
    (RIGHT) => {
        concat!(
            each!("sqrdmulh", ", v23.4s", ", v24.4s"),
            "ssra v15.4s, v15.4s, #31\n",
            "ssra v16.4s, v16.4s, #31\n",
            "ssra v17.4s, v17.4s, #31\n",
            "ssra v18.4s, v18.4s, #31\n",
            each!("srshl", ", v25.4s", ", v26.4s"),
        )
    };
    (ANY) => {
        concat!(
            "ldp q19, q20, [{finish}, #96]\n",
            scale!(ANY, "v15", "v23", "v25", "v19", "v27"),
            scale!(ANY, "v16", "v24", "v26", "v20", "v27"),
            scale!(ANY, "v17", "v23", "v25", "v19", "v27"),
            scale!(ANY, "v18", "v24", "v26", "v20", "v27"),
        )
    };
}

/// The bytes of all sums.
macro_rules! bytes {
    (DOTS, $kind:ident) => {
        concat!(
            scale!($kind, "v15", "v23", "v25", "v27", "v22"),
            scale!($kind, "v16", "v24", "v26", "v28", "v22"),
            scale!($kind, "v17", "v23", "v25", "v27", "v22"),
            scale!($kind, "v18", "v24", "v26", "v28", "v22"),
            narrow!($kind, ["v15" "v16" "v17" "v18"], "v29", "v30", "v31"),
        )
    };
    ($taps:ident, $kind:ident) => {
        concat!(
            scale_each!($kind),
            narrow!($kind, ["v15" "v16" "v17" "v18"], "v29", "v30", "v31"),
        )
    };
}

/// An output of both rows; `narrow` is a chain, between whose links the next output begins.
macro_rules! both_rows {
    (DOTS, $kind:ident, $columns:tt) => {
        concat!(
            both_sums!(DOTS, $columns),
            bytes!(DOTS, $kind),
            store_both!(),
        )
    };
    ($taps:ident, $kind:ident, [$a:tt $b:tt $c:tt]) => {
        concat!(
            both_sums!($taps, [$a $b $c]),
            scale_each!($kind),
            "sqxtn v15.4h, v15.4s\n",
            "sqxtn v17.4h, v17.4s\n",
            early_first!($taps, [$b $c]),
            "sqxtn2 v15.8h, v16.4s\n",
            "sqxtn2 v17.8h, v18.4s\n",
            early_second!($taps, [$b $c]),
            "sqadd v15.8h, v15.8h, v29.8h\n",
            "sqadd v17.8h, v17.8h, v29.8h\n",
            early_third!($taps, [$b $c]),
            "sqxtn v15.8b, v15.8h\n",
            "sqxtn2 v15.16b, v17.8h\n",
            clamp!($kind, "v15", "v30", "v31"),
            store_both!(),
        )
    };
}

macro_rules! store_both {
    () => {
        "st1 {{v15.d}}[1], [{o1}], {channels}\nst1 {{v15.d}}[0], [{o0}], {channels}\n"
    };
}

/// Two rows of outputs at stride 1.
macro_rules! down {
    ($kind:ident, $work:ident, $taps:ident, $weights:ident) => {
        // SAFETY: reads the weights, what `Finish` holds and for every step eight bytes in each
        // column inside four rows, and writes eight in every output of one or two rows, all of
        // which `Steps` has checked.
        unsafe {
            vector_asm!(
                constants!($taps, $kind),
                "2:",
                "ldp {p0}, {s0}, [{step}]",
                "ldp {p1}, {s1}, [{step}, #16]",
                "ldp {p2}, {s2}, [{step}, #32]",
                "ldp {p3}, {s3}, [{step}, #48]",
                "ldp {o0}, {o1}, [{step}, #64]",
                "add {step}, {step}, #80",
                "add {p0}, {p0}, {channel}",
                "add {p1}, {p1}, {channel}",
                "add {p2}, {p2}, {channel}",
                "add {p3}, {p3}, {channel}",
                "add {o0}, {o0}, {channel}",
                "add {o1}, {o1}, {channel}",
                "mov {right}, {has_right}",
                padding!(["v0" "v1"]),
                "cbnz {left}, 3f",
                column_of_4!($taps, ["v0" "v1"]),
                "3:",
                column_of_4!($taps, ["v2" "v3"]),
                early_first!($taps, [["v0" "v1"] ["v2" "v3"]]),
                early_second!($taps, [["v0" "v1"] ["v2" "v3"]]),
                early_third!($taps, [["v0" "v1"] ["v2" "v3"]]),
                "subs {n}, {outputs}, #3",
                "b.lo 5f",
                "4:",
                column_of_4!($taps, ["v4" "v5"]),
                both_rows!($taps, $kind, [["v0" "v1"] ["v2" "v3"] ["v4" "v5"]]),
                column_of_4!($taps, ["v0" "v1"]),
                both_rows!($taps, $kind, [["v2" "v3"] ["v4" "v5"] ["v0" "v1"]]),
                column_of_4!($taps, ["v2" "v3"]),
                both_rows!($taps, $kind, [["v4" "v5"] ["v0" "v1"] ["v2" "v3"]]),
                "subs {n}, {n}, #3",
                "b.hs 4b",
                // Up to two outputs are left and one more at the padding.
                "5:",
                "adds {n}, {n}, #3",
                "b.eq 6f",
                column_of_4!($taps, ["v4" "v5"]),
                "b 7f",
                "6:",
                "cbz {right}, 9f",
                "mov {right}, xzr",
                padding!(["v4" "v5"]),
                "7:",
                both_rows!($taps, $kind, [["v0" "v1"] ["v2" "v3"] ["v4" "v5"]]),
                "cmp {n}, #2",
                "b.ne 6f",
                column_of_4!($taps, ["v0" "v1"]),
                "b 7f",
                "6:",
                "cbz {right}, 9f",
                "mov {right}, xzr",
                padding!(["v0" "v1"]),
                "7:",
                both_rows!($taps, $kind, [["v2" "v3"] ["v4" "v5"] ["v0" "v1"]]),
                "cbz {right}, 9f",
                padding!(["v2" "v3"]),
                both_rows!($taps, $kind, [["v4" "v5"] ["v0" "v1"] ["v2" "v3"]]),
                "9:",
                "subs {steps}, {steps}, #1",
                "b.ne 2b",
                p0 = out(reg) _,
                p1 = out(reg) _,
                p2 = out(reg) _,
                p3 = out(reg) _,
                s0 = out(reg) _,
                s1 = out(reg) _,
                s2 = out(reg) _,
                s3 = out(reg) _,
                o0 = out(reg) _,
                o1 = out(reg) _,
                n = out(reg) _,
                right = out(reg) _,
                step = inout(reg) $work.steps.steps.as_ptr() => _,
                steps = inout(reg) $work.steps.count => _,
                weights = in(reg) $weights.as_ptr(),
                finish = in(reg) $work.finish,
                channel = in(reg) $work.channel,
                channels = in(reg) $work.steps.line.channels,
                outputs = in(reg) $work.steps.line.outputs - usize::from($work.steps.line.right),
                left = in(reg) usize::from($work.steps.line.left),
                has_right = in(reg) usize::from($work.steps.line.right),
                pad = in(reg) i32::from($work.steps.pad[0]),
            );
        }
    };
}

/// An output by itself; the other sums are anything.
macro_rules! alone {
    ($taps:ident, $kind:ident) => {
        concat!(
            sums!($taps, 0, [["v0" "v1"] ["v2" "v3"] ["v4" "v5"]], ["v15" "v16" "q15" "q16"]),
            bytes!($taps, $kind),
            "st1 {{v15.d}}[0], [{o0}], {channels}\n",
        )
    };
}

/// A row of outputs at stride 2.
macro_rules! across {
    ($kind:ident, $work:ident, $taps:ident, $weights:ident) => {
        // SAFETY: as above, three rows and one.
        unsafe {
            vector_asm!(
                constants!($taps, $kind),
                "2:",
                "ldp {p0}, {s0}, [{step}]",
                "ldp {p1}, {s1}, [{step}, #16]",
                "ldp {p2}, {s2}, [{step}, #32]",
                "ldr {o0}, [{step}, #64]",
                "add {step}, {step}, #80",
                "add {p0}, {p0}, {channel}",
                "add {p1}, {p1}, {channel}",
                "add {p2}, {p2}, {channel}",
                "add {o0}, {o0}, {channel}",
                padding!(["v0" "v1"]),
                "cbnz {left}, 3f",
                column_of_3!($taps, ["v0" "v1"]),
                "3:",
                "subs {n}, {outputs}, #2",
                "b.lo 5f",
                "4:",
                column_of_3!($taps, ["v2" "v3"]),
                column_of_3!($taps, ["v4" "v5"]),
                sums!($taps, 0, [["v0" "v1"] ["v2" "v3"] ["v4" "v5"]], ["v15" "v16" "q15" "q16"]),
                column_of_3!($taps, ["v2" "v3"]),
                column_of_3!($taps, ["v0" "v1"]),
                sums!($taps, 0, [["v4" "v5"] ["v2" "v3"] ["v0" "v1"]], ["v17" "v18" "q17" "q18"]),
                bytes!($taps, $kind),
                "st1 {{v15.d}}[0], [{o0}], {channels}",
                "st1 {{v15.d}}[1], [{o0}], {channels}",
                "subs {n}, {n}, #2",
                "b.hs 4b",
                // One output may be left and one more at the padding.
                "5:",
                "adds {n}, {n}, #2",
                "b.eq 6f",
                column_of_3!($taps, ["v2" "v3"]),
                column_of_3!($taps, ["v4" "v5"]),
                alone!($taps, $kind),
                "mov v0.16b, v4.16b",
                "mov v1.16b, v5.16b",
                "6:",
                "cbz {right}, 9f",
                column_of_3!($taps, ["v2" "v3"]),
                padding!(["v4" "v5"]),
                alone!($taps, $kind),
                "9:",
                "subs {steps}, {steps}, #1",
                "b.ne 2b",
                p0 = out(reg) _,
                p1 = out(reg) _,
                p2 = out(reg) _,
                s0 = out(reg) _,
                s1 = out(reg) _,
                s2 = out(reg) _,
                o0 = out(reg) _,
                n = out(reg) _,
                step = inout(reg) $work.steps.steps.as_ptr() => _,
                steps = inout(reg) $work.steps.count => _,
                weights = in(reg) $weights.as_ptr(),
                finish = in(reg) $work.finish,
                channel = in(reg) $work.channel,
                channels = in(reg) $work.steps.line.channels,
                outputs = in(reg) $work.steps.line.outputs - usize::from($work.steps.line.right),
                left = in(reg) usize::from($work.steps.line.left),
                right = in(reg) usize::from($work.steps.line.right),
                pad = in(reg) i32::from($work.steps.pad[0]),
            );
        }
    };
}

impl Steps<'_> {
    /// Computes all steps for eight channels from the `channel`th of the group on. `None`, and
    /// nothing done, without a step or when these are not in the group.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) fn run<const K: u8>(
        &mut self,
        taps: &Taps<'_>,
        finish: &Finish<2>,
        channel: usize,
    ) -> Option<()> {
        if self.count == 0 || channel.checked_add(8)? > self.len {
            return None;
        }
        let work = Work { steps: self, finish, channel };
        match (taps, self.line.stride) {
            (Taps::Dots(weights), 1) => of_kind!(K, down, work, DOTS, weights),
            (Taps::Dots(weights), _) => of_kind!(K, across, work, DOTS, weights),
            (Taps::Threes(weights), 1) => of_kind!(K, down, work, THREES, weights),
            (Taps::Threes(weights), _) => of_kind!(K, across, work, THREES, weights),
            (Taps::Pairs(weights), 1) => of_kind!(K, down, work, PAIRS, weights),
            (Taps::Pairs(weights), _) => of_kind!(K, across, work, PAIRS, weights),
        }
        Some(())
    }
}
