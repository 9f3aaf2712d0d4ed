//! Rows of 3x3 windows on channel planes: words of two neighbouring columns, widened.

/// Channels that are computed at a time.
pub(crate) const BLOCK: usize = 4;

/// What follows a channel's sums. `tflite`: `[2 * bias, multiplier, rounding, shift]`, of sums that
/// are doubled; `fp32`: `[bias, bits of the scale, bits of 1.5 * 2^23 less the zero point, 0]`.
pub(crate) type Factors = [i32; 4];

/// Rows of pixels to split into the planes of their first four channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    pub(crate) bytes: &'a [i8],
    /// Bytes from a pixel to the next, and from a row to the next.
    pub(crate) stride: [usize; 2],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// Splits `pixels` into rows of planes, `plane` words each, from column `start` on. Does nothing
/// when something is shorter than that takes.
pub(crate) fn split(pixels: Pixels<'_>, planes: &mut [u32], plane: usize, start: usize) {
    let Pixels { bytes, stride: [pixel, row], rows, columns } = pixels;
    let fits = rows > 0
        && columns > 0
        && (rows - 1) * row + (columns - 1) * pixel + BLOCK <= bytes.len()
        && start + columns <= 2 * plane
        && rows * BLOCK * plane <= planes.len();
    if fits {
        let to = planes.as_mut_ptr().wrapping_add(start / 2);
        let counts = [columns, start & 1, rows, row, 4 * BLOCK * plane];
        // SAFETY: the pixels and the planes hold what is read and written, by the comparisons.
        unsafe { split_rows(bytes.as_ptr(), pixel, to, 4 * plane, &counts) }
    }
}

