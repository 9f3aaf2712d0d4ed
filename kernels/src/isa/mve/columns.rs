//! 3x3 windows of single channels: columns of four rows, of which a vector holds four.
//!
//! A column is the bytes of one channel in four rows, one below the other: a word. Three columns
//! side by side are a window's nine values, so one `VMLADAV` is one output; the fourth row belongs to
//! the window one row further down, which is a second `VMLADAV` on the same vector.

/// Channels whose columns are made at a time: what `VST4` interleaves.
pub(crate) const BLOCK: usize = 16;

/// The columns of [`BLOCK`] channels at one place across: words of four rows' bytes.
pub(crate) type Column = [u32; BLOCK];

/// What follows the sums of a channel. `tflite`: bias, multiplier, rounding with the zero point,
/// left shift; `fp32`: bias, the bits of the scale, the zero point, unused.
pub(crate) type Factors = [i32; 4];

/// Four rows of pixels at a block's first channel; the same bytes again and again where a row lies
/// in the padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// `None` in the padding.
    pub(crate) rows: [Option<&'a [i8]>; 4],
    pub(crate) padding: &'a [i8; BLOCK],
    /// Bytes from a pixel to the next.
    pub(crate) pitch: usize,
    /// Channels of the block.
    pub(crate) channels: usize,
}

/// What the assembly reads, passed by value.
#[repr(C)]
struct Interleave {
    rows: [*const i8; 4],
    pitches: [usize; 4],
    to: *mut Column,
    channels: usize,
    count: usize,
}

/// Makes as many columns as `to` has; none when a row is too short for that.
pub(crate) fn interleave(from: Rows<'_>, to: &mut [Column]) {
    let Rows { rows, padding, pitch, channels } = from;
    let Some(last) = to.len().checked_sub(1) else { return };
    let len = last.saturating_mul(pitch).saturating_add(channels);
    let is_short = rows.iter().flatten().any(|row| row.len() < len);
    if is_short || channels == 0 || channels > BLOCK {
        return;
    }
    let pitches = rows.map(|row| row.map_or(0, |_| pitch));
    let rows = rows.map(|row| row.unwrap_or(padding).as_ptr());
    let (to, count) = (to.as_mut_ptr(), to.len());
    // SAFETY: every row holds `channels` bytes for each of the columns, or is the padding.
    unsafe { interleave_columns(Interleave { rows, pitches, to, channels, count }) }
}

