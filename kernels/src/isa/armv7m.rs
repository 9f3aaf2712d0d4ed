//! Armv7-M leaves: products one at a time (`MLA`), in blocks that need every register. Cortex-M3.

#![allow(unsafe_code, reason = "the leaves of an instruction set")]

use core::arch::naked_asm;

use super::armv6m::{Core, Sums};

/// A depth step of two pixels and four channels: 8 products.
macro_rules! step {
    () => {
        concat!(
            "ldrsb r11, [r8], #1\n",
            "ldrsb r12, [r9], #1\n",
            "ldrsb lr, [r10], #1\n",
            "mla r0, lr, r11, r0\n",
            "mla r4, lr, r12, r4\n",
            "ldrsb lr, [r10], #1\n",
            "mla r1, lr, r11, r1\n",
            "mla r5, lr, r12, r5\n",
            "ldrsb lr, [r10], #1\n",
            "mla r2, lr, r11, r2\n",
            "mla r6, lr, r12, r6\n",
            "ldrsb lr, [r10], #1\n",
            "mla r3, lr, r11, r3\n",
            "mla r7, lr, r12, r7\n",
        )
    };
}

/// A pixel's sum, `$place` bytes from r0. Its output goes `$place` bytes from r10, where the first
/// sums were.
macro_rules! rescale {
    ($place:literal) => {
        concat!(
            "ldr r7, [r0, #",
            $place,
            "]\n",
            "add r7, r7, r4\n",
            "mov r11, r8\n",
            "mov r12, r9\n",
            "smlal r11, r12, r7, r5\n",
            "asr r7, r7, #31\n",
            "adds r11, r11, r7, lsl #31\n",
            "adc r12, r12, r7\n",
            "asr r12, r12, r6\n",
            "add r12, r12, lr\n",
            "ssat r12, #8, r12\n",
            "strb r12, [r10, #",
            $place,
            "]\n",
        )
    };
}

/// A tap of four channels: r1 walks along a row of pixels, r3 along the weights.
macro_rules! tap {
    () => {
        concat!(
            "ldrsb r8, [r1]\n",
            "ldrsb r9, [r3], #1\n",
            "mla r4, r8, r9, r4\n",
            "ldrsb r8, [r1, #1]\n",
            "ldrsb r9, [r3], #1\n",
            "mla r5, r8, r9, r5\n",
            "ldrsb r8, [r1, #2]\n",
            "ldrsb r9, [r3], #1\n",
            "mla r6, r8, r9, r6\n",
            "ldrsb r8, [r1, #3]\n",
            "ldrsb r9, [r3], #1\n",
            "mla r7, r8, r9, r7\n",
        )
    };
}

/// Cortex-M3.
pub(crate) struct Armv7m;

impl Core for Armv7m {
    #[unsafe(naked)]
    unsafe extern "C" fn multiply(
        first: *const i8,
        second: *const i8,
        weights: *const i32,
        steps: usize,
        sums: &mut Sums,
    ) {
        naked_asm!(
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "sub sp, sp, #12",
            "mov r8, r0",
            "mov r9, r1",
            "mov r10, r2",
            // Where the steps end that are taken by fours, and all of them.
            "bic r12, r3, #3",
            "add r12, r8, r12",
            "add r11, r8, r3",
            "strd r12, r11, [sp]",
            "ldr r11, [sp, #48]",
            "ldmia.w r11, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "cmp r8, r12",
            "beq 3f",
            "2:",
            step!(),
            step!(),
            step!(),
            step!(),
            "ldr lr, [sp]",
            "cmp r8, lr",
            "bne.w 2b",
            "3:",
            "ldr lr, [sp, #4]",
            "cmp r8, lr",
            "beq 5f",
            "4:",
            step!(),
            "ldr lr, [sp, #4]",
            "cmp r8, lr",
            "bne 4b",
            "5:",
            "ldr r11, [sp, #48]",
            "stmia.w r11, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "add sp, sp, #12",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        )
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
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "ldr lr, [sp, #36]",
            "mov r10, r0",
            "2:",
            "ldr r4, [r1], #4",
            "ldr r5, [r2], #4",
            "ldrsb r6, [r3], #1",
            "rsb r6, r6, #0",
            // What is added before the floor: lower and upper word.
            "mov r7, #0x40000000",
            "lsl r8, r7, r6",
            "add r8, r8, r7",
            "rsb r9, r6, #32",
            "lsr r9, r7, r9",
            "sub r6, r6, #1",
            rescale!("0"),
            rescale!("16"),
            "add r0, r0, #4",
            "add r10, r10, #1",
            "tst r10, #3",
            "bne 2b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
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
            "push {{r4, r5, r6, r7, r8, r9, r10, r11}}",
            "ldr r12, [sp, #32]",
            "mov r10, r1",
            "movs r4, #0",
            "movs r5, #0",
            "movs r6, #0",
            "movs r7, #0",
            "add r11, r0, #12",
            "2:",
            "ldr r1, [r0], #4",
            "add r1, r1, r12",
            tap!(),
            "add r1, r1, r10",
            tap!(),
            "add r1, r1, r10",
            tap!(),
            "cmp r0, r11",
            "bne 2b",
            "stmia r2!, {{r4, r5, r6, r7}}",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11}}",
            "bx lr",
        )
    }
}