/// `counts`: columns, 1 when the first one is the second of its word, rows, bytes from a row to
/// the next in the pixels and in the planes.
///
/// # Safety
/// As [`split`] checks.
#[unsafe(naked)]
unsafe extern "C" fn split_rows(
    pixels: *const i8,
    stride: usize,
    to: *mut u32,
    plane_bytes: usize,
    counts: &[usize; 5],
) {
    routine!(
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #12",
        "ldr lr, [sp, #48]",
        "ldr r4, [lr, #8]",
        "str r4, [sp, #8]",
        // A row.
        "2:",
        "strd r0, r2, [sp]",
        "add r8, r2, r3",
        "add r9, r8, r3",
        "add r10, r9, r3",
        "ldrd r11, r12, [lr]",
        "cmp r12, #0",
        "beq 3f",
        "ldr r4, [r0]",
        "add r0, r0, r1",
        "sxtb r5, r4",
        "sxtb.w r6, r4, ror #8",
        "sxtb.w r7, r4, ror #16",
        "asrs r4, r4, #24",
        "strh r5, [r2, #2]",
        "adds r2, r2, #4",
        "strh.w r6, [r8, #2]",
        "add r8, r8, #4",
        "strh.w r7, [r9, #2]",
        "add r9, r9, #4",
        "strh.w r4, [r10, #2]",
        "add r10, r10, #4",
        "subs r11, r11, #1",
        "3:",
        "subs r11, r11, #2",
        "blt 5f",
        "4:",
        "ldr r4, [r0]",
        "ldr r5, [r0, r1]",
        "add r0, r0, r1, lsl #1",
        "sxtb16 r6, r4",
        "sxtb16 r7, r5",
        "sxtb16 r4, r4, ror #8",
        "sxtb16 r5, r5, ror #8",
        "pkhbt r12, r6, r7, lsl #16",
        "pkhtb r6, r7, r6, asr #16",
        "pkhbt r7, r4, r5, lsl #16",
        "pkhtb r4, r5, r4, asr #16",
        "str r12, [r2], #4",
        "str r7, [r8], #4",
        "str r6, [r9], #4",
        "str r4, [r10], #4",
        "subs r11, r11, #2",
        "bge 4b",
        "5:",
        "adds r11, r11, #1",
        "bne 6f",
        "ldr r4, [r0]",
        "sxtb r5, r4",
        "sxtb.w r6, r4, ror #8",
        "sxtb.w r7, r4, ror #16",
        "asrs r4, r4, #24",
        "strh r5, [r2]",
        "strh.w r6, [r8]",
        "strh.w r7, [r9]",
        "strh.w r4, [r10]",
        "6:",
        "ldr r4, [sp, #8]",
        "subs r4, r4, #1",
        "beq 7f",
        "str r4, [sp, #8]",
        "ldrd r0, r2, [sp]",
        "ldrd r4, r5, [lr, #12]",
        "add r0, r0, r4",
        "add r2, r2, r5",
        "b 2b",
        "7:",
        "add sp, sp, #12",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Rows of outputs of up to four channels: the start of the frame of the assembly below, behind
/// which a channel's biases, weights and [`MAGIC`](super::MAGIC) lie.
#[repr(C)]
struct Band {
    /// What follows the channel's sums; like the next three filled by the assembly, which loads all of
    /// them at once.
    factors: [i32; 3],
    output: *mut i8,
    stride: usize,
    /// Where the plane's groups of four outputs end.
    end: usize,
    /// Outputs behind them; filled by the assembly.
    rest: usize,
    plane: *const u32,
    weights: *const [i8; 9],
    /// From a row of planes to the next.
    pitch_bytes: usize,
    channels_factors: *const Factors,
    channels_output: *mut i8,
    channels: usize,
    plane_bytes: usize,
    groups_bytes: usize,
    columns_rest: usize,
    rows: usize,
    /// Filled by the assembly.
    rows_left: usize,
    /// From the end of a row of outputs to the next: in the planes, in the output.
    row_gap: usize,
    output_gap: usize,
    /// From a weight to the next along the plane, and across.
    tap_bytes: [usize; 2],
}

/// What rows of outputs are made of.
#[derive(Debug)]
pub(crate) struct Planes<'a> {
    /// Rows of [`BLOCK`] planes, `plane` words each.
    pub(crate) rows: &'a [u32],
    /// Words of a plane: two columns each.
    pub(crate) plane: usize,
    /// Rows and columns between two windows; one or two columns.
    pub(crate) stride: [usize; 2],
    /// One a channel, as many as are computed.
    pub(crate) weights: &'a [[i8; 9]],
    /// Whether a plane runs down the windows.
    pub(crate) swapped: bool,
    /// One a channel.
    pub(crate) factors: &'a [Factors; BLOCK],
    /// Whether the factors are those of `fp32`.
    pub(crate) float: bool,
}

impl Planes<'_> {
    /// `[rows, columns]` outputs of all channels into `output`, which has rows and pixels of so many
    /// bytes. Does nothing when something is shorter than that takes.
    pub(crate) fn run(
        &self,
        [rows, columns]: [usize; 2],
        output: &mut [i8],
        [row, stride]: [usize; 2],
    ) {
        let two = self.stride[1] == 2;
        let channels = self.weights.len();
        let pitch = BLOCK * self.plane;
        let fits = (1..=BLOCK).contains(&channels)
            && rows > 0
            && columns > 0
            && needed_words(columns, two) <= self.plane
            && ((rows - 1) * self.stride[0] + 3) * pitch <= self.rows.len()
            && (rows - 1) * row + (columns - 1) * stride + channels <= output.len();
        if !fits {
            return;
        }
        let pair_bytes = if two { 8 } else { 4 };
        let (groups_bytes, pairs) = (columns / 4 * 2 * pair_bytes, (columns % 4).div_ceil(2));
        let mut band = Band {
            factors: [0; 3],
            output: core::ptr::null_mut(),
            stride,
            end: 0,
            rest: 0,
            plane: self.rows.as_ptr(),
            weights: self.weights.as_ptr(),
            pitch_bytes: 4 * pitch,
            channels_factors: self.factors.as_ptr(),
            channels_output: output.as_mut_ptr(),
            channels,
            plane_bytes: 4 * self.plane,
            groups_bytes,
            columns_rest: columns % 4,
            rows,
            rows_left: 0,
            row_gap: (4 * pitch * self.stride[0]).wrapping_sub(groups_bytes + pairs * pair_bytes),
            // The last pair is where the assembly stops.
            output_gap: row
                .wrapping_sub(stride * (4 * (columns / 4) + 2 * pairs.saturating_sub(1))),
            tap_bytes: if self.swapped { [3, 1] } else { [1, 3] },
        };
        // SAFETY: planes, weights, factors and output hold what is read and written, by the
        // comparisons and the arrays' lengths.
        unsafe { blocks(two, self.float)(&mut band) }
    }
}