/// # Safety
/// Sound rows, at least one column.
#[unsafe(naked)]
unsafe extern "C" fn interleave_columns(from: Interleave) {
    routine!(
        "push {{r4, r5, r6, r7, r8, lr}}",
        "ldrd r4, r5, [sp, #24]",
        "ldrd r6, r7, [sp, #32]",
        "ldrd r8, r12, [sp, #40]",
        "ldr lr, [sp, #48]",
        "vctp.8 r12",
        "dls lr, lr",
        "2:",
        "vpstttt",
        "vldrbt.u8 q0, [r0]",
        "vldrbt.u8 q1, [r1]",
        "vldrbt.u8 q2, [r2]",
        "vldrbt.u8 q3, [r3]",
        "add r0, r4",
        "add r1, r5",
        "add r2, r6",
        "add r3, r7",
        "vst40.8 {{q0, q1, q2, q3}}, [r8]",
        "vst41.8 {{q0, q1, q2, q3}}, [r8]",
        "vst42.8 {{q0, q1, q2, q3}}, [r8]",
        "vst43.8 {{q0, q1, q2, q3}}, [r8]!",
        "le lr, 2b",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// The windows of a block of channels in one row of the output, or two.
#[derive(Debug)]
pub(crate) struct Windows<'a> {
    /// From the first window's first column on.
    pub(crate) columns: &'a [Column],
    /// Columns from a window to the next, one or two.
    pub(crate) stride: usize,
    /// Nine weights a channel.
    pub(crate) weights: &'a [[i8; 9]],
    /// One a channel.
    pub(crate) factors: &'a [Factors],
    /// Outputs of a row.
    pub(crate) width: usize,
    /// Bytes from an output to the next, and to the one below; none for a single row.
    pub(crate) pitch: usize,
    pub(crate) below: Option<usize>,
}

/// What the assembly reads, passed by value.
#[repr(C)]
struct Run {
    columns: *const Column,
    weights: *const [i8; 9],
    factors: *const Factors,
    output: *mut i8,
    channels: usize,
    /// Bytes from the outputs to those below; into the same place where there are none.
    below: usize,
    pitch: usize,
    row_len: usize,
    constants: *const Constants,
    /// Bytes of four windows' columns.
    step: usize,
}

/// Vectors that the assembly works with.
#[repr(C, align(16))]
struct Constants {
    /// Which weight goes to which byte for the upper row and for the one below it; 127 is none.
    upper: [i8; 16],
    lower: [i8; 16],
    /// Where the columns of a window lie; the fourth counts for nothing.
    columns: [u32; 4],
    /// The order in which four outputs come.
    order: [u32; 4],
}

static CONSTANTS: Constants = Constants {
    upper: [0, 3, 6, 127, 1, 4, 7, 127, 2, 5, 8, 127, 127, 127, 127, 127],
    lower: [127, 0, 3, 6, 127, 1, 4, 7, 127, 2, 5, 8, 127, 127, 127, 127],
    columns: [0, 64, 128, 0],
    order: [0, 1, 2, 3],
};

impl Run {
    /// `None` unless everything lies within its slice.
    fn new(windows: &Windows<'_>, output: &mut [i8]) -> Option<Self> {
        let Windows { columns, stride, weights, factors, width, pitch, below } = *windows;
        let channels = weights.len();
        // Windows are computed in fours, whose columns are all read.
        let read = width.checked_next_multiple_of(4)?.checked_sub(1)?.checked_mul(stride)? + 3;
        let written = (width - 1).checked_mul(pitch)?.checked_add(below.unwrap_or(0))?;
        let row_len = width.checked_mul(pitch)?;
        let fits = channels > 0
            && channels <= BLOCK
            && factors.len() == channels
            && columns.len() >= read
            && output.len() >= written.checked_add(channels)?
            && i32::try_from(row_len).is_ok();
        fits.then_some(Self {
            columns: columns.as_ptr(),
            weights: weights.as_ptr(),
            factors: factors.as_ptr(),
            output: output.as_mut_ptr(),
            channels,
            below: below.unwrap_or(0),
            pitch,
            row_len,
            constants: &CONSTANTS,
            step: 4 * stride * size_of::<Column>(),
        })
    }
}

/// Computes windows, `tflite`; `output` starts with the first one's first channel. Does nothing when
/// something is shorter than that takes.
pub(crate) fn windows_fixed(windows: &Windows<'_>, output: &mut [i8]) {
    let Some(run) = Run::new(windows, output) else { return };
    let blocks = if windows.stride == 1 { fixed_near } else { fixed_apart };
    // SAFETY: `Run` has checked every length.
    unsafe { blocks(run) }
}

/// [`windows_fixed`] for `fp32`.
pub(crate) fn windows_float(windows: &Windows<'_>, output: &mut [i8]) {
    let Some(run) = Run::new(windows, output) else { return };
    let blocks = if windows.stride == 1 { float_near } else { float_apart };
    // SAFETY: `Run` has checked every length.
    unsafe { blocks(run) }
}

/// A window in either row: sums to `$upper` and `$lower`.
macro_rules! window {
    ($at:literal, $upper:literal, $lower:literal) => {
        concat!(
            "vldrw.u32 q4, [q2, #",
            $at,
            "]\n",
            "vmladav.s8 ",
            $upper,
            ", q4, q0\n",
            "vmladav.s8 ",
            $lower,
            ", q4, q1\n",
        )
    };
}

/// All channels around four windows at a time. Lanes are outputs: 0 and 2, then 1 and 3.
macro_rules! windows {
    ([$first:literal, $second:literal, $third:literal, $fourth:literal], [$($then:expr,)*]) => {
        routine!(
            "push {{r0, r1, r2, r3}}",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
            // The arguments are at sp + 100.
            "ldr r10, [sp, #124]",
            "ldr r4, [sp, #132]",
            "vldrw.u32 q3, [r4, #48]",
            "vmul.i32 q3, q3, r10",
            "lsl r10, r10, #2",
            // A channel: its weights, factors, places.
            "2:",
            "ldr r4, [sp, #132]",
            "ldr r12, [sp, #104]",
            "mov r0, #9",
            "vldrb.u8 q5, [r4]",
            "vpt.s8 lt, q5, r0",
            "vldrbt.u8 q0, [r12, q5]",
            "vldrb.u8 q5, [r4, #16]",
            "vpt.s8 lt, q5, r0",
            "vldrbt.u8 q1, [r12, q5]",
            "add r12, #9",
            "str r12, [sp, #104]",
            "vldrw.u32 q2, [r4, #32]",
            "ldr r12, [sp, #100]",
            "vadd.i32 q2, q2, r12",
            "add r12, #4",
            "str r12, [sp, #100]",
            "ldr r12, [sp, #108]",
            "ldrd r1, r3, [r12], #8",
            "ldrd r5, r7, [r12], #8",
            "str r12, [sp, #108]",
            "ldr r8, [sp, #112]",
            "ldr r9, [sp, #120]",
            "add r9, r8",
            "add r12, r8, #1",
            "str r12, [sp, #112]",
            "ldr r11, [sp, #128]",
            "ldr r12, [sp, #136]",
            // Four windows of either row.
            "3:",
            window!($first, "r0", "r2"),
            window!($third, "r4", "r6"),
            "vmov q5[2], q5[0], r0, r4",
            "vmov q6[2], q6[0], r2, r6",
            window!($second, "r0", "r2"),
            window!($fourth, "r4", "r6"),
            "vmov q5[3], q5[1], r0, r4",
            "vmov q6[3], q6[1], r2, r6",
            "vadd.i32 q2, q2, r12",
            "vadd.i32 q5, q5, r1",
            "vadd.i32 q6, q6, r1",
            $($then,)*
            "vptt.s32 lt, q3, r11",
            "vstrbt.32 q6, [r9, q3]",
            "vstrbt.32 q5, [r8, q3]",
            "add r8, r10",
            "add r9, r10",
            "subs r11, r10",
            "bgt 3b",
            "ldr r12, [sp, #116]",
            "subs r12, #1",
            "str r12, [sp, #116]",
            "bne 2b",
            "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "add sp, #16",
            "bx lr",
        )
    };
}

/// Scales the sums of both rows.
macro_rules! fixed {
    () => {
        concat!(
            "vshr.s32 q4, q5, #31\n",
            "vqrdmlah.s32 q4, q5, r3\n",
            "vshr.s32 q7, q6, #31\n",
            "vqrdmlah.s32 q7, q6, r3\n",
            "vqadd.s32 q5, q4, r5\n",
            "vqadd.s32 q6, q7, r5\n",
            "vqshl.s32 q5, r7\n",
            "vqshl.s32 q6, r7\n",
            "vshr.u32 q5, q5, #24\n",
            "vshr.u32 q6, q6, #24\n",
        )
    };
}

/// The same for `fp32`.
macro_rules! float {
    () => {
        concat!(
            "vcvt.f32.s32 q5, q5\n",
            "vcvt.f32.s32 q6, q6\n",
            "vmul.f32 q5, q5, r3\n",
            "vmul.f32 q6, q6, r3\n",
            "vcvtn.s32.f32 q5, q5\n",
            "vcvtn.s32.f32 q6, q6\n",
            "vqadd.s32 q5, q5, r5\n",
            "vqadd.s32 q6, q6, r5\n",
            "vqshl.s32 q5, q5, #24\n",
            "vqshl.s32 q6, q6, #24\n",
            "vshr.u32 q5, q5, #24\n",
            "vshr.u32 q6, q6, #24\n",
        )
    };
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn fixed_near(run: Run) {
    windows!(["0", "64", "128", "192"], [fixed!(),])
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn fixed_apart(run: Run) {
    windows!(["0", "128", "256", "384"], [fixed!(),])
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn float_near(run: Run) {
    windows!(["0", "64", "128", "192"], [float!(),])
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn float_apart(run: Run) {
    windows!(["0", "128", "256", "384"], [float!(),])
}
