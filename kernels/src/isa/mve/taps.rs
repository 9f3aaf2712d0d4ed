//! Depthwise windows of halves: four channels in a vector of f32, tap after tap.
//!
//! Four windows of 3x3 side by side share what they read: a column is widened once for up to three of
//! them. Registers: 4 sums, 3 weights of a row, 1 column.

use crate::{EpilogueF16, F16};

/// Rows of the tallest window.
pub(crate) const MOST_ROWS: usize = 8;

/// The rows and taps of windows that lie inside the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    /// The rows inside.
    pub(crate) rows: &'a [&'a [F16]],
    /// The first value to read of each.
    pub(crate) start: usize,
    /// Columns inside.
    pub(crate) columns: usize,
    /// Values from a column to the next.
    pub(crate) pitch: usize,
    /// Taps of a panel of four channels, `taps` of them, `across` in a row.
    pub(crate) weights: &'a [[F16; 4]],
    pub(crate) taps: usize,
    pub(crate) across: usize,
    /// The first tap to read.
    pub(crate) first: usize,
    pub(crate) epilogue: EpilogueF16<'a>,
}

/// What the assembly reads.
#[repr(C)]
struct Run {
    weights: *const [F16; 4],
    output: *mut F16,
    /// Bytes from a column to the next.
    pitch: usize,
    channels: usize,
    bias: *const f32,
    row_count: usize,
    clamp: [f32; 2],
    columns: usize,
    /// Bytes of weights between the taps of two rows, and what is left of a panel.
    row_gap: usize,
    panel_gap: isize,
    /// Whether four windows lack their first column, and their last.
    lacks: [usize; 2],
    /// Moved on by the assembly, panel by panel.
    rows: [*const F16; MOST_ROWS],
}

impl Run {
    /// Has `code` compute as many outputs of all channels as it does, `read` taps of a row at a time,
    /// unless something does not lie within its slice.
    ///
    /// # Safety
    /// `code` reads and writes what a run says.
    unsafe fn run(
        windows: &Windows<'_>,
        read: usize,
        lacks: [bool; 2],
        outputs: &mut [F16],
        code: unsafe extern "C" fn(*mut Self),
    ) -> Option<()> {
        const PANEL_BYTES: usize = size_of::<[F16; 4]>();
        let Windows { rows, start, columns, pitch, weights, .. } = *windows;
        let Windows { taps, across, first, epilogue, .. } = *windows;
        let channels = epilogue.bias.len();
        let used = rows.len().checked_mul(across)?;
        let end = used.checked_sub(across)?.checked_add(first)?.checked_add(read)?;
        let row_len = columns.checked_sub(1)?.checked_mul(pitch)?.checked_add(channels)?;
        let weights = weights.get(..channels.div_ceil(4).checked_mul(taps)?)?;
        if channels == 0 || rows.len() > MOST_ROWS || end > taps {
            return None;
        }
        let mut run = Self {
            weights: weights.get(first..)?.as_ptr(),
            output: outputs.as_mut_ptr(),
            pitch: size_of::<F16>().checked_mul(pitch)?,
            channels,
            bias: epilogue.bias.as_ptr(),
            row_count: rows.len(),
            clamp: [epilogue.clamp.min, epilogue.clamp.max],
            columns,
            row_gap: across.checked_sub(read)? * PANEL_BYTES,
            panel_gap: (taps.cast_signed() - used.cast_signed()) * PANEL_BYTES.cast_signed(),
            lacks: lacks.map(usize::from),
            rows: [core::ptr::null(); MOST_ROWS],
        };
        for (to, row) in run.rows.iter_mut().zip(rows) {
            *to = row.get(start..)?.get(..row_len)?.as_ptr();
        }
        // SAFETY: weights, rows and biases have what is read of them.
        unsafe { code(&raw mut run) };
        Some(())
    }
}

/// All channels of one window of any kind; nothing when something is shorter than that takes.
///
/// 8 instructions for 4 products.
pub(crate) fn window(windows: &Windows<'_>, output: &mut [F16]) {
    let Some(output) = output.get_mut(..windows.epilogue.bias.len()) else { return };
    // SAFETY: it reads the columns' taps of each row and writes one output.
    unsafe { Run::run(windows, windows.columns, [false; 2], output, any_window) };
}

/// All channels, a multiple of four, of four 3x3 windows side by side, one or two columns apart, on a
/// dense row. Their columns lie inside the input but for the first and the last, which may be in the
/// padding.
///
/// 42 instructions for the 48 products of a row.
pub(crate) fn four_windows(
    windows: &Windows<'_>,
    stride: usize,
    lacks: [bool; 2],
    outputs: &mut [F16],
) {
    let channels = windows.epilogue.bias.len();
    let columns = 3 * stride + 3 - usize::from(lacks[0]) - usize::from(lacks[1]);
    let code = match stride {
        1 => four_near,
        2 => four_apart,
        _ => return,
    };
    let Some(outputs) = outputs.get_mut(..4 * channels) else { return };
    if windows.across == 3
        && windows.columns == columns
        && windows.pitch == channels
        && channels.is_multiple_of(4)
    {
        // SAFETY: it reads three taps and all columns of each row and writes four outputs, a
        // pitch apart.
        unsafe { Run::run(windows, 3, lacks, outputs, code) };
    }
}

