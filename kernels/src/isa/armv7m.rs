//! Armv7-M leaves: products by `MLA`, in blocks that need every register. Cortex-M3.

#![allow(unsafe_code, reason = "the leaves of an instruction set")]

use core::arch::naked_asm;

use super::no_dsp::depthwise::Band;
use super::no_dsp::{Core, Step, Strip};

/// A pair of steps of four pixels and a channel, 40 bytes of code: 8 products.
macro_rules! pair {
    () => {
        concat!(
            "ldmia.w r11!, {{r4, r5, r6, r7}}\n",
            "ldrsb r8, [r12], #1\n",
            "ldrsb r9, [r12], #1\n",
            "mla r4, r4, r8, r10\n",
            "mla r5, r5, r8, r10\n",
            "mla r4, r6, r9, r4\n",
            "mla r5, r7, r9, r5\n",
            "adds.n r0, r0, r4\n",
            "add.w r1, r1, r4, lsr #16\n",
            "adds.n r2, r2, r5\n",
            "add.w r3, r3, r5, lsr #16\n",
        )
    };
}

/// The same where all four pixels are the same one, 20 bytes of code.
macro_rules! single_pair {
    () => {
        concat!(
            "ldmia.w r11!, {{r4, r5, r6, r7}}\n",
            "ldrsb r8, [r12], #1\n",
            "ldrsb r9, [r12], #1\n",
            "mla r0, r4, r8, r0\n",
            "mla r0, r6, r9, r0\n",
        )
    };
}

/// The sum in `$sum` becomes its output. Factors in r4 to r7.
macro_rules! output {
    ($sum:literal) => {
        concat!(
            "add ",
            $sum,
            ", r4, ",
            $sum,
            ", lsl #1\n",
            // The upper word and the bit below it.
            "smull r8, r9, ",
            $sum,
            ", r5\n",
            "adds r8, r8, r8\n",
            "adc r9, r9, ",
            $sum,
            ", asr #31\n",
            "add r9, r9, r6\n",
            "asr r9, r9, r7\n",
            "ssat ",
            $sum,
            ", #8, r9\n",
        )
    };
}

/// A step of four pixels.
macro_rules! pack {
    () => {
        concat!(
            "ldrsb r8, [r4], #1\n",
            "ldrsb r9, [r5], #1\n",
            "ldrsb r10, [r6], #1\n",
            "ldrsb r11, [r7], #1\n",
            "add r8, r8, r9, lsl #16\n",
            "add r10, r10, r11, lsl #16\n",
            "stmia r1!, {{r8, r10}}\n",
        )
    };
}

/// A column, `$place` bytes from `$row`, in r7.
macro_rules! column {
    ($row:literal, $place:literal) => {
        concat!("ldrsb r7, [", $row, ", #", $place, "]\n")
    };
}

/// The first product of an output: of the column and the weight in r4.
macro_rules! first {
    ($sum:literal) => {
        concat!("mul ", $sum, ", r7, r4\n")
    };
}

/// The same in a later row.
macro_rules! further {
    ($sum:literal) => {
        product!($sum, "r4")
    };
}

/// Adds the product of the column and a weight.
macro_rules! product {
    ($sum:literal, $weight:literal) => {
        concat!("mla ", $sum, ", r7, ", $weight, ", ", $sum, "\n")
    };
}

/// The weights of a row, in r4 to r6; r9 has all of them.
macro_rules! weights {
    ($a:literal, $b:literal, $c:literal) => {
        concat!(
            "ldrsb r4, [r9, #",
            $a,
            "]\n",
            "ldrsb r5, [r9, #",
            $b,
            "]\n",
            "ldrsb r6, [r9, #",
            $c,
            "]\n",
        )
    };
}

/// A row of the windows of four outputs, a column apart.
macro_rules! row {
    ($start:ident, $row:literal, $a:literal, $b:literal, $c:literal) => {
        concat!(
            weights!($a, $b, $c),
            column!($row, "0"),
            $start!("r0"),
            column!($row, "4"),
            product!("r0", "r5"),
            $start!("r1"),
            column!($row, "8"),
            product!("r0", "r6"),
            product!("r1", "r5"),
            $start!("r2"),
            column!($row, "12"),
            product!("r1", "r6"),
            product!("r2", "r5"),
            $start!("r3"),
            column!($row, "16"),
            product!("r2", "r6"),
            product!("r3", "r5"),
            column!($row, "20"),
            product!("r3", "r6"),
            "add ",
            $row,
            ", ",
            $row,
            ", #16\n",
        )
    };
}

