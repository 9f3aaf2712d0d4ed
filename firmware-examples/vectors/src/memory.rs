//! `memcpy` and `memset` in a hundred bytes, where those of the compiler's library take 1,300: they
//! move small records here, the kernels have loops of their own.
//!
//! Words may lie anywhere on an Armv7-M and Armv8-M.

use core::arch::naked_asm;

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    naked_asm!(
        ".global __aeabi_memcpy, __aeabi_memcpy4, __aeabi_memcpy8",
        ".thumb_set __aeabi_memcpy, memcpy",
        ".thumb_set __aeabi_memcpy4, memcpy",
        ".thumb_set __aeabi_memcpy8, memcpy",
        "mov r12, r0",
        "subs r2, #4",
        "blt 3f",
        "2:",
        "ldr r3, [r1], #4",
        "str r3, [r12], #4",
        "subs r2, #4",
        "bge 2b",
        "3:",
        "adds r2, #4",
        "beq 5f",
        "4:",
        "ldrb r3, [r1], #1",
        "strb r3, [r12], #1",
        "subs r2, #1",
        "bne 4b",
        "5:",
        "bx lr",
    )
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
    naked_asm!(
        ".global __aeabi_memset, __aeabi_memset4, __aeabi_memset8",
        ".global __aeabi_memclr, __aeabi_memclr4, __aeabi_memclr8",
        "mov r3, r1",
        "mov r1, r2",
        "mov r2, r3",
        "b 2f",
        // These have the length before the value.
        ".thumb_func",
        "__aeabi_memclr:",
        ".thumb_func",
        "__aeabi_memclr4:",
        ".thumb_func",
        "__aeabi_memclr8:",
        "movs r2, #0",
        ".thumb_func",
        "__aeabi_memset:",
        ".thumb_func",
        "__aeabi_memset4:",
        ".thumb_func",
        "__aeabi_memset8:",
        "2:",
        "mov r12, r0",
        "uxtb r2, r2",
        "orr r2, r2, r2, lsl #8",
        "orr r2, r2, r2, lsl #16",
        "subs r1, #4",
        "blt 4f",
        "3:",
        "str r2, [r12], #4",
        "subs r1, #4",
        "bge 3b",
        "4:",
        "adds r1, #4",
        "beq 6f",
        "5:",
        "strb r2, [r12], #1",
        "subs r1, #1",
        "bne 5b",
        "6:",
        "bx lr",
    )
}
