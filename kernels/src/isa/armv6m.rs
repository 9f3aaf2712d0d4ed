//! Armv6-M leaves: a product and a sum one after the other (`MULS`, `ADD`). Cortex-M0 and M0+.

#![allow(unsafe_code, reason = "the leaves of an instruction set")]

use core::arch::naked_asm;

use super::no_dsp::depthwise::Band;
use super::no_dsp::{Core, Step, Strip};

/// A pair of steps and a channel's weights, and the products of the first two pixels. `$first` and
/// `$second` are where the weights lie behind r7.
macro_rules! pair_products {
    ($first:literal, $second:literal) => {
        concat!(
            "ldmia r6!, {{r0, r1, r2, r3}}\n",
            "ldrb r4, [r7, #",
            $first,
            "]\n",
            "sxtb r4, r4\n",
            "ldrb r5, [r7, #",
            $second,
            "]\n",
            "sxtb r5, r5\n",
            "muls r0, r4, r0\n",
            "muls r2, r5, r2\n",
        )
    };
}

/// A pair of steps of four pixels and a channel, 38 bytes of code: 8 products.
macro_rules! pair {
    ($first:literal, $second:literal) => {
        concat!(
            pair_products!($first, $second),
            "adds r0, r0, r2\n",
            "add r0, r12\n",
            "add r8, r0\n",
            "lsrs r0, r0, #16\n",
            "add r9, r0\n",
            "muls r1, r4, r1\n",
            "muls r3, r5, r3\n",
            "adds r1, r1, r3\n",
            "add r1, r12\n",
            "add r10, r1\n",
            "lsrs r1, r1, #16\n",
            "add r11, r1\n",
        )
    };
}

/// The same where all four pixels are the same one, 18 bytes of code.
macro_rules! single_pair {
    ($first:literal, $second:literal) => {
        concat!(pair_products!($first, $second), "add r8, r0\n", "add r8, r2\n",)
    };
}

/// A turn of pairs.
macro_rules! turn {
    ($pair:ident) => {
        concat!(
            $pair!("0", "1"),
            $pair!("2", "3"),
            $pair!("4", "5"),
            $pair!("6", "7"),
            $pair!("8", "9"),
            $pair!("10", "11"),
            $pair!("12", "13"),
            $pair!("14", "15"),
            "adds r7, #16\n",
            "cmp r6, lr\n",
        )
    };
}

/// The output of the sum in `$sum`, in r0. Twice the bias in r12, the lower and upper half of the
/// multiplier in r5 and r4, the rounding in lr, the shift in r3.
///
/// The halves of the sum, xh and xl, make the upper word
/// `xh * mh + ((xh * ml + xl * mh + (xl * ml >> 16) + 2^15) >> 16)`. What is shifted lies between `-2^30`
/// and `3 * 2^30` as long as the doubled sum keeps within 30 bits and a sign; r7 has the `2^30` that
/// make it unsigned, and the rounding is less by what is left of them.
macro_rules! output {
    ($sum:literal) => {
        concat!(
            "mov r0, ",
            $sum,
            "\n",
            "adds r0, r0, r0\n",
            "add r0, r12\n",
            "asrs r2, r0, #16\n",
            "uxth r0, r0\n",
            "movs r1, r0\n",
            "muls r1, r5, r1\n",
            "lsrs r1, r1, #16\n",
            "muls r0, r4, r0\n",
            "adds r1, r1, r0\n",
            "movs r0, r2\n",
            "muls r0, r5, r0\n",
            "adds r1, r1, r0\n",
            "adds r1, r1, r7\n",
            "lsrs r1, r1, #16\n",
            "movs r0, r2\n",
            "muls r0, r4, r0\n",
            "adds r1, r1, r0\n",
            "asrs r2, r2, #31\n",
            "adds r1, r1, r2\n",
            "add r1, lr\n",
            "asrs r1, r3\n",
            // There is no SSAT.
            "sxtb r0, r1\n",
            "cmp r0, r1\n",
            "beq 91f\n",
            "asrs r0, r1, #31\n",
            "movs r2, #127\n",
            "eors r0, r2\n",
            "91:\n",
        )
    };
}

/// Stores r0 where the word `$place` bytes from r6 says.
macro_rules! store {
    ($place:literal) => {
        concat!(
            "ldr r2, [r6, #",
            $place,
            "]\n",
            "strb r0, [r2]\n",
            "adds r2, #1\n",
            "str r2, [r6, #",
            $place,
            "]\n",
        )
    };
}