/// The same of the first two outputs.
macro_rules! short_row {
    ($start:ident, $row:literal, $a:literal, $b:literal, $c:literal) => {
        concat!(
            weights!($a, $b, $c),
            column!($row, "0"),
            $start!("r0"),
            column!($row, "4"),
            product!("r0", "r5"),
            $start!("r1"),
            column!($row, "8"),
            product!("r0", "r6"),
            product!("r1", "r5"),
            column!($row, "12"),
            product!("r1", "r6"),
        )
    };
}

/// The same of four outputs, two columns apart.
macro_rules! wide_row {
    ($start:ident, $row:literal, $a:literal, $b:literal, $c:literal) => {
        concat!(
            weights!($a, $b, $c),
            column!($row, "0"),
            $start!("r0"),
            column!($row, "4"),
            product!("r0", "r5"),
            column!($row, "8"),
            product!("r0", "r6"),
            $start!("r1"),
            column!($row, "12"),
            product!("r1", "r5"),
            column!($row, "16"),
            product!("r1", "r6"),
            $start!("r2"),
            column!($row, "20"),
            product!("r2", "r5"),
            column!($row, "24"),
            product!("r2", "r6"),
            $start!("r3"),
            column!($row, "28"),
            product!("r3", "r5"),
            column!($row, "32"),
            product!("r3", "r6"),
            "add ",
            $row,
            ", ",
            $row,
            ", #32\n",
        )
    };
}

/// Cortex-M3.
pub(crate) struct Armv7m;

impl Core for Armv7m {
    const UPPER_OFFSET: i32 = 0;

