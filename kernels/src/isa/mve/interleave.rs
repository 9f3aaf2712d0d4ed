//! Columns of four rows, made of pixels.

use super::columns::{BLOCK, Column};

/// Four rows of pixels at a block's first channel; the same bytes again and again where a row lies
/// in the padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// `None` in the padding.
    pub(crate) rows: [Option<&'a [i8]>; 4],
    pub(crate) padding: &'a [i8; BLOCK],
    /// Bytes from a pixel to the next.
    pub(crate) pitch: usize,
    /// Channels of the block.
    pub(crate) channels: usize,
}

/// What the assembly reads, passed by value.
#[repr(C)]
struct Interleave {
    rows: [*const i8; 4],
    pitches: [usize; 4],
    to: *mut Column,
    channels: usize,
    count: usize,
}

/// Makes as many columns as `to` has; none when a row is too short for that.
pub(crate) fn interleave(from: Rows<'_>, to: &mut [Column]) {
    let Rows { rows, padding, pitch, channels } = from;
    let Some(last) = to.len().checked_sub(1) else { return };
    let len = last.saturating_mul(pitch).saturating_add(channels);
    let is_short = rows.iter().flatten().any(|row| row.len() < len);
    if is_short || channels == 0 || channels > BLOCK {
        return;
    }
    let pitches = rows.map(|row| row.map_or(0, |_| pitch));
    let rows = rows.map(|row| row.unwrap_or(padding).as_ptr());
    let (to, count) = (to.as_mut_ptr(), to.len());
    // SAFETY: every row holds `channels` bytes for each of the columns, or is the padding.
    unsafe { interleave_columns(Interleave { rows, pitches, to, channels, count }) }
}

/// The same two rows further down, where the output may have overwritten the upper two: they are the
/// lower ones of the columns from `old` on. The new ones go to the start of `columns`.
pub(crate) fn move_down(from: Rows<'_>, columns: &mut [Column], old: usize, count: usize) {
    let [_, _, third, fourth] = from.rows;
    let rows = [None, None, third, fourth];
    let Rows { padding, pitch, channels, .. } = from;
    let Some(last) = count.checked_sub(1) else { return };
    let len = last.saturating_mul(pitch).saturating_add(channels);
    let is_short = rows.iter().flatten().any(|row| row.len() < len);
    let fits = old.checked_add(count).is_some_and(|end| end <= columns.len());
    if is_short || !fits || channels == 0 || channels > BLOCK {
        return;
    }
    let pitches = rows.map(|row| row.map_or(0, |_| pitch));
    let [_, _, third, fourth] = rows.map(|row| row.unwrap_or(padding).as_ptr());
    let to = columns.as_mut_ptr();
    let rows = [to.wrapping_add(old).cast_const().cast(), core::ptr::null(), third, fourth];
    // SAFETY: either row holds `channels` bytes for each of the columns, or is the padding; the old
    // columns and the new ones lie in `columns`, and an old one is read before it may be overwritten.
    unsafe { move_columns_down(Interleave { rows, pitches, to, channels, count }) }
}

/// # Safety
/// Sound rows, at least one column.
#[unsafe(naked)]
unsafe extern "C" fn interleave_columns(from: Interleave) {
    routine!(
        "push {{r4, r5, r6, r7, r8, lr}}",
        "ldrd r4, r5, [sp, #24]",
        "ldrd r6, r7, [sp, #32]",
        "ldrd r8, r12, [sp, #40]",
        "ldr lr, [sp, #48]",
        "vctp.8 r12",
        "dls lr, lr",
        "2:",
        "vpstttt",
        "vldrbt.u8 q0, [r0]",
        "vldrbt.u8 q1, [r1]",
        "vldrbt.u8 q2, [r2]",
        "vldrbt.u8 q3, [r3]",
        "add r0, r4",
        "add r1, r5",
        "add r2, r6",
        "add r3, r7",
        "vst40.8 {{q0, q1, q2, q3}}, [r8]",
        "vst41.8 {{q0, q1, q2, q3}}, [r8]",
        "vst42.8 {{q0, q1, q2, q3}}, [r8]",
        "vst43.8 {{q0, q1, q2, q3}}, [r8]!",
        "le lr, 2b",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// # Safety
/// Sound rows, of which the first points to the old columns, at least one column.
#[unsafe(naked)]
unsafe extern "C" fn move_columns_down(from: Interleave) {
    routine!(
        "push {{r4, r5, r6, r7, r8, lr}}",
        "vpush {{d8, d9, d10, d11}}",
        "ldrd r6, r7, [sp, #64]",
        "ldrd r8, r12, [sp, #72]",
        "ldr lr, [sp, #80]",
        "vctp.8 r12",
        "dls lr, lr",
        "2:",
        "vld40.8 {{q0, q1, q2, q3}}, [r0]",
        "vld41.8 {{q0, q1, q2, q3}}, [r0]",
        "vld42.8 {{q0, q1, q2, q3}}, [r0]",
        "vld43.8 {{q0, q1, q2, q3}}, [r0]!",
        "vpstt",
        "vldrbt.u8 q4, [r2]",
        "vldrbt.u8 q5, [r3]",
        "add r2, r6",
        "add r3, r7",
        "vst40.8 {{q2, q3, q4, q5}}, [r8]",
        "vst41.8 {{q2, q3, q4, q5}}, [r8]",
        "vst42.8 {{q2, q3, q4, q5}}, [r8]",
        "vst43.8 {{q2, q3, q4, q5}}, [r8]!",
        "le lr, 2b",
        "vpop {{d8, d9, d10, d11}}",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}