/// Words of a plane that `columns` outputs, rounded up to pairs, see.
pub(crate) const fn needed_words(columns: usize, two: bool) -> usize {
    let pairs = columns.div_ceil(2);
    if two { 2 * pairs + 1 } else { pairs + 1 }
}

#[inline]
fn blocks(two: bool, float: bool) -> unsafe extern "C" fn(*mut Band) {
    match (two, float && cfg!(feature = "fp32") || cfg!(not(feature = "tflite"))) {
        (false, false) => one_fixed,
        (true, false) => two_fixed,
        #[cfg(target_abi = "eabihf")]
        (false, true) => one_float,
        #[cfg(target_abi = "eabihf")]
        (true, true) => two_float,
        #[cfg(not(target_abi = "eabihf"))]
        (_, true) => one_fixed,
    }
}

/// One row of the window for four outputs, stride one; the next one's plane lies `lr` bytes on.
macro_rules! one_by_four {
    () => {
        concat!(
            "ldmia.w r11, {{r4, r5, r6}}\n",
            "ldmia r12!, {{r7, r8, r9, r10}}\n",
            "smlad r0, r4, r7, r0\n",
            "smlad r1, r4, r9, r1\n",
            "smlad r2, r5, r7, r2\n",
            "smlad r3, r5, r9, r3\n",
            "smlad r0, r5, r8, r0\n",
            "smlad r1, r5, r10, r1\n",
            "smlad r2, r6, r8, r2\n",
            "smlad r3, r6, r10, r3\n",
        )
    };
}

macro_rules! one_by_two {
    () => {
        concat!(
            "ldrd r4, r5, [r11]\n",
            "ldmia r12!, {{r7, r8, r9, r10}}\n",
            "smlad r0, r4, r7, r0\n",
            "smlad r1, r4, r9, r1\n",
            "smlad r0, r5, r8, r0\n",
            "smlad r1, r5, r10, r1\n",
        )
    };
}

/// Stride two.
macro_rules! two_by_four {
    () => {
        concat!(
            "ldmia.w r11, {{r4, r5, r6, r7, r8}}\n",
            "ldrd r9, r10, [r12], #16\n",
            "smlad r0, r4, r9, r0\n",
            "smlad r1, r5, r9, r1\n",
            "smlad r2, r6, r9, r2\n",
            "smlad r3, r7, r9, r3\n",
            "smlad r0, r5, r10, r0\n",
            "smlad r1, r6, r10, r1\n",
            "smlad r2, r7, r10, r2\n",
            "smlad r3, r8, r10, r3\n",
        )
    };
}

macro_rules! two_by_two {
    () => {
        concat!(
            "ldmia.w r11, {{r4, r5, r6}}\n",
            "ldrd r9, r10, [r12], #16\n",
            "smlad r0, r4, r9, r0\n",
            "smlad r1, r5, r9, r1\n",
            "smlad r0, r5, r10, r0\n",
            "smlad r1, r6, r10, r1\n",
        )
    };
}

/// What follows the sums, and where they go: r4 to r9 as `Band` starts.
macro_rules! load {
    () => {
        "ldmia.w sp, {{r4, r5, r6, r7, r8, r9}}\n"
    };
}

macro_rules! fixed {
    ($sum:literal) => {
        concat!(
            "smmlar r10, ",
            $sum,
            ", r4, r5\n",
            "add ",
            $sum,
            ", r10, ",
            $sum,
            ", asr #31\n",
            "asr ",
            $sum,
            ", ",
            $sum,
            ", r6\n",
            "ssat ",
            $sum,
            ", #8, ",
            $sum,
            "\n",
        )
    };
}