    #[unsafe(naked)]
    unsafe extern "C" fn pack(sources: &[*const i8; 4], to: *mut Step, steps: usize) {
        naked_asm!(
            "push {{r4, r5, r6, r7, r8, r9, r10, r11}}",
            "ldmia.w r0, {{r4, r5, r6, r7}}",
            "subs r2, r2, #4",
            "blt 3f",
            "2:",
            pack!(),
            pack!(),
            pack!(),
            pack!(),
            "subs r2, r2, #4",
            "bge 2b",
            "3:",
            "adds r2, r2, #4",
            "beq 5f",
            "4:",
            pack!(),
            "subs r2, r2, #1",
            "bne 4b",
            "5:",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11}}",
            "bx lr",
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn multiply(strip: &mut Strip, weights: *const i8) {
        naked_asm!(
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            // Behind the outputs.
            "add lr, r0, #16",
            "mov r12, r1",
            // The innermost loops are entered where as many pairs are left over.
            "ldr r4, [lr, #48]",
            "add r4, r4, r4, lsl #2",
            "adr.w r5, 7f",
            "add r5, r5, r4, lsl #3",
            "adr.w r6, 8f",
            "add r6, r6, r4, lsl #2",
            "ldr r4, [lr, #44]",
            "cmp r4, #0",
            "it ne",
            "movne r5, r6",
            "orr r5, r5, #1",
            "str r5, [lr, #24]",
            // A channel: what its sums start with, the bias, the pixels, the loop.
            "2:",
            "ldmia.w lr, {{r0, r1, r2, r3, r10, r11, pc}}",
            "7:",
            pair!(),
            pair!(),
            pair!(),
            pair!(),
            pair!(),
            pair!(),
            pair!(),
            pair!(),
            "ldrd r8, r4, [lr, #36]",
            "cmp r11, r8",
            "bne.w 7b",
            "sub r0, r0, r1, lsl #16",
            "sub r2, r2, r3, lsl #16",
            // Its outputs, or its sums.
            "3:",
            "ldrd r11, r10, [lr, #28]",
            "cbnz r4, 4f",
            "stmia r11!, {{r0, r1, r2, r3}}",
            "b 5f",
            "4:",
            "ldmia.w r11!, {{r4, r5, r6, r7}}",
            output!("r0"),
            output!("r1"),
            output!("r2"),
            output!("r3"),
            "ldmdb lr, {{r4, r5, r6, r7}}",
            "strb r0, [r4], #1",
            "strb r1, [r5], #1",
            "strb r2, [r6], #1",
            "strb r3, [r7], #1",
            "stmdb lr, {{r4, r5, r6, r7}}",
            "5:",
            "str r11, [lr, #28]",
            "cmp r11, r10",
            "bne.w 2b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".balign 4",
            "8:",
            single_pair!(),
            single_pair!(),
            single_pair!(),
            single_pair!(),
            single_pair!(),
            single_pair!(),
            single_pair!(),
            single_pair!(),
            "ldrd r8, r4, [lr, #36]",
            "cmp r11, r8",
            "bne.w 8b",
            "sub r0, r0, r0, lsl #16",
            "mov r1, r0",
            "mov r2, r0",
            "mov r3, r0",
            "b 3b",
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn copy_columns(
        from: *const i8,
        stride: usize,
        to: *mut i32,
        columns: usize,
    ) {
        naked_asm!(
            "lsrs r3, r3, #1",
            "bcc 2f",
            "ldr r12, [r0]",
            "add r0, r0, r1",
            "str r12, [r2], #4",
            "beq 3f",
            "2:",
            "ldr r12, [r0]",
            "str r12, [r2]",
            "ldr r12, [r0, r1]",
            "add r0, r0, r1, lsl #1",
            "str r12, [r2, #4]",
            "add r2, r2, #8",
            "subs r3, r3, #1",
            "bne 2b",
            "3:",
            "bx lr",
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn depthwise(band: &mut Band) {
        naked_asm!(
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "mov lr, r0",
            // A channel.
            "2:",
            "ldmia.w lr, {{r10, r11, r12}}",
            "ldrd r4, r5, [lr, #32]",
            "str r4, [lr, #28]",
            "str r5, [lr, #20]",
            "cmp r4, #2",
            "ble.w 6f",
            // Four outputs.
            "3:",
            "ldrd r9, r4, [lr, #12]",
            "cmp r4, #1",
            "bne.w 9f",
            row!(first, "r10", "0", "4", "8"),
            row!(further, "r11", "12", "16", "20"),
            row!(further, "r12", "24", "28", "32"),
            "4:",
            "ldr r8, [lr, #48]",
            "cmp r8, #0",
            "beq 8f",
            "ldmia.w r8, {{r4, r5, r6, r7}}",
            output!("r0"),
            output!("r1"),
            output!("r2"),
            output!("r3"),
            "ldrd r4, r5, [lr, #20]",
            "ldr r6, [lr, #28]",
            "subs r6, r6, #4",
            "blt 7f",
            "str r6, [lr, #28]",
            "strb r0, [r4]",
            "strb r1, [r4, r5]",
            "add r4, r4, r5, lsl #1",
            "strb r2, [r4]",
            "strb r3, [r4, r5]",
            "add r4, r4, r5, lsl #1",
            "str r4, [lr, #20]",
            "cmp r6, #2",
            "bgt.w 3b",
            "cmp r6, #0",
            "bne.w 6f",
            "5:",
            "ldmia.w lr, {{r4, r5, r6, r7}}",
            "adds r4, r4, #1",
            "adds r5, r5, #1",
            "adds r6, r6, #1",
            "adds r7, r7, #1",
            "stmia.w lr, {{r4, r5, r6, r7}}",
            "ldrd r4, r5, [lr, #36]",
            "ldrd r6, r7, [lr, #44]",
            "add r4, r4, r5",
            "str r4, [lr, #36]",
            "cbz r7, 51f",
            "adds r7, r7, #16",
            "51:",
            "subs r6, r6, #1",
            "strd r6, r7, [lr, #44]",
            "bne.w 2b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            // One or two outputs.
            "6:",
            "ldrd r9, r4, [lr, #12]",
            "cmp r4, #1",
            "bne.w 9f",
            short_row!(first, "r10", "0", "4", "8"),
            short_row!(further, "r11", "12", "16", "20"),
            short_row!(further, "r12", "24", "28", "32"),
            "ldr r8, [lr, #48]",
            "cmp r8, #0",
            "beq 8f",
            "ldmia.w r8, {{r4, r5, r6, r7}}",
            output!("r0"),
            output!("r1"),
            "ldrd r4, r5, [lr, #20]",
            "ldr r6, [lr, #28]",
            "strb r0, [r4]",
            "cmp r6, #1",
            "beq 5b",
            "strb r1, [r4, r5]",
            "b 5b",
            // Less than four outputs.
            "7:",
            "strb r0, [r4]",
            "cmn r6, #3",
            "beq 5b",
            "strb r1, [r4, r5]",
            "cmn r6, #2",
            "beq 5b",
            "strb r2, [r4, r5, lsl #1]",
            "b 5b",
            // Sums.
            "8:",
            "ldr r4, [lr, #20]",
            "stmia r4!, {{r0, r1, r2, r3}}",
            "str r4, [lr, #20]",
            "ldr r6, [lr, #28]",
            "subs r6, r6, #4",
            "str r6, [lr, #28]",
            "bgt.w 3b",
            "b 5b",
            "9:",
            wide_row!(first, "r10", "0", "4", "8"),
            wide_row!(further, "r11", "12", "16", "20"),
            wide_row!(further, "r12", "24", "28", "32"),
            "b 4b",
        )
    }
}
