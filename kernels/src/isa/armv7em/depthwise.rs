//! Rows of 3x3 windows on channel planes: words of two neighbouring columns, widened.

/// Channels that are computed at a time.
pub(crate) const BLOCK: usize = 4;

/// Words of a channel's weights: of each row the pairs `(w0, w1)`, `(w2, 0)`, `(0, w0)`, `(w1, w2)`.
pub(crate) type Taps = [[u32; 4]; 3];

/// What follows a channel's sums. `tflite`: `[2 * bias, multiplier, rounding, shift]`, and weights
/// that are doubled; `fp32`: `[bias, bits of the scale, bits of 1.5 * 2^23 less the zero point, 0]`.
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

/// Rows of outputs of up to four channels, and the frame of the assembly below.
#[repr(C)]
struct Band {
    /// The channel's factors, its bias four times; filled by the assembly.
    factors: [i32; 7],
    output: *mut i8,
    stride: usize,
    /// Where the plane's groups of four outputs end, and outputs behind them; likewise.
    end: usize,
    rest: usize,
    plane: *const u32,
    taps: *const Taps,
    /// From a row of planes to the next.
    pitch_bytes: usize,
    channels_factors: *const Factors,
    channels_output: *mut i8,
    channels: usize,
    plane_bytes: usize,
    groups_bytes: usize,
    columns_rest: usize,
    magic: [f32; 4],
    rows: usize,
    /// Filled by the assembly.
    rows_left: usize,
    /// From a row of outputs to the next: in the planes, in the output.
    row_bytes: usize,
    output_row: usize,
    /// Filled by the assembly.
    row: [usize; 2],
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
    /// One a channel.
    pub(crate) taps: &'a [Taps; BLOCK],
    /// One a channel.
    pub(crate) factors: &'a [Factors; BLOCK],
    /// Whether the factors are those of `fp32`.
    pub(crate) float: bool,
}

