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

/// The windows of a block of channels in some rows of the output.
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
    /// Bytes from an output to the next, and from a row of them to the next.
    pub(crate) pitch: usize,
    pub(crate) row_pitch: usize,
    /// Whether columns are rows, and rows columns: then so are those of the weights.
    pub(crate) swapped: bool,
    /// Rows that share columns, one or two.
    pub(crate) rows: usize,
    /// How many such, and columns from one to the next.
    pub(crate) steps: usize,
    pub(crate) step_columns: usize,
}

/// What the assembly reads, passed by value.
#[repr(C)]
struct Run {
    columns: *const Column,
    weights: *const [i8; 9],
    factors: *const Factors,
    output: *mut i8,
    channels: usize,
    steps: usize,
    pitch: usize,
    row_pitch: usize,
    /// Bytes from the first output of a row to the end of the last one's pitch.
    row_len: usize,
    constants: *const Constants,
    /// Bytes of four windows' columns, and of a step's columns and outputs.
    four: usize,
    step_columns: usize,
    step_outputs: usize,
    /// Where a step starts; filled by the assembly.
    step_start: *const Column,
    step_output: *mut i8,
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

/// The same for swapped axes.
static SWAPPED: Constants = Constants {
    upper: [0, 1, 2, 127, 3, 4, 5, 127, 6, 7, 8, 127, 127, 127, 127, 127],
    lower: [127, 0, 1, 2, 127, 3, 4, 5, 127, 6, 7, 8, 127, 127, 127, 127],
    ..CONSTANTS
};

impl Run {
    /// `None` unless everything lies within its slice.
    fn new(windows: &Windows<'_>, output: &mut [i8]) -> Option<Self> {
        let Windows { columns, stride, weights, factors, width, pitch, .. } = *windows;
        let Windows { rows, steps, step_columns, row_pitch, swapped, .. } = *windows;
        let channels = weights.len();
        let row_len = width.checked_mul(pitch)?;
        // Windows are computed in fours, whose columns are all read.
        let read = width.checked_add(3)? / 4 * 4;
        let read = read.checked_sub(1)?.checked_mul(stride)?.checked_add(3)?;
        let read = steps.checked_sub(1)?.checked_mul(step_columns)?.checked_add(read)?;
        let last_row = rows.checked_mul(steps)?.checked_sub(1)?.checked_mul(row_pitch)?;
        let written = last_row.checked_add(row_len)?.checked_sub(pitch)?;
        let fits = channels > 0
            && channels <= BLOCK
            && factors.len() >= channels
            && columns.len() >= read
            && output.len() >= written.checked_add(channels)?
            && i32::try_from(row_len).is_ok();
        fits.then_some(Self {
            columns: columns.as_ptr(),
            weights: weights.as_ptr(),
            factors: factors.as_ptr(),
            output: output.as_mut_ptr(),
            channels,
            steps,
            pitch,
            row_pitch,
            row_len,
            constants: if swapped { &SWAPPED } else { &CONSTANTS },
            four: 4 * stride * size_of::<Column>(),
            step_columns: step_columns * size_of::<Column>(),
            step_outputs: rows * row_pitch,
            step_start: columns.as_ptr(),
            step_output: output.as_mut_ptr(),
        })
    }
}

/// Computes windows, `tflite`; `output` starts with the first one's first channel. Does nothing when
/// something is shorter than that takes.
pub(crate) fn windows_fixed(windows: &Windows<'_>, output: &mut [i8]) {
    let Some(run) = Run::new(windows, output) else { return };
    let blocks = match (windows.rows, windows.stride) {
        (2, 1) => fixed_two_near,
        (2, _) => fixed_two_apart,
        (_, 1) => fixed_one_near,
        _ => fixed_one_apart,
    };
    // SAFETY: `Run` has checked every length.
    unsafe { blocks(run) }
}

/// [`windows_fixed`] for `fp32`.
pub(crate) fn windows_float(windows: &Windows<'_>, output: &mut [i8]) {
    let Some(run) = Run::new(windows, output) else { return };
    let blocks = match (windows.rows, windows.stride) {
        (2, 1) => float_two_near,
        (2, _) => float_two_apart,
        (_, 1) => float_one_near,
        _ => float_one_apart,
    };
    // SAFETY: `Run` has checked every length.
    unsafe { blocks(run) }
}

/// A window in either row: sums to `$upper` and `$lower`.
macro_rules! two {
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

/// A window in one row.
macro_rules! one {
    ($at:literal, $sum:literal) => {
        concat!("vldrw.u32 q4, [q2, #", $at, "]\n", "vmladav.s8 ", $sum, ", q4, q0\n")
    };
}

/// All channels, all steps around four windows at a time, whose saturated results are in the upper
/// bytes of q5 and, for two rows, q6. Lanes are outputs: 0 and 2, then 1 and 3.
macro_rules! windows {
    ([$($four:expr,)*], [$($store:expr,)*]) => {
        routine!(
            "push {{r0, r1, r2, r3}}",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
            // The arguments are at sp + 100.
            "ldr r10, [sp, #124]",
            "ldr r4, [sp, #136]",
            "vldrw.u32 q3, [r4, #48]",
            "vmul.i32 q3, q3, r10",
            "lsl r10, r10, #2",
            "ldr r12, [sp, #140]",
            // A channel: its weights and factors.
            "2:",
            "ldr r4, [sp, #136]",
            "ldr r11, [sp, #104]",
            "mov r0, #9",
            "vldrb.u8 q5, [r4]",
            "vpt.s8 lt, q5, r0",
            "vldrbt.u8 q0, [r11, q5]",
            "vldrb.u8 q5, [r4, #16]",
            "vpt.s8 lt, q5, r0",
            "vldrbt.u8 q1, [r11, q5]",
            "add r11, #9",
            "ldr r6, [sp, #108]",
            "ldrd r1, r3, [r6], #8",
            "ldrd r5, r7, [r6], #8",
            "strd r11, r6, [sp, #104]",
            "ldr r0, [sp, #100]",
            "ldr r8, [sp, #112]",
            "add r2, r0, #4",
            "add r6, r8, #1",
            "str r2, [sp, #100]",
            "str r6, [sp, #112]",
            "ldr lr, [sp, #120]",
            // A step: where its columns and outputs are.
            "3:",
            "ldr r4, [sp, #136]",
            "ldrd r2, r6, [sp, #144]",
            "vldrw.u32 q2, [r4, #32]",
            "vadd.i32 q2, q2, r0",
            "add r0, r2",
            "add r6, r8",
            "strd r0, r6, [sp, #152]",
            "ldrd r9, r11, [sp, #128]",
            "add r9, r8",
            // Four windows of either row.
            "4:",
            $($four,)*
            $($store,)*
            "add r8, r10",
            "subs r11, r10",
            "bgt 4b",
            "ldrd r0, r8, [sp, #152]",
            "subs lr, #1",
            "bne 3b",
            "ldr r11, [sp, #116]",
            "subs r11, #1",
            "str r11, [sp, #116]",
            "bne 2b",
            "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "add sp, #16",
            "bx lr",
        )
    };
}

/// Sums of four windows in two rows, and where their results go.
macro_rules! two_rows {
    ([$first:literal, $second:literal, $third:literal, $fourth:literal], $($then:expr,)*) => {
        windows!(
            [
                two!($first, "r0", "r2"),
                two!($third, "r4", "r6"),
                "vmov q5[2], q5[0], r0, r4",
                "vmov q6[2], q6[0], r2, r6",
                two!($second, "r0", "r2"),
                two!($fourth, "r4", "r6"),
                "vmov q5[3], q5[1], r0, r4",
                "vmov q6[3], q6[1], r2, r6",
                "vadd.i32 q2, q2, r12",
                "vadd.i32 q5, q5, r1",
                "vadd.i32 q6, q6, r1",
                $($then,)*
            ],
            [
                "vshr.u32 q5, q5, #24",
                "vshr.u32 q6, q6, #24",
                "vptt.s32 lt, q3, r11",
                "vstrbt.32 q5, [r8, q3]",
                "vstrbt.32 q6, [r9, q3]",
                "add r9, r10",
            ]
        )
    };
}

/// The same in one row.
macro_rules! one_row {
    ([$first:literal, $second:literal, $third:literal, $fourth:literal], $($then:expr,)*) => {
        windows!(
            [
                one!($first, "r0"),
                one!($third, "r4"),
                one!($second, "r2"),
                one!($fourth, "r6"),
                "vmov q5[2], q5[0], r0, r4",
                "vadd.i32 q2, q2, r12",
                "vmov q5[3], q5[1], r2, r6",
                "vadd.i32 q5, q5, r1",
                $($then,)*
            ],
            ["vshr.u32 q5, q5, #24", "vpt.s32 lt, q3, r11", "vstrbt.32 q5, [r8, q3]",]
        )
    };
}

/// Scales the sums of a row; q4 and q7 are free for that.
macro_rules! fixed {
    ($sums:literal, $free:literal) => {
        concat!(
            "vshr.s32 ",
            $free,
            ", ",
            $sums,
            ", #31\n",
            "vqrdmlah.s32 ",
            $free,
            ", ",
            $sums,
            ", r3\n",
            "vqadd.s32 ",
            $sums,
            ", ",
            $free,
            ", r5\n",
            "vqshl.s32 ",
            $sums,
            ", r7\n",
        )
    };
}

/// The same for `fp32`.
macro_rules! float {
    ($sums:literal) => {
        concat!(
            "vcvt.f32.s32 ",
            $sums,
            ", ",
            $sums,
            "\n",
            "vmul.f32 ",
            $sums,
            ", ",
            $sums,
            ", r3\n",
            "vcvtn.s32.f32 ",
            $sums,
            ", ",
            $sums,
            "\n",
            "vqadd.s32 ",
            $sums,
            ", ",
            $sums,
            ", r5\n",
            "vqshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", #24\n",
        )
    };
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn fixed_two_near(run: Run) {
    two_rows!(["0", "64", "128", "192"], fixed!("q5", "q4"), fixed!("q6", "q7"),)
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn fixed_two_apart(run: Run) {
    two_rows!(["0", "128", "256", "384"], fixed!("q5", "q4"), fixed!("q6", "q7"),)
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn fixed_one_near(run: Run) {
    one_row!(["0", "64", "128", "192"], fixed!("q5", "q4"),)
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn fixed_one_apart(run: Run) {
    one_row!(["0", "128", "256", "384"], fixed!("q5", "q4"),)
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn float_two_near(run: Run) {
    two_rows!(["0", "64", "128", "192"], float!("q5"), float!("q6"),)
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn float_two_apart(run: Run) {
    two_rows!(["0", "128", "256", "384"], float!("q5"), float!("q6"),)
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn float_one_near(run: Run) {
    one_row!(["0", "64", "128", "192"], float!("q5"),)
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn float_one_apart(run: Run) {
    one_row!(["0", "128", "256", "384"], float!("q5"),)
}
