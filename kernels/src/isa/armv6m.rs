//! Armv6-M leaves: a product and a sum one after the other (`MULS`, `ADD`). Cortex-M0 and M0+.
//!
//! What needs no more than products one at a time, [`Core`], is shared with Armv7-M.

#![cfg_attr(not(armv6m), allow(dead_code, reason = "Armv7-M shares the loops, not the leaves"))]
#![allow(unsafe_code, reason = "the leaves of an instruction set")]

use core::arch::naked_asm;
use core::marker::PhantomData;

/// Sums of four channels of the first pixel, then of the second.
pub(crate) type Sums = [[i32; 4]; 2];

/// The inner loops of a core that multiplies one by one.
pub(crate) trait Core {
    /// Adds the products of two pixels with four channels to `sums`; those of the second may be
    /// missing where it is the first.
    ///
    /// # Safety
    /// `steps` steps behind each pointer.
    unsafe extern "C" fn multiply(
        first: *const i8,
        second: *const i8,
        weights: *const i32,
        steps: usize,
        sums: &mut Sums,
    );

    /// Rescales the sums of both pixels as `tflite` does, adds the zero point, saturates to int8 and
    /// leaves the outputs of either pixel in the bytes of its first sum. Every shift lies in `-31..=-1`,
    /// and no multiplier is negative: the engine refuses those.
    ///
    /// Floors nest: for a shift to the right by `r` both roundings are
    /// `floor((x * m + 2^30 + 2^(30 + r) - [x < 0] * 2^31) / 2^(31 + r))`.
    extern "C" fn rescale(
        sums: &mut Sums,
        bias: &[i32; 4],
        multiplier: &[i32; 4],
        shift: &[i8; 4],
        zero_point: i32,
    );

    /// Sums of the 3x3 taps of four channels.
    ///
    /// # Safety
    /// Three pixels, `stride` bytes apart, of four bytes `start` bytes behind each of `rows`.
    unsafe extern "C" fn depthwise(
        rows: &[*const i8; 3],
        stride: usize,
        sums: &mut [i32; 4],
        weights: &[[i8; 4]; 9],
        start: usize,
    );
}

/// Adds the products of two pixels with four channels to `sums`, until one of the three ends; those
/// of the second may be missing where it is the first. A word holds a step's weights.
#[inline]
pub(crate) fn multiply<C: Core>(first: &[i8], second: &[i8], weights: &[i32], sums: &mut Sums) {
    let steps = weights.len().min(first.len()).min(second.len());
    // SAFETY: pixels and weights hold `steps` steps.
    unsafe { C::multiply(first.as_ptr(), second.as_ptr(), weights.as_ptr(), steps, sums) }
}

/// Three rows.
pub(crate) struct Rows<'a> {
    starts: [*const i8; 3],
    /// What the shortest one has.
    len: usize,
    borrowed: PhantomData<&'a [i8]>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(rows: [&'a [i8]; 3]) -> Self {
        let len = rows.iter().fold(usize::MAX, |len, row| len.min(row.len()));
        Self { starts: rows.map(<[i8]>::as_ptr), len, borrowed: PhantomData }
    }

    /// Sums of the 3x3 taps of four channels: pixels from byte `start` of the rows on, `stride`
    /// bytes apart. Zeros when the rows are shorter than that.
    #[inline]
    pub(crate) fn depthwise<C: Core>(
        &self,
        start: usize,
        stride: usize,
        weights: &[[i8; 4]; 9],
    ) -> [i32; 4] {
        let mut sums = [0; 4];
        if start + 2 * stride + 4 <= self.len {
            // SAFETY: every row holds three pixels of which four channels are read.
            unsafe { C::depthwise(&self.starts, stride, &mut sums, weights, start) }
        }
        sums
    }
}

