//! 3x3 windows of eight channels in arithmetic on halves: whole rows of outputs, so that a column is
//! loaded once and never moved. With stride 1 two rows of outputs share the rows between them.

use super::finish::vector_asm;
use crate::F16;
use core::marker::PhantomData;

/// What all rows have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Outputs in a row.
    outputs: usize,
    /// 1 or 2.
    stride: usize,
    /// Whether a column of padding comes before the input, and after it.
    left: bool,
    right: bool,
    /// Columns of the input that are read.
    inside: usize,
    channels: usize,
}

impl Line {
    /// `None` for a row that there is no loop for.
    pub(crate) fn new(
        outputs: usize,
        stride: usize,
        pad_left: usize,
        width: usize,
        channels: usize,
    ) -> Option<Self> {
        let all = outputs.checked_sub(1)?.checked_mul(stride)?.checked_add(3)?;
        let pad_right = all.saturating_sub(pad_left.checked_add(width)?);
        let inside = all.checked_sub(pad_left)?.checked_sub(pad_right)?;
        let is_known =
            matches!(stride, 1 | 2) && pad_left <= 1 && pad_right <= 1 && inside <= width;
        let (left, right) = (pad_left == 1, pad_right == 1);
        is_known.then_some(Self { outputs, stride, left, right, inside, channels })
    }
}

/// The same for eight channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eight<'a> {
    /// The first one.
    pub(crate) channel: usize,
    pub(crate) weights: &'a [[F16; 8]; 9],
    pub(crate) bias: &'a [f32; 8],
    /// Smallest and largest output.
    pub(crate) range: &'a [[F16; 8]; 2],
}

/// A column of every row.
macro_rules! load {
    ([$($v:literal)*], [$($r:literal)*]) => {
        concat!($("ld1 {{", $v, ".8h}}, [{", $r, "}], {s", $r, "}\n",)*)
    };
}

/// A column of padding.
macro_rules! pad {
    ([$($v:literal)*]) => { concat!($("movi ", $v, ".2d, #0\n",)*) };
}

/// What one row of outputs adds to its sum, in memory order, and the bias.
macro_rules! sum {
    ($s:literal, [$a0:literal $a1:literal $a2:literal], [$b0:literal $b1:literal $b2:literal],
     [$c0:literal $c1:literal $c2:literal]) => {
        concat!(
            "fmul ",
            $s,
            ".8h, ",
            $a0,
            ".8h, v0.8h\n",
            "fmla ",
            $s,
            ".8h, ",
            $b0,
            ".8h, v1.8h\n",
            "fmla ",
            $s,
            ".8h, ",
            $c0,
            ".8h, v2.8h\n",
            "fmla ",
            $s,
            ".8h, ",
            $a1,
            ".8h, v3.8h\n",
            "fmla ",
            $s,
            ".8h, ",
            $b1,
            ".8h, v4.8h\n",
            "fmla ",
            $s,
            ".8h, ",
            $c1,
            ".8h, v5.8h\n",
            "fmla ",
            $s,
            ".8h, ",
            $a2,
            ".8h, v6.8h\n",
            "fmla ",
            $s,
            ".8h, ",
            $b2,
            ".8h, v7.8h\n",
            "fmla ",
            $s,
            ".8h, ",
            $c2,
            ".8h, v8.8h\n",
            "fadd ",
            $s,
            ".8h, ",
            $s,
            ".8h, v11.8h\n",
        )
    };
}

/// Clamps and stores a sum. One that is not finite makes v15 not a number.
macro_rules! end {
    ($s:literal, $to:literal) => {
        concat!(
            "fmla v15.8h, ",
            $s,
            ".8h, v14.8h\n",
            "fmax ",
            $s,
            ".8h, ",
            $s,
            ".8h, v12.8h\n",
            "fmin ",
            $s,
            ".8h, ",
            $s,
            ".8h, v13.8h\n",
            "st1 {{",
            $s,
            ".8h}}, [{",
            $to,
            "}], {pitch}\n",
        )
    };
}

/// Two outputs, one above the other. Where there is no second row it is written over.
macro_rules! two {
    ([$a0:literal $a1:literal $a2:literal $a3:literal],
     [$b0:literal $b1:literal $b2:literal $b3:literal],
     [$c0:literal $c1:literal $c2:literal $c3:literal]) => {
        concat!(
            sum!("v10", [$a1 $a2 $a3], [$b1 $b2 $b3], [$c1 $c2 $c3]),
            end!("v10", "below"),
            sum!("v9", [$a0 $a1 $a2], [$b0 $b1 $b2], [$c0 $c1 $c2]),
            end!("v9", "out"),
        )
    };
}

