//! Loops over values side by side; the last turn takes what is left (`LETP`).

use core::arch::asm;

/// An addition of `tflite`, one of whose inputs is only halved, as the one of the larger scale is.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct FixedSum {
    /// Minus the zero point of the halved input, and of the scaled one.
    pub(crate) offsets: [i32; 2],
    /// Of the scaled input: shift to the left, multiplier, rounding, shift.
    pub(crate) scaled: [i32; 4],
    /// Of the sum: multiplier, rounding with the zero point, shift to the left.
    pub(crate) sum: [i32; 3],
}

/// What the assembly reads, passed by value.
#[repr(C)]
struct Run<S> {
    halved: *const i8,
    scaled: *const i8,
    output: *mut i8,
    count: usize,
    sum: S,
}

/// Two inputs and an output, which may be one of them.
#[derive(Debug)]
pub(crate) struct Operands<'a> {
    /// `None` where the output is an input.
    pub(crate) inputs: [Option<&'a [i8]>; 2],
    pub(crate) output: &'a mut [i8],
}

impl Operands<'_> {
    fn run<S>(self, sum: S) -> Run<S> {
        let Self { inputs, output } = self;
        let count = inputs.iter().flatten().map(|input| input.len()).fold(output.len(), usize::min);
        let to = output.as_mut_ptr();
        let [halved, scaled] = inputs.map(|input| input.map_or(to.cast_const(), <[i8]>::as_ptr));
        Run { halved, scaled, output: to, count, sum }
    }
}

/// Adds until one of the three ends; with `x` an input and its offset, shifted to the left by 20
/// and for the scaled one by as many as it says, see `requantize::mve` for both roundings.
pub(crate) fn add_fixed(operands: Operands<'_>, sum: FixedSum) {
    // SAFETY: all three hold as many values as `run` counts.
    unsafe { add_fixed_values(operands.run(sum)) }
}