/// Adds the products of a pixel with four channels: 18 instructions for 4 products.
///
/// # Safety
/// `steps` steps behind either pointer.
#[unsafe(naked)]
unsafe extern "C" fn multiply_pixel(
    pixel: *const i8,
    weights: *const i32,
    steps: usize,
    sums: &mut [i32; 4],
) {
    naked_asm!(
        "push {{r4, r5, r6, r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4, r5, r6, r7}}",
        "mov r12, r3",
        "ldmia r3!, {{r4, r5, r6, r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        // The steps are counted up to zero, which is the end of the pixel.
        "adds r0, r0, r2",
        "rsbs r7, r2, #0",
        "beq 3f",
        "2:",
        "ldrsb r6, [r0, r7]",
        "ldmia r1!, {{r4}}",
        "sxtb r5, r4",
        "muls r5, r6, r5",
        "add r8, r5",
        "lsls r5, r4, #16",
        "asrs r5, r5, #24",
        "muls r5, r6, r5",
        "add r9, r5",
        "lsls r5, r4, #8",
        "asrs r5, r5, #24",
        "muls r5, r6, r5",
        "add r10, r5",
        "asrs r4, r4, #24",
        "muls r4, r6, r4",
        "add r11, r4",
        "adds r7, r7, #1",
        "bne 2b",
        "3:",
        "mov r3, r12",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "stmia r3!, {{r4, r5, r6, r7}}",
        "pop {{r4, r5, r6, r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4, r5, r6, r7, pc}}",
    )
}

/// A pixel's sum, `$place` bytes from r3, whose channel is lr. The product of two words is put
/// together from halves, in r6 and r0. The output goes `$place` bytes from the first sum.
macro_rules! rescale {
    ($place:literal) => {
        concat!(
            "ldr r4, [r3, #",
            $place,
            "]\n",
            "ldr r1, [sp, #4]\n",
            "ldr r5, [r1]\n",
            "adds r4, r4, r5\n",
            "uxth r5, r4\n",
            "asrs r4, r4, #16\n",
            "mov r6, r11\n",
            "uxth r7, r6\n",
            "lsrs r6, r6, #16\n",
            "movs r0, r5\n",
            "muls r0, r7, r0\n",
            "muls r5, r6, r5\n",
            "muls r7, r4, r7\n",
            "muls r6, r4, r6\n",
            "lsls r1, r5, #16\n",
            "lsrs r5, r5, #16\n",
            "adds r0, r0, r1\n",
            "adcs r6, r5\n",
            "lsls r1, r7, #16\n",
            "asrs r7, r7, #16\n",
            "adds r0, r0, r1\n",
            "adcs r6, r7\n",
            "mov r1, r8\n",
            "mov r2, r9\n",
            "adds r0, r0, r1\n",
            "adcs r6, r2\n",
            "asrs r4, r4, #31\n",
            "lsls r1, r4, #31\n",
            "adds r0, r0, r1\n",
            "adcs r6, r4\n",
            "mov r1, r10\n",
            "asrs r6, r1\n",
            "add r6, r12\n",
            // There is no SSAT.
            "sxtb r1, r6\n",
            "cmp r1, r6\n",
            "beq 4f\n",
            "asrs r1, r6, #31\n",
            "movs r2, #127\n",
            "eors r1, r2\n",
            "4:\n",
            "ldr r2, [sp]\n",
            "adds r2, #",
            $place,
            "\n",
            "mov r4, lr\n",
            "strb r1, [r2, r4]\n",
        )
    };
}

/// A tap of the channel r6: the pixel at r0, the weights at r3.
macro_rules! tap {
    () => {
        concat!(
            "ldrsb r4, [r0, r6]\n",
            "ldrsb r5, [r3, r6]\n",
            "muls r4, r5, r4\n",
            "adds r1, r1, r4\n",
            "adds r3, r3, #4\n",
        )
    };
}

/// Cortex-M0 and M0+.
pub(crate) struct Armv6m;