/// # Safety
/// A sound run.
#[unsafe(naked)]
unsafe extern "C" fn any_window(run: *mut Run) {
    routine!(
        "push {{r4, r5, r6, r7, r8, r9, lr}}",
        "mov r9, r0",
        "ldrd r0, r1, [r9]",
        "ldrd r2, r3, [r9, #8]",
        "ldr r4, [r9, #16]",
        "2:",
        "vctp.32 r3",
        "vmov.i32 q0, #0",
        "add r5, r9, #52",
        "ldr r8, [r9, #20]",
        "3:",
        "ldr r6, [r5]",
        "ldr lr, [r9, #32]",
        "add r7, r6, #8",
        "str r7, [r5], #4",
        "dls lr, lr",
        "4:",
        "vldrh.u32 q1, [r0], #8",
        // Channels that there are not are not read.
        "vpst",
        "vldrht.u32 q2, [r6]",
        "vcvtb.f32.f16 q1, q1",
        "vcvtb.f32.f16 q2, q2",
        "add r6, r2",
        "vfma.f32 q0, q1, q2",
        "le lr, 4b",
        "ldr r7, [r9, #36]",
        "add r0, r7",
        "subs r8, #1",
        "bne 3b",
        "vpst",
        "vldrwt.u32 q1, [r4], #16",
        "vadd.f32 q0, q0, q1",
        "ldrd r6, r7, [r9, #24]",
        "vdup.32 q1, r6",
        "vdup.32 q2, r7",
        narrow!("q0", "q1", "q2"),
        "vpst",
        "vstrht.32 q0, [r1], #8",
        "ldr r7, [r9, #40]",
        "add r0, r7",
        "subs r3, #4",
        "bgt 2b",
        "pop {{r4, r5, r6, r7, r8, r9, pc}}",
    )
}

/// The next column, to q7.
macro_rules! column {
    ($($sums:literal $weights:literal),*) => {
        concat!(
            "vldrh.u32 q7, [r6]\n",
            "add r6, r2\n",
            "vcvtb.f32.f16 q7, q7\n",
            $("vfma.f32 ", $sums, ", q7, ", $weights, "\n",)*
        )
    };
}

/// Panels around the columns of a row, of which the first and the last may be missing.
macro_rules! four {
    ($first:expr, [$($columns:expr,)*], $last:expr) => {
        routine!(
            "push {{r4, r5, r6, r7, r8, lr}}",
            "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
            "mov r8, r0",
            "ldrd r0, r1, [r8]",
            "ldrd r2, r3, [r8, #8]",
            "ldr r4, [r8, #16]",
            "2:",
            "vmov.i32 q0, #0",
            "vmov.i32 q1, #0",
            "vmov.i32 q2, #0",
            "vmov.i32 q3, #0",
            "add r5, r8, #52",
            "ldr lr, [r8, #20]",
            "dls lr, lr",
            "3:",
            "ldr r6, [r5]",
            "add r7, r6, #8",
            "str r7, [r5], #4",
            "vldrh.u32 q4, [r0], #8",
            "vldrh.u32 q5, [r0], #8",
            "vldrh.u32 q6, [r0], #8",
            "vcvtb.f32.f16 q4, q4",
            "ldr r7, [r8, #44]",
            "vcvtb.f32.f16 q5, q5",
            "vcvtb.f32.f16 q6, q6",
            "cbnz r7, 4f",
            $first,
            "4:",
            "ldr r7, [r8, #48]",
            $($columns,)*
            "cbnz r7, 5f",
            $last,
            "5:",
            "le lr, 3b",
            "vldrw.u32 q4, [r4], #16",
            "vadd.f32 q0, q0, q4",
            "vadd.f32 q1, q1, q4",
            "ldrd r6, r7, [r8, #24]",
            "vadd.f32 q2, q2, q4",
            "vadd.f32 q3, q3, q4",
            "vdup.32 q5, r6",
            "vdup.32 q6, r7",
            narrow!("q0", "q5", "q6"),
            narrow!("q1", "q5", "q6"),
            narrow!("q2", "q5", "q6"),
            narrow!("q3", "q5", "q6"),
            "add r6, r1, r2",
            "vstrh.32 q0, [r1], #8",
            "add r7, r6, r2",
            "vstrh.32 q1, [r6]",
            "add r6, r7, r2",
            "vstrh.32 q2, [r7]",
            "ldr r7, [r8, #40]",
            "vstrh.32 q3, [r6]",
            "add r0, r7",
            "subs r3, #4",
            "bgt.w 2b",
            "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
            "pop {{r4, r5, r6, r7, r8, pc}}",
        )
    };
}

/// # Safety
/// A sound run of four 3x3 windows, one column apart.
#[unsafe(naked)]
unsafe extern "C" fn four_near(run: *mut Run) {
    four!(
        column!("q0" "q4"),
        [
            column!("q0" "q5", "q1" "q4"),
            column!("q0" "q6", "q1" "q5", "q2" "q4"),
            column!("q1" "q6", "q2" "q5", "q3" "q4"),
            column!("q2" "q6", "q3" "q5"),
        ],
        column!("q3" "q6")
    )
}

/// # Safety
/// A sound run of four 3x3 windows, two columns apart.
#[unsafe(naked)]
unsafe extern "C" fn four_apart(run: *mut Run) {
    four!(
        column!("q0" "q4"),
        [
            column!("q0" "q5"),
            column!("q0" "q6", "q1" "q4"),
            column!("q1" "q5"),
            column!("q1" "q6", "q2" "q4"),
            column!("q2" "q5"),
            column!("q2" "q6", "q3" "q4"),
            column!("q3" "q5"),
        ],
        column!("q3" "q6")
    )
}