/// # Safety
/// `count` values behind each pointer.
#[unsafe(naked)]
unsafe extern "C" fn add_fixed_values(run: Run<FixedSum>) {
    routine!(
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldrd r4, r5, [sp, #36]",
        "ldrd r6, r7, [sp, #44]",
        "ldrd r8, r9, [sp, #52]",
        "ldrd r10, r11, [sp, #60]",
        "ldr r12, [sp, #68]",
        "wlstp.32 lr, r3, 3f",
        "2:",
        "vldrb.s32 q0, [r0], #4",
        "vadd.i32 q0, q0, r4",
        "vldrb.s32 q1, [r1], #4",
        "vadd.i32 q1, q1, r5",
        "vshl.i32 q0, q0, #19",
        "vshl.s32 q1, r6",
        "vshr.s32 q2, q1, #31",
        "vqrdmlah.s32 q2, q1, r7",
        "vadd.i32 q2, q2, r8",
        "vshl.s32 q2, r9",
        "vadd.i32 q0, q0, q2",
        "vshr.s32 q1, q0, #31",
        "vqrdmlah.s32 q1, q0, r10",
        "vqadd.s32 q1, q1, r11",
        "vqshl.s32 q1, r12",
        "vshr.u32 q1, q1, #24",
        "vstrb.32 q1, [r2], #4",
        "letp lr, 2b",
        "3:",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// An addition of `fp32`: `(bias + a * multipliers[0] + b * multipliers[1]) << left`, of which the
/// upper byte counts; it saturates, and a negative shift goes to the right.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct LinearSum {
    pub(crate) multipliers: [i32; 2],
    pub(crate) bias: i32,
    pub(crate) left: i32,
}

/// Adds until one of the three ends.
pub(crate) fn add_linear(operands: Operands<'_>, sum: LinearSum) {
    // SAFETY: all three hold as many values as `run` counts.
    unsafe { add_linear_values(operands.run(sum)) }
}

/// # Safety
/// `count` values behind each pointer.
#[unsafe(naked)]
unsafe extern "C" fn add_linear_values(run: Run<LinearSum>) {
    routine!(
        "push {{r4, r5, r6, r7, r8, lr}}",
        "ldrd r4, r5, [sp, #24]",
        "ldrd r6, r7, [sp, #32]",
        "wlstp.32 lr, r3, 3f",
        "2:",
        "vldrb.s32 q0, [r0], #4",
        "vmul.i32 q0, q0, r4",
        "vldrb.s32 q1, [r1], #4",
        "vmla.s32 q0, q1, r5",
        "vadd.i32 q0, q0, r6",
        "vqshl.s32 q0, r7",
        "vshr.u32 q0, q0, #24",
        "vstrb.32 q0, [r2], #4",
        "letp lr, 2b",
        "3:",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// Clamps `values` to `min..=max`.
pub(crate) fn clamp(values: &mut [i8], min: i8, max: i8) {
    // SAFETY: the loop reads and writes the values and nothing behind them.
    unsafe {
        asm!(
            "vdup.8 q1, {min}",
            "vdup.8 q2, {max}",
            "wlstp.8 lr, {count}, 3f",
            "2:",
            "vldrb.u8 q0, [r0]",
            "vmax.s8 q0, q0, q1",
            "vmin.s8 q0, q0, q2",
            "vstrb.8 q0, [r0], #16",
            "letp lr, 2b",
            "3:",
            inout("r0") values.as_mut_ptr() => _,
            count = in(reg) values.len(),
            min = in(reg) i32::from(min),
            max = in(reg) i32::from(max),
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            out("d4") _,
            out("d5") _,
            options(nostack),
        );
    }
}

/// Keeps the larger of both in `largest`, until either ends.
pub(crate) fn keep_larger(largest: &mut [i8], values: &[i8]) {
    // SAFETY: the loop takes as many values as both have.
    unsafe {
        asm!(
            "wlstp.8 lr, {count}, 3f",
            "2:",
            "vldrb.u8 q0, [r0]",
            "vldrb.u8 q1, [r1], #16",
            "vmax.s8 q0, q0, q1",
            "vstrb.8 q0, [r0], #16",
            "letp lr, 2b",
            "3:",
            inout("r0") largest.as_mut_ptr() => _,
            inout("r1") values.as_ptr() => _,
            count = in(reg) largest.len().min(values.len()),
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            options(nostack),
        );
    }
}

/// Adds `count` times sixteen bytes, `pitch` bytes apart, to `sums`; nothing when `from` is shorter.
pub(crate) fn add_columns(from: &[i8], pitch: usize, count: usize, sums: &mut [i32; 16]) {
    let Some(last) = count.checked_sub(1) else { return };
    if last.saturating_mul(pitch).saturating_add(16) > from.len() {
        return;
    }
    // SAFETY: every column lies within `from`; the sums are 64 bytes.
    unsafe {
        asm!(
            "vldrw.u32 q0, [r1]",
            "vldrw.u32 q1, [r1, #16]",
            "vldrw.u32 q2, [r1, #32]",
            "vldrw.u32 q3, [r1, #48]",
            "dls lr, {count}",
            "2:",
            "vldrb.s32 q4, [r0]",
            "vadd.i32 q0, q0, q4",
            "vldrb.s32 q5, [r0, #4]",
            "vadd.i32 q1, q1, q5",
            "vldrb.s32 q4, [r0, #8]",
            "vadd.i32 q2, q2, q4",
            "vldrb.s32 q5, [r0, #12]",
            "add r0, {pitch}",
            "vadd.i32 q3, q3, q5",
            "le lr, 2b",
            "vstrw.32 q0, [r1]",
            "vstrw.32 q1, [r1, #16]",
            "vstrw.32 q2, [r1, #32]",
            "vstrw.32 q3, [r1, #48]",
            inout("r0") from.as_ptr() => _,
            in("r1") sums.as_mut_ptr(),
            pitch = in(reg) pitch,
            count = in(reg) count,
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            out("d4") _,
            out("d5") _,
            out("d6") _,
            out("d7") _,
            out("d8") _,
            out("d9") _,
            out("d10") _,
            out("d11") _,
            options(nostack),
        );
    }
}