macro_rules! one {
    ($a:tt, $b:tt, $c:tt) => {
        concat!(sum!("v9", $a, $b, $c), end!("v9", "out"))
    };
}

/// What all outputs need. Registers: 9 weights in v0 to v8, sums in v9 and v10, bias, range, zero and
/// whether a sum was not finite in v11 to v15, three columns from v16 on.
macro_rules! constants {
    () => {
        concat!(
            "ld1 {{v0.8h, v1.8h, v2.8h, v3.8h}}, [{w}], #64\n",
            "ld1 {{v4.8h, v5.8h, v6.8h, v7.8h}}, [{w}], #64\n",
            "ldr q8, [{w}]\n",
            "ldp q9, q10, [{bias}]\n",
            "fcvtn v11.4h, v9.4s\n",
            "fcvtn2 v11.8h, v10.4s\n",
            "ldp q12, q13, [{range}]\n",
            "movi v14.2d, #0\n",
            "movi v15.2d, #0\n",
        )
    };
}

/// Rows of outputs, one or two, and the rows of input under them.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    line: Line,
    /// From where on, bytes from a column to the next, and whether channels lie side by side: not in the
    /// padding, which is the same eight halves everywhere.
    input: [(*const F16, usize, bool); 4],
    output: *mut F16,
    below: *mut F16,
    borrows: PhantomData<(&'a [F16], &'a mut [F16])>,
}