impl Planes<'_> {
    /// `[rows, columns]` outputs of the first `channels` channels into `output`, which has rows and
    /// pixels of so many bytes. Does nothing when something is shorter than that takes.
    pub(crate) fn run(
        &self,
        channels: usize,
        [rows, columns]: [usize; 2],
        output: &mut [i8],
        [row, stride]: [usize; 2],
    ) {
        let two = self.stride[1] == 2;
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
        let mut band = Band {
            factors: [0; 7],
            output: core::ptr::null_mut(),
            stride,
            end: 0,
            rest: 0,
            plane: self.rows.as_ptr(),
            taps: self.taps.as_ptr(),
            pitch_bytes: 4 * pitch,
            channels_factors: self.factors.as_ptr(),
            channels_output: output.as_mut_ptr(),
            channels,
            plane_bytes: 4 * self.plane,
            groups_bytes: columns / 4 * if two { 16 } else { 8 },
            columns_rest: columns % 4,
            magic: [super::MAGIC; 4],
            rows,
            rows_left: 0,
            row_bytes: 4 * pitch * self.stride[0],
            output_row: row,
            row: [0; 2],
        };
        // SAFETY: planes, taps, factors and output hold what is read and written, by the
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

macro_rules! load_fixed {
    () => {
        "ldrd r4, r5, [sp, #16]\nldrd r6, r7, [sp, #24]\nldr r8, [sp, #32]\n"
    };
}

macro_rules! fixed {
    ($sum:literal) => {
        concat!(
            "smmlar r9, ",
            $sum,
            ", r4, r5\n",
            "add ",
            $sum,
            ", r9, ",
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
        concat!(load_fixed!(), fixed!("r0"), fixed!("r1"))
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
        concat!("ldr r5, [sp, #20]\nldrd r7, r8, [sp, #28]\n", float!("r0", "r1"),)
    };
}

#[cfg(target_abi = "eabihf")]
macro_rules! float {
    ($a:literal, $b:literal) => {
        concat!(
            "vmov s2, s3, ",
            $a,
            ", ",
            $b,
            "\n",
            "vldr d2, [sp, #80]\n",
            "vcvt.f32.s32 s2, s2\n",
            "vcvt.f32.s32 s3, s3\n",
            // `VMLA` rounds the product before it adds.
            "vmla.f32 s4, s2, s0\n",
            "vmla.f32 s5, s3, s0\n",
            "vmov ",
            $a,
            ", ",
            $b,
            ", s4, s5\n",
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

#[cfg(target_abi = "eabihf")]
macro_rules! float_four {
    () => {
        concat!(float_two!(), float!("r2", "r3"))
    };
}

/// Channel after channel, row after row; of each, outputs by fours, then by twos.
macro_rules! rows {
    ($four:ident, $two:ident, $scale_four:ident, $scale_two:ident, $channel:literal, $step:literal, $half:literal) => {
        routine!(
            ".fpu fpv4-sp-d16",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "sub sp, sp, #124",
            // The frame is a copy of the `Band`.
            "mov r12, r0",
            "mov lr, sp",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3}}",
            "stmia lr!, {{r0, r1, r2, r3}}",
            // A channel.
            "2:",
            "ldr r9, [sp, #56]",
            "ldmia r9!, {{r3, r4, r5, r6}}",
            "str r9, [sp, #56]",
            "mov r0, r3",
            "mov r1, r3",
            "mov r2, r3",
            "stmia.w sp, {{r0, r1, r2, r3, r4, r5, r6}}",
            $channel,
            "ldr r11, [sp, #44]",
            "ldr r4, [sp, #68]",
            "add r4, r11, r4",
            "str r4, [sp, #44]",
            "ldr r7, [sp, #60]",
            "adds r4, r7, #1",
            "str r4, [sp, #60]",
            "ldr r4, [sp, #96]",
            "str r4, [sp, #100]",
            "ldrd r12, lr, [sp, #48]",
            // A row.
            "3:",
            "strd r11, r7, [sp, #112]",
            "str r7, [sp, #28]",
            "ldrd r5, r9, [sp, #72]",
            "add r5, r11, r5",
            "strd r5, r9, [sp, #36]",
            "cmp r11, r5",
            "beq.w 5f",
            "4:",
            "ldmia.w sp, {{r0, r1, r2, r3}}",
            $four!(),
            "add r11, r11, lr",
            $four!(),
            "add r11, r11, lr",
            $four!(),
            "sub r11, r11, lr, lsl #1",
            concat!("add r11, r11, ", $step),
            "sub r12, r12, #48",
            $scale_four!(),
            "strb r0, [r7]",
            "strb r1, [r7, r8]",
            "add r7, r7, r8, lsl #1",
            "strb r2, [r7]",
            "strb r3, [r7, r8]",
            "add r7, r7, r8, lsl #1",
            "ldr r9, [sp, #36]",
            "str r7, [sp, #28]",
            "cmp r11, r9",
            "bne.w 4b",
            "5:",
            "ldr r9, [sp, #40]",
            "cmp r9, #0",
            "beq.w 7f",
            "6:",
            "ldrd r0, r1, [sp]",
            $two!(),
            "add r11, r11, lr",
            $two!(),
            "add r11, r11, lr",
            $two!(),
            "sub r11, r11, lr, lsl #1",
            concat!("add r11, r11, ", $half),
            "sub r12, r12, #48",
            $scale_two!(),
            "strb r0, [r7]",
            "ldr r9, [sp, #40]",
            "subs r9, r9, #2",
            "blt 7f",
            "strb r1, [r7, r8]",
            "beq 7f",
            "add r7, r7, r8, lsl #1",
            "str r7, [sp, #28]",
            "str r9, [sp, #40]",
            "b.w 6b",
            "7:",
            "ldr r9, [sp, #100]",
            "subs r9, r9, #1",
            "beq 8f",
            "str r9, [sp, #100]",
            "ldrd r11, r7, [sp, #112]",
            "ldrd r4, r5, [sp, #104]",
            "add r11, r11, r4",
            "add r7, r7, r5",
            "b.w 3b",
            "8:",
            "add r12, r12, #48",
            "str r12, [sp, #48]",
            "ldr r9, [sp, #64]",
            "subs r9, r9, #1",
            "str r9, [sp, #64]",
            "bne.w 2b",
            "add sp, sp, #124",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        )
    };
}

/// # Safety
/// A sound band.
#[unsafe(naked)]
unsafe extern "C" fn one_fixed(band: *mut Band) {
    rows!(one_by_four, one_by_two, fixed_four, fixed_two, "", "#8", "#4")
}

/// # Safety
/// A sound band.
#[unsafe(naked)]
unsafe extern "C" fn two_fixed(band: *mut Band) {
    rows!(two_by_four, two_by_two, fixed_four, fixed_two, "", "#16", "#8")
}

/// # Safety
/// A sound band.
#[cfg(target_abi = "eabihf")]
#[unsafe(naked)]
unsafe extern "C" fn one_float(band: *mut Band) {
    rows!(one_by_four, one_by_two, float_four, float_two, "vldr s0, [sp, #16]", "#8", "#4")
}

/// # Safety
/// A sound band.
#[cfg(target_abi = "eabihf")]
#[unsafe(naked)]
unsafe extern "C" fn two_float(band: *mut Band) {
    rows!(two_by_four, two_by_two, float_four, float_two, "vldr s0, [sp, #16]", "#16", "#8")
}