macro_rules! fixed_two {
    () => {
        concat!(load!(), fixed!("r0"), fixed!("r1"))
    };
}

macro_rules! fixed_four {
    () => {
        concat!(fixed_two!(), fixed!("r2"), fixed!("r3"))
    };
}

#[cfg(target_abi = "eabihf")]
macro_rules! float_two {
    () => {
        concat!(load!(), "vldmia r12, {{s4, s5}}\n", float!("r0", "r1", "s4", "s5"))
    };
}

#[cfg(target_abi = "eabihf")]
macro_rules! float_four {
    () => {
        concat!(
            load!(),
            "vldmia r12, {{s4, s5, s6, s7}}\n",
            float!("r0", "r1", "s4", "s5"),
            float!("r2", "r3", "s6", "s7")
        )
    };
}

#[cfg(target_abi = "eabihf")]
macro_rules! float {
    ($a:literal, $b:literal, $x:literal, $y:literal) => {
        concat!(
            "vmov s2, s3, ",
            $a,
            ", ",
            $b,
            "\n",
            "vcvt.f32.s32 s2, s2\n",
            "vcvt.f32.s32 s3, s3\n",
            // `VMLA` rounds the product before it adds.
            "vmla.f32 ",
            $x,
            ", s2, s0\n",
            "vmla.f32 ",
            $y,
            ", s3, s0\n",
            "vmov ",
            $a,
            ", ",
            $b,
            ", ",
            $x,
            ", ",
            $y,
            "\n",
            "qsub ",
            $a,
            ", ",
            $a,
            ", r5\n",
            "qsub ",
            $b,
            ", ",
            $b,
            ", r5\n",
            "ssat ",
            $a,
            ", #8, ",
            $a,
            "\n",
            "ssat ",
            $b,
            ", #8, ",
            $b,
            "\n",
        )
    };
}

/// A row of weights `w` at r9 as the pairs `(w0, w1)`, `(w2, 0)`, `(0, w0)`, `(w1, w2)` at r12.
macro_rules! taps {
    ($double:expr) => {
        concat!(
            "ldrsb r0, [r9]\n",
            "ldrsb r1, [r9, r7]\n",
            "ldrsb r2, [r9, r7, lsl #1]\n",
            "add r9, r9, r8\n",
            $double,
            "pkhbt r3, r0, r1, lsl #16\n",
            "uxth r4, r2\n",
            "lsl r5, r0, #16\n",
            "pkhbt r6, r1, r2, lsl #16\n",
            "stmia r12!, {{r3, r4, r5, r6}}\n",
        )
    };
}

/// Doubles the weights of [`taps`].
macro_rules! double {
    () => {
        "lsl r0, r0, #1\nlsl r1, r1, #1\nlsl r2, r2, #1\n"
    };
}

