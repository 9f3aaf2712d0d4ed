//! Windows laid out as pixels, one after the other.

use crate::isa::armv7em::window::WindowRows;

/// Windows over rows of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    pub(crate) rows: &'a WindowRows<'a>,
    /// Where the first window starts in a row, and bytes from one to the next.
    pub(crate) first: usize,
    pub(crate) step: usize,
    /// Bytes of a window in a row.
    pub(crate) len: usize,
    pub(crate) count: usize,
}

/// What the copying assembly reads, passed by value.
#[repr(C)]
struct Copies {
    rows: *const *const i8,
    to: *mut i8,
    len: usize,
    first: usize,
    row_count: usize,
    count: usize,
    step: usize,
    /// Bytes from the end of a pixel to the next.
    gap: usize,
}

/// Lays windows out as pixels, `pitch` bytes apart; false, and nothing done, unless all lies within
/// the slices.
#[inline]
pub(crate) fn gather(windows: Windows<'_>, to: &mut [i8], pitch: usize) -> bool {
    let Windows { rows, first, step, len, count } = windows;
    let Some(last) = count.checked_sub(1).and_then(|last| last.checked_mul(step)) else {
        return false;
    };
    let Some((rows, row_count)) = rows.holding(last.saturating_add(first), len) else {
        return false;
    };
    let depth = row_count.saturating_mul(len);
    if depth == 0 || depth > pitch || pitch.saturating_mul(count) > to.len() {
        return false;
    }
    let (to, gap) = (to.as_mut_ptr(), pitch - depth);
    let copies = Copies { rows, to, len, first, row_count, count, step, gap };
    // SAFETY: every window ends within its row, every pixel within `to`.
    unsafe { gather_windows(copies) };
    true
}

/// # Safety
/// Sound copies.
#[unsafe(naked)]
unsafe extern "C" fn gather_windows(copies: Copies) {
    routine!(
        "push {{r4, r5, r6, r7, r8, r9, lr}}",
        "ldrd r4, r5, [sp, #28]",
        "ldrd r6, r7, [sp, #36]",
        "2:",
        "mov r8, r0",
        "mov r9, r4",
        "3:",
        "ldr r12, [r8], #4",
        "add r12, r3",
        "wlstp.8 lr, r2, 5f",
        "4:",
        "vldrb.u8 q0, [r12], #16",
        "vstrb.8 q0, [r1], #16",
        "letp lr, 4b",
        "5:",
        // The last vector may have been short of 16 bytes.
        "rsb r12, r2, #0",
        "and r12, #15",
        "sub r1, r12",
        "subs r9, #1",
        "bne 3b",
        "add r1, r7",
        "add r3, r6",
        "subs r5, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, pc}}",
    )
}