impl Core for Armv6m {
    #[inline]
    unsafe extern "C" fn multiply(
        first: *const i8,
        second: *const i8,
        weights: *const i32,
        steps: usize,
        sums: &mut Sums,
    ) {
        let [of_first, of_second] = sums;
        // SAFETY: the caller's promise.
        unsafe { multiply_pixel(first, weights, steps, of_first) }
        if second != first {
            // SAFETY: the caller's promise.
            unsafe { multiply_pixel(second, weights, steps, of_second) }
        }
    }

    #[unsafe(naked)]
    extern "C" fn rescale(
        sums: &mut Sums,
        bias: &[i32; 4],
        multiplier: &[i32; 4],
        shift: &[i8; 4],
        zero_point: i32,
    ) {
        naked_asm!(
            "push {{r4, r5, r6, r7, lr}}",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "mov r7, r11",
            "push {{r4, r5, r6, r7}}",
            "push {{r0, r1, r2, r3}}",
            "ldr r4, [sp, #52]",
            "mov r12, r4",
            "movs r4, #0",
            "2:",
            "mov lr, r4",
            // This channel's sum, multiplier and shift.
            "ldr r3, [sp]",
            "lsls r4, r4, #2",
            "adds r3, r3, r4",
            "ldr r1, [sp, #8]",
            "ldmia r1!, {{r4}}",
            "str r1, [sp, #8]",
            "mov r11, r4",
            "ldr r1, [sp, #12]",
            "movs r2, #0",
            "ldrsb r4, [r1, r2]",
            "adds r1, r1, #1",
            "str r1, [sp, #12]",
            "rsbs r4, r4, #0",
            // What is added before the floor: lower and upper word.
            "movs r5, #1",
            "lsls r5, r5, #30",
            "movs r6, r5",
            "lsls r6, r4",
            "adds r6, r6, r5",
            "mov r8, r6",
            "movs r7, #32",
            "subs r7, r7, r4",
            "lsrs r5, r7",
            "mov r9, r5",
            "subs r4, r4, #1",
            "mov r10, r4",
            rescale!("0"),
            rescale!("16"),
            "ldr r1, [sp, #4]",
            "adds r1, r1, #4",
            "str r1, [sp, #4]",
            "adds r4, r4, #1",
            "cmp r4, #4",
            "beq 3f",
            "b 2b",
            "3:",
            "add sp, #16",
            "pop {{r4, r5, r6, r7}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "mov r11, r7",
            "pop {{r4, r5, r6, r7, pc}}",
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn depthwise(
        rows: &[*const i8; 3],
        stride: usize,
        sums: &mut [i32; 4],
        weights: &[[i8; 4]; 9],
        start: usize,
    ) {
        naked_asm!(
            "push {{r4, r5, r6, r7, lr}}",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "push {{r4, r5, r6}}",
            "ldr r7, [sp, #32]",
            "ldmia r0!, {{r4, r5, r6}}",
            "adds r4, r4, r7",
            "mov r8, r4",
            "adds r5, r5, r7",
            "mov r9, r5",
            "adds r6, r6, r7",
            "mov r10, r6",
            "movs r7, r1",
            "movs r6, #0",
            "2:",
            "movs r1, #0",
            "mov r0, r8",
            tap!(),
            "adds r0, r0, r7",
            tap!(),
            "adds r0, r0, r7",
            tap!(),
            "mov r0, r9",
            tap!(),
            "adds r0, r0, r7",
            tap!(),
            "adds r0, r0, r7",
            tap!(),
            "mov r0, r10",
            tap!(),
            "adds r0, r0, r7",
            tap!(),
            "adds r0, r0, r7",
            tap!(),
            "subs r3, #36",
            "stmia r2!, {{r1}}",
            "adds r6, r6, #1",
            "cmp r6, #4",
            "bne 2b",
            "pop {{r4, r5, r6}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "pop {{r4, r5, r6, r7, pc}}",
        )
    }
}