/// The first product of an output, in r1.
macro_rules! first {
    ($sum:literal) => {
        concat!("mov ", $sum, ", r1\n")
    };
}

/// A further one.
macro_rules! further {
    ($sum:literal) => {
        concat!("add ", $sum, ", r1\n")
    };
}

/// A column, `$place` bytes from r5.
macro_rules! column {
    ($place:literal) => {
        concat!("ldrb r0, [r5, #", $place, "]\n", "sxtb r0, r0\n")
    };
}

/// The product of the column and a weight, when the column has others to come.
macro_rules! product {
    ($weight:literal) => {
        concat!("movs r1, r0\n", "muls r1, ", $weight, ", r1\n")
    };
}

/// Where a row and its weights start: `$row` bytes from r7, r6.
macro_rules! start_row {
    ($row:literal) => {
        concat!(
            "ldr r5, [r7, #",
            $row,
            "]\n",
            "add r5, r12\n",
            "ldrb r2, [r6]\n",
            "sxtb r2, r2\n",
            "ldrb r3, [r6, #4]\n",
            "sxtb r3, r3\n",
            "ldrb r4, [r6, #8]\n",
            "sxtb r4, r4\n",
            "adds r6, #12\n",
        )
    };
}

/// A row of the windows of four outputs, a column apart.
macro_rules! row {
    ($start:ident, $row:literal) => {
        concat!(
            start_row!($row),
            column!("0"),
            product!("r2"),
            $start!("r8"),
            column!("4"),
            product!("r3"),
            further!("r8"),
            product!("r2"),
            $start!("r9"),
            column!("8"),
            product!("r4"),
            further!("r8"),
            product!("r3"),
            further!("r9"),
            product!("r2"),
            $start!("r10"),
            column!("12"),
            product!("r4"),
            further!("r9"),
            product!("r3"),
            further!("r10"),
            product!("r2"),
            $start!("r11"),
            column!("16"),
            product!("r4"),
            further!("r10"),
            product!("r3"),
            further!("r11"),
            column!("20"),
            product!("r4"),
            further!("r11"),
        )
    };
}

/// The same, two columns apart.
macro_rules! wide_row {
    ($start:ident, $row:literal) => {
        concat!(
            start_row!($row),
            column!("0"),
            product!("r2"),
            $start!("r8"),
            column!("4"),
            product!("r3"),
            further!("r8"),
            column!("8"),
            product!("r4"),
            further!("r8"),
            product!("r2"),
            $start!("r9"),
            column!("12"),
            product!("r3"),
            further!("r9"),
            column!("16"),
            product!("r4"),
            further!("r9"),
            product!("r2"),
            $start!("r10"),
            column!("20"),
            product!("r3"),
            further!("r10"),
            column!("24"),
            product!("r4"),
            further!("r10"),
            product!("r2"),
            $start!("r11"),
            column!("28"),
            product!("r3"),
            further!("r11"),
            "movs r1, #32\n",
            "ldrsb r1, [r5, r1]\n",
            "muls r1, r4, r1\n",
            further!("r11"),
        )
    };
}

/// Cortex-M0 and M0+.
pub(crate) struct Armv6m;

impl Core for Armv6m {
    const UPPER_OFFSET: i32 = 1 << 14;