/// Channel after channel, row after row; of each, outputs by fours, then by twos.
macro_rules! rows {
    ($four:ident, $two:ident, $scale_four:ident, $scale_two:ident, $channel:literal, $double:expr, $step:literal, $half:literal) => {
        routine!(
            ".fpu fpv4-sp-d16",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "sub sp, sp, #172",
            // The frame starts with a copy of the `Band`.
            "mov r12, r0",
            "mov lr, sp",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
            "ldmia r12!, {{r0, r1}}",
            "stmia lr!, {{r0, r1}}",
            // `MAGIC`, at the end.
            "movs r0, #0",
            "movt r0, #0x4b40",
            "strd r0, r0, [sp, #152]",
            "strd r0, r0, [sp, #160]",
            // A channel: its factors, then its biases and weights.
            "2:",
            "ldr r9, [sp, #40]",
            "ldmia r9!, {{r3, r4, r5, r6}}",
            "str r9, [sp, #40]",
            "strd r4, r5, [sp]",
            "str r6, [sp, #8]",
            $channel,
            "strd r3, r3, [sp, #88]",
            "strd r3, r3, [sp, #96]",
            "add r12, sp, #104",
            "ldr r9, [sp, #32]",
            "add r4, r9, #9",
            "str r4, [sp, #32]",
            "ldrd r7, r8, [sp, #80]",
            taps!($double),
            taps!($double),
            taps!($double),
            "sub r12, r12, #64",
            "ldr r11, [sp, #28]",
            "ldr r4, [sp, #52]",
            "add r4, r11, r4",
            "str r4, [sp, #28]",
            "ldr r7, [sp, #44]",
            "adds r4, r7, #1",
            "str r4, [sp, #44]",
            "ldr r4, [sp, #64]",
            "str r4, [sp, #68]",
            "ldr lr, [sp, #36]",
            // A row.
            "3:",
            "str r7, [sp, #12]",
            "ldrd r5, r9, [sp, #56]",
            "add r5, r11, r5",
            "strd r5, r9, [sp, #20]",
            "cmp r11, r5",
            "beq.w 5f",
            "4:",
            "ldmia r12!, {{r0, r1, r2, r3}}",
            $four!(),
            "add r11, r11, lr",
            $four!(),
            "add r11, r11, lr",
            $four!(),
            "sub r11, r11, lr, lsl #1",
            concat!("add r11, r11, ", $step),
            $scale_four!(),
            "sub r12, r12, #64",
            "strb r0, [r7]",
            "strb r1, [r7, r8]",
            "add r7, r7, r8, lsl #1",
            "strb r2, [r7]",
            "strb r3, [r7, r8]",
            "add r7, r7, r8, lsl #1",
            "str r7, [sp, #12]",
            "cmp r11, r9",
            "bne.w 4b",
            "5:",
            "ldr r9, [sp, #24]",
            "cmp r9, #0",
            "beq.w 7f",
            "6:",
            "ldrd r0, r1, [r12], #16",
            $two!(),
            "add r11, r11, lr",
            $two!(),
            "add r11, r11, lr",
            $two!(),
            "sub r11, r11, lr, lsl #1",
            concat!("add r11, r11, ", $half),
            $scale_two!(),
            "sub r12, r12, #64",
            "strb r0, [r7]",
            "ldr r9, [sp, #24]",
            "subs r9, r9, #2",
            "blt 7f",
            "strb r1, [r7, r8]",
            "beq 7f",
            "add r7, r7, r8, lsl #1",
            "str r7, [sp, #12]",
            "str r9, [sp, #24]",
            "b.w 6b",
            "7:",
            "ldr r9, [sp, #68]",
            "ldrd r4, r5, [sp, #72]",
            "subs r9, r9, #1",
            "str r9, [sp, #68]",
            "add r11, r11, r4",
            "add r7, r7, r5",
            "bne.w 3b",
            "ldr r9, [sp, #48]",
            "subs r9, r9, #1",
            "str r9, [sp, #48]",
            "bne.w 2b",
            "add sp, sp, #172",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        )
    };
}

/// # Safety
/// A sound band.
#[unsafe(naked)]
unsafe extern "C" fn one_fixed(band: *mut Band) {
    rows!(one_by_four, one_by_two, fixed_four, fixed_two, "", double!(), "#8", "#4")
}

/// # Safety
/// A sound band.
#[unsafe(naked)]
unsafe extern "C" fn two_fixed(band: *mut Band) {
    rows!(two_by_four, two_by_two, fixed_four, fixed_two, "", double!(), "#16", "#8")
}

/// # Safety
/// A sound band.
#[cfg(target_abi = "eabihf")]
#[unsafe(naked)]
unsafe extern "C" fn one_float(band: *mut Band) {
    rows!(one_by_four, one_by_two, float_four, float_two, "vldr s0, [sp]", "", "#8", "#4")
}

/// # Safety
/// A sound band.
#[cfg(target_abi = "eabihf")]
#[unsafe(naked)]
unsafe extern "C" fn two_float(band: *mut Band) {
    rows!(two_by_four, two_by_two, float_four, float_two, "vldr s0, [sp]", "", "#16", "#8")
}