impl<'a> Rows<'a> {
    /// `None` stands for a row of input in the padding, and for no second row of outputs. `None` when a
    /// row is too short.
    #[inline]
    pub(crate) fn new(
        line: Line,
        input: [Option<&'a [F16]>; 4],
        output: &'a mut [F16],
        below: Option<&'a mut [F16]>,
    ) -> Option<Self> {
        static PADDING: [F16; 8] = [F16::from_bits(0); 8];
        let reads = line.inside.checked_mul(line.channels)?;
        let writes = line.outputs.checked_mul(line.channels)?;
        let are_long = input.iter().flatten().all(|row| row.len() >= reads);
        if !are_long
            || output.len() < writes
            || below.as_ref().is_some_and(|row| row.len() < writes)
        {
            return None;
        }
        let input = input.map(|row| match row {
            Some(row) => (row.as_ptr(), 2 * line.channels, true),
            None => (PADDING.as_ptr(), 0, false),
        });
        let output = output.as_mut_ptr();
        let below = below.map_or(output, <[F16]>::as_mut_ptr);
        Some(Self { line, input, output, below, borrows: PhantomData })
    }

    /// Computes eight channels; whether some sum was not finite. `None`, and nothing done, beyond the
    /// last channels.
    #[inline]
    #[target_feature(enable = "fp16")]
    pub(crate) fn run(&mut self, eight: &Eight<'_>) -> Option<bool> {
        let Eight { channel, weights, bias, range } = *eight;
        let Line { outputs, stride, left, right, channels, .. } = self.line;
        if channel.checked_add(8)? > channels {
            return None;
        }
        let [r0, r1, r2, r3] = self.input.map(|(row, stride, is_row)| {
            (row.wrapping_add(if is_row { channel } else { 0 }), stride)
        });
        let output = self.output.wrapping_add(channel);
        let below = self.below.wrapping_add(channel);
        let whole = outputs - usize::from(right);
        let finite: usize;
        if stride == 1 {
            // SAFETY: reads `inside` columns of eight channels of the rows, the same eight halves over and
            // over of one in the padding, and writes `outputs` columns of one or two rows of outputs, in
            // all of which `new` has found room; weights, bias and range are arrays.
            unsafe {
                vector_asm!(
                    constants!(),
                    pad!(["v16" "v17" "v18" "v19"]),
                    "cbnz {left}, 2f",
                    load!(["v16" "v17" "v18" "v19"], ["r0" "r1" "r2" "r3"]),
                    "2:",
                    load!(["v20" "v21" "v22" "v23"], ["r0" "r1" "r2" "r3"]),
                    "cbz {n}, 4f",
                    "3:",
                    load!(["v24" "v25" "v26" "v27"], ["r0" "r1" "r2" "r3"]),
                    two!(["v16" "v17" "v18" "v19"], ["v20" "v21" "v22" "v23"], ["v24" "v25" "v26" "v27"]),
                    "subs {n}, {n}, #1",
                    "b.eq 5f",
                    load!(["v16" "v17" "v18" "v19"], ["r0" "r1" "r2" "r3"]),
                    two!(["v20" "v21" "v22" "v23"], ["v24" "v25" "v26" "v27"], ["v16" "v17" "v18" "v19"]),
                    "subs {n}, {n}, #1",
                    "b.eq 6f",
                    load!(["v20" "v21" "v22" "v23"], ["r0" "r1" "r2" "r3"]),
                    two!(["v24" "v25" "v26" "v27"], ["v16" "v17" "v18" "v19"], ["v20" "v21" "v22" "v23"]),
                    "subs {n}, {n}, #1",
                    "b.ne 3b",
                    "4:",
                    "cbz {right}, 7f",
                    pad!(["v24" "v25" "v26" "v27"]),
                    two!(["v16" "v17" "v18" "v19"], ["v20" "v21" "v22" "v23"], ["v24" "v25" "v26" "v27"]),
                    "b 7f",
                    "5:",
                    "cbz {right}, 7f",
                    pad!(["v16" "v17" "v18" "v19"]),
                    two!(["v20" "v21" "v22" "v23"], ["v24" "v25" "v26" "v27"], ["v16" "v17" "v18" "v19"]),
                    "b 7f",
                    "6:",
                    "cbz {right}, 7f",
                    pad!(["v20" "v21" "v22" "v23"]),
                    two!(["v24" "v25" "v26" "v27"], ["v16" "v17" "v18" "v19"], ["v20" "v21" "v22" "v23"]),
                    "7:",
                    "fcmeq v15.8h, v15.8h, v15.8h",
                    "uminv h15, v15.8h",
                    "umov {n:w}, v15.h[0]",
                    w = inout(reg) weights => _,
                    bias = in(reg) bias,
                    range = in(reg) range,
                    r0 = inout(reg) r0.0 => _,
                    r1 = inout(reg) r1.0 => _,
                    r2 = inout(reg) r2.0 => _,
                    r3 = inout(reg) r3.0 => _,
                    sr0 = in(reg) r0.1,
                    sr1 = in(reg) r1.1,
                    sr2 = in(reg) r2.1,
                    sr3 = in(reg) r3.1,
                    out = inout(reg) output => _,
                    below = inout(reg) below => _,
                    pitch = in(reg) 2 * channels,
                    left = in(reg) usize::from(left),
                    right = in(reg) usize::from(right),
                    n = inout(reg) whole => finite,
                );
            }
        } else {
            // SAFETY: as above, of three rows of input and one of outputs.
            unsafe {
                vector_asm!(
                    constants!(),
                    pad!(["v16" "v17" "v18"]),
                    "cbnz {left}, 2f",
                    load!(["v16" "v17" "v18"], ["r0" "r1" "r2"]),
                    "2:",
                    "cbz {n}, 4f",
                    "3:",
                    load!(["v20" "v21" "v22"], ["r0" "r1" "r2"]),
                    load!(["v24" "v25" "v26"], ["r0" "r1" "r2"]),
                    one!(["v16" "v17" "v18"], ["v20" "v21" "v22"], ["v24" "v25" "v26"]),
                    "subs {n}, {n}, #1",
                    "b.eq 5f",
                    load!(["v20" "v21" "v22"], ["r0" "r1" "r2"]),
                    load!(["v16" "v17" "v18"], ["r0" "r1" "r2"]),
                    one!(["v24" "v25" "v26"], ["v20" "v21" "v22"], ["v16" "v17" "v18"]),
                    "subs {n}, {n}, #1",
                    "b.ne 3b",
                    "4:",
                    "cbz {right}, 7f",
                    load!(["v20" "v21" "v22"], ["r0" "r1" "r2"]),
                    pad!(["v24" "v25" "v26"]),
                    one!(["v16" "v17" "v18"], ["v20" "v21" "v22"], ["v24" "v25" "v26"]),
                    "b 7f",
                    "5:",
                    "cbz {right}, 7f",
                    load!(["v20" "v21" "v22"], ["r0" "r1" "r2"]),
                    pad!(["v16" "v17" "v18"]),
                    one!(["v24" "v25" "v26"], ["v20" "v21" "v22"], ["v16" "v17" "v18"]),
                    "7:",
                    "fcmeq v15.8h, v15.8h, v15.8h",
                    "uminv h15, v15.8h",
                    "umov {n:w}, v15.h[0]",
                    w = inout(reg) weights => _,
                    bias = in(reg) bias,
                    range = in(reg) range,
                    r0 = inout(reg) r0.0 => _,
                    r1 = inout(reg) r1.0 => _,
                    r2 = inout(reg) r2.0 => _,
                    sr0 = in(reg) r0.1,
                    sr1 = in(reg) r1.1,
                    sr2 = in(reg) r2.1,
                    out = inout(reg) output => _,
                    pitch = in(reg) 2 * channels,
                    left = in(reg) usize::from(left),
                    right = in(reg) usize::from(right),
                    n = inout(reg) whole => finite,
                );
            }
        }
        Some(finite == 0)
    }
}