    #[unsafe(naked)]
    unsafe extern "C" fn pack(sources: &[*const i8; 4], to: *mut Step, steps: usize) {
        naked_asm!(
            "push {{r4, r5, r6, r7, lr}}",
            "mov lr, r2",
            "ldmia r0!, {{r4, r5, r6, r7}}",
            "movs r2, #0",
            "2:",
            "ldrsb r0, [r4, r2]",
            "ldrsb r3, [r5, r2]",
            "lsls r3, r3, #16",
            "adds r0, r0, r3",
            "stmia r1!, {{r0}}",
            "ldrsb r0, [r6, r2]",
            "ldrsb r3, [r7, r2]",
            "lsls r3, r3, #16",
            "adds r0, r0, r3",
            "stmia r1!, {{r0}}",
            "adds r2, r2, #1",
            "cmp r2, lr",
            "bne 2b",
            "pop {{r4, r5, r6, r7, pc}}",
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn multiply(strip: &mut Strip, weights: *const i8) {
        naked_asm!(
            "push {{r4, r5, r6, r7, lr}}",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "mov r7, r11",
            "push {{r4, r5, r6, r7}}",
            "push {{r0, r1}}",
            // The innermost loops are entered where as many pairs are left over.
            "ldr r4, [r0, #64]",
            "ldr r5, [r0, #60]",
            "movs r6, #38",
            "adr r7, 7f",
            "cmp r5, #0",
            "beq 2f",
            "movs r6, #18",
            "ldr r7, 9f",
            "add r7, pc",
            "20:",
            "2:",
            "muls r4, r6, r4",
            "adds r7, r7, r4",
            "adds r7, #1",
            "str r7, [r0, #40]",
            // A channel.
            "2:",
            "ldr r4, [sp]",
            "ldr r7, [sp, #4]",
            "ldr r5, [r4, #64]",
            "lsls r5, r5, #1",
            "subs r7, r7, r5",
            "ldr r5, [r4, #52]",
            "mov lr, r5",
            "ldr r5, [r4, #32]",
            "mov r12, r5",
            "ldr r5, [r4, #16]",
            "mov r8, r5",
            "movs r5, #0",
            "mov r9, r5",
            "mov r10, r5",
            "mov r11, r5",
            "ldr r6, [r4, #36]",
            "ldr r4, [r4, #40]",
            "bx r4",
            ".balign 4",
            "9:",
            ".word 8f - 20b - 2",
            "7:",
            turn!(pair),
            "beq 3f",
            "b 7b",
            "3:",
            "mov r1, r9",
            "lsls r1, r1, #16",
            "mov r0, r8",
            "subs r0, r0, r1",
            "mov r8, r0",
            "mov r1, r11",
            "lsls r1, r1, #16",
            "mov r0, r10",
            "subs r0, r0, r1",
            "mov r10, r0",
            // Its outputs, or its sums.
            "4:",
            "str r7, [sp, #4]",
            "ldr r6, [sp]",
            "ldr r7, [r6, #44]",
            "ldr r5, [r6, #56]",
            "cmp r5, #0",
            "bne 5f",
            "mov r2, r8",
            "mov r3, r9",
            "mov r4, r10",
            "mov r5, r11",
            "stmia r7!, {{r2, r3, r4, r5}}",
            "b 6f",
            "5:",
            "ldmia r7!, {{r0, r1, r2, r3}}",
            "str r7, [r6, #44]",
            "mov r12, r0",
            "mov lr, r2",
            "uxth r5, r1",
            "lsrs r4, r1, #16",
            "ldr r7, 9f",
            output!("r8"),
            store!("0"),
            output!("r9"),
            store!("4"),
            output!("r10"),
            store!("8"),
            output!("r11"),
            store!("12"),
            "ldr r7, [r6, #44]",
            "6:",
            "str r7, [r6, #44]",
            "ldr r5, [r6, #48]",
            "cmp r7, r5",
            "beq 3f",
            "b 2b",
            "3:",
            "add sp, #8",
            "pop {{r4, r5, r6, r7}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "mov r11, r7",
            "pop {{r4, r5, r6, r7, pc}}",
            ".balign 4",
            "9:",
            ".word 0x40008000",
            "8:",
            turn!(single_pair),
            "bne 8b",
            "mov r0, r8",
            "lsls r1, r0, #16",
            "subs r0, r0, r1",
            "mov r8, r0",
            "mov r9, r0",
            "mov r10, r0",
            "mov r11, r0",
            "b 4b",
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
            "push {{r4, r5}}",
            // Words may lie beside their boundaries.
            "movs r4, r0",
            "orrs r4, r1",
            "lsls r4, r4, #30",
            "bne 3f",
            "2:",
            "ldr r4, [r0]",
            "adds r0, r0, r1",
            "stmia r2!, {{r4}}",
            "subs r3, r3, #1",
            "bne 2b",
            "b 4f",
            "3:",
            "ldrb r4, [r0]",
            "ldrb r5, [r0, #1]",
            "strb r4, [r2]",
            "strb r5, [r2, #1]",
            "ldrb r4, [r0, #2]",
            "ldrb r5, [r0, #3]",
            "strb r4, [r2, #2]",
            "strb r5, [r2, #3]",
            "adds r0, r0, r1",
            "adds r2, r2, #4",
            "subs r3, r3, #1",
            "bne 3b",
            "4:",
            "pop {{r4, r5}}",
            "bx lr",
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn depthwise(band: &mut Band) {
        naked_asm!(
            "push {{r4, r5, r6, r7, lr}}",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "mov r7, r11",
            "push {{r4, r5, r6, r7}}",
            // Bytes from the row's start to the windows.
            "sub sp, #8",
            "mov r7, r0",
            // A channel.
            "2:",
            "ldr r4, [r7, #32]",
            "str r4, [r7, #28]",
            "ldr r4, [r7, #36]",
            "str r4, [r7, #20]",
            "movs r4, #0",
            // Four outputs.
            "3:",
            "mov r12, r4",
            "ldr r6, [r7, #12]",
            "ldr r5, [r7, #16]",
            "lsls r0, r5, #4",
            "adds r4, r4, r0",
            "str r4, [sp]",
            "cmp r5, #1",
            "beq 4f",
            "b 9f",
            "4:",
            row!(first, "0"),
            row!(further, "4"),
            row!(further, "8"),
            "4:",
            "ldr r4, [r7, #48]",
            "cmp r4, #0",
            "bne 5f",
            "b 8f",
            "5:",
            "mov r6, r7",
            "ldr r7, [r6, #48]",
            "ldmia r7!, {{r0, r1, r2, r3}}",
            "mov r12, r0",
            "mov lr, r2",
            "uxth r5, r1",
            "lsrs r4, r1, #16",
            "ldr r7, 6f",
            output!("r8"),
            "mov r8, r0",
            output!("r9"),
            "mov r9, r0",
            output!("r10"),
            "mov r10, r0",
            output!("r11"),
            "mov r7, r6",
            "ldr r6, [r7, #28]",
            "ldr r4, [r7, #20]",
            "ldr r5, [r7, #24]",
            "mov r1, r8",
            "mov r2, r9",
            "mov r3, r10",
            "subs r6, r6, #4",
            "str r6, [r7, #28]",
            "blt 7f",
            "strb r1, [r4]",
            "adds r4, r4, r5",
            "strb r2, [r4]",
            "adds r4, r4, r5",
            "strb r3, [r4]",
            "adds r4, r4, r5",
            "strb r0, [r4]",
            "adds r4, r4, r5",
            "str r4, [r7, #20]",
            "ldr r4, [sp]",
            "cmp r6, #0",
            "beq 5f",
            "b 3b",
            "5:",
            "ldr r4, [r7]",
            "adds r4, r4, #1",
            "str r4, [r7]",
            "ldr r4, [r7, #4]",
            "adds r4, r4, #1",
            "str r4, [r7, #4]",
            "ldr r4, [r7, #8]",
            "adds r4, r4, #1",
            "str r4, [r7, #8]",
            "ldr r4, [r7, #12]",
            "adds r4, r4, #1",
            "str r4, [r7, #12]",
            "ldr r4, [r7, #36]",
            "ldr r5, [r7, #40]",
            "adds r4, r4, r5",
            "str r4, [r7, #36]",
            "ldr r4, [r7, #48]",
            "cmp r4, #0",
            "beq 52f",
            "adds r4, #16",
            "52:",
            "str r4, [r7, #48]",
            "ldr r4, [r7, #44]",
            "subs r4, r4, #1",
            "str r4, [r7, #44]",
            "beq 51f",
            "b 2b",
            "51:",
            "add sp, #8",
            "pop {{r4, r5, r6, r7}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "mov r11, r7",
            "pop {{r4, r5, r6, r7, pc}}",
            ".balign 4",
            "6:",
            ".word 0x40008000",
            // Less than four outputs.
            "7:",
            "strb r1, [r4]",
            "adds r6, r6, #3",
            "beq 5b",
            "strb r2, [r4, r5]",
            "subs r6, r6, #1",
            "beq 5b",
            "adds r4, r4, r5",
            "strb r3, [r4, r5]",
            "b 5b",
            // Sums.
            "8:",
            "mov r0, r8",
            "mov r1, r9",
            "mov r2, r10",
            "mov r3, r11",
            "ldr r4, [r7, #20]",
            "stmia r4!, {{r0, r1, r2, r3}}",
            "str r4, [r7, #20]",
            "ldr r6, [r7, #28]",
            "subs r6, r6, #4",
            "str r6, [r7, #28]",
            "ldr r4, [sp]",
            "cmp r6, #0",
            "ble 5b",
            "b 3b",
            "9:",
            wide_row!(first, "0"),
            wide_row!(further, "4"),
            wide_row!(further, "8"),
            "b 4b",
        )
    }
}
