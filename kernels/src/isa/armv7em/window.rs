//! The rows under a window, gathered into one stretch of bytes or widened on the way.

use super::Steps;
use core::arch::naked_asm;
use core::marker::PhantomData;

/// The most rows of a window.
pub(crate) const MOST_ROWS: usize = 16;

/// Rows of a window, all of the same length.
#[derive(Debug)]
pub(crate) struct WindowRows<'a> {
    rows: [*const i8; MOST_ROWS],
    count: usize,
    len: usize,
    borrowed: PhantomData<&'a [i8]>,
}

impl<'a> WindowRows<'a> {
    /// `None` for no rows, for too many, and for rows of different lengths.
    pub(crate) fn new(rows: impl Iterator<Item = &'a [i8]>) -> Option<Self> {
        let mut all =
            Self { rows: [core::ptr::null(); MOST_ROWS], count: 0, len: 0, borrowed: PhantomData };
        for row in rows {
            if all.count > 0 && row.len() != all.len {
                return None;
            }
            *all.rows.get_mut(all.count)? = row.as_ptr();
            all.len = row.len();
            all.count += 1;
        }
        (all.count > 0).then_some(all)
    }

    /// Copies `len` bytes of every row from `first` on, one after the other. Does nothing when
    /// something is shorter than that takes.
    #[inline]
    pub(crate) fn copy(&self, first: usize, len: usize, to: &mut [i8]) {
        let fits = first <= self.len && len <= self.len - first && len * self.count <= to.len();
        if fits && len > 0 {
            // SAFETY: every row holds `first + len` bytes, `to` as many for each of them.
            unsafe { copy_rows(self.rows.as_ptr(), self.count, first, len, to.as_mut_ptr()) }
        }
    }

    /// Widens `blocks` blocks of every row for two pixels, whose windows start at `first` and
    /// `second`. Does nothing when something is shorter than that takes.
    #[inline]
    pub(crate) fn widen(&self, first: usize, second: usize, blocks: usize, to: &mut [Steps]) {
        let last = if first > second { first } else { second };
        let fits = last <= self.len && 4 * blocks <= self.len - last;
        if fits && blocks > 0 && blocks * self.count <= to.len() {
            let (rows, to) = (self.rows.as_ptr(), to.as_mut_ptr());
            // SAFETY: every row holds `blocks` blocks from either start on, `to` as many for
            // each of them.
            unsafe { widen_rows(rows, self.count, first, second, blocks, to) }
        }
    }
}

/// # Safety
/// `count > 0` rows with `len > 0` bytes from `first` on, and room for all of them.
#[unsafe(naked)]
unsafe extern "C" fn copy_rows(
    rows: *const *const i8,
    count: usize,
    first: usize,
    len: usize,
    to: *mut i8,
) {
    naked_asm!(
        "push {{r4, r5, r6, lr}}",
        "ldr r12, [sp, #16]",
        "2:",
        "ldr r4, [r0], #4",
        "add r4, r4, r2",
        "subs r5, r3, #4",
        "blt 4f",
        "3:",
        "ldr r6, [r4], #4",
        "str r6, [r12], #4",
        "subs r5, r5, #4",
        "bge 3b",
        "4:",
        "adds r5, r5, #4",
        "beq 6f",
        "5:",
        "ldrb r6, [r4], #1",
        "strb r6, [r12], #1",
        "subs r5, r5, #1",
        "bne 5b",
        "6:",
        "subs r1, r1, #1",
        "bne 2b",
        "pop {{r4, r5, r6, pc}}",
    )
}

/// # Safety
/// `count > 0` rows with `blocks > 0` blocks from `first` and `second` on, and room for all.
#[unsafe(naked)]
unsafe extern "C" fn widen_rows(
    rows: *const *const i8,
    count: usize,
    first: usize,
    second: usize,
    blocks: usize,
    to: *mut Steps,
) {
    naked_asm!(
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "mov lr, r0",
        "mov r11, r1",
        "mov r8, r2",
        "mov r9, r3",
        "ldr r10, [sp, #36]",
        "ldr r1, [sp, #40]",
        "2:",
        "ldr r3, [lr], #4",
        "add r2, r3, r8",
        "add r3, r3, r9",
        "lsrs r12, r10, #1",
        "bcc 3f",
        widen!(),
        "beq 4f",
        "3:",
        widen!(),
        widen!(),
        "subs r12, r12, #1",
        "bne 3b",
        "4:",
        "subs r11, r11, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
