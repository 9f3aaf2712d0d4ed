//! What follows the sums of channels, laid out for the other leaves, four channels at a time.

use super::columns::Factors;
use super::strip::Group;
use crate::requantize::mve::LARGEST_RIGHT;

/// Biases, multipliers and shifts of `tflite`, one a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed<'a> {
    pub(crate) bias: &'a [i32],
    pub(crate) multiplier: &'a [i32],
    pub(crate) shift: &'a [i8],
    pub(crate) zero_point: i8,
}

/// What the assembly reads.
#[repr(C)]
struct Channels {
    bias: *const i32,
    multiplier: *const i32,
    shift: *const i8,
    to: *mut i32,
    count: usize,
    /// Twice the zero point and one.
    odd: i32,
}

impl Fixed<'_> {
    fn channels(&self, most: usize, to: *mut i32) -> Channels {
        let Self { bias, multiplier, shift, zero_point } = *self;
        let count = most.min(bias.len()).min(multiplier.len()).min(shift.len());
        let odd = 2 * i32::from(zero_point) + 1;
        let (bias, multiplier, shift) = (bias.as_ptr(), multiplier.as_ptr(), shift.as_ptr());
        Channels { bias, multiplier, shift, to, count, odd }
    }

    /// Lays them out in groups as `requantize::mve` has them; false when some are not so tame, which
    /// are then laid out wrongly.
    pub(crate) fn group(&self, to: &mut [Group]) -> bool {
        let channels = self.channels(4 * to.len(), to.as_mut_ptr().cast());
        // SAFETY: as many channels as all four hold.
        are_tame(unsafe { group_fixed(&channels) })
    }

    /// The same channel by channel.
    pub(crate) fn line_up(&self, to: &mut [Factors; 16]) -> bool {
        let channels = self.channels(to.len(), to.as_mut_ptr().cast());
        // SAFETY: as many channels as all four hold; four channels are written at a time.
        are_tame(unsafe { line_up_fixed(&channels) })
    }

    /// Whether they are tame.
    pub(crate) fn are_tame(&self) -> bool {
        let channels = self.channels(usize::MAX, core::ptr::null_mut());
        // SAFETY: as many channels as all three hold; nothing is written.
        are_tame(unsafe { look_at_fixed(&channels) })
    }
}

/// Biases and scales of `fp32`, one a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Float<'a> {
    pub(crate) bias: &'a [i32],
    pub(crate) scale: &'a [f32],
}

impl Float<'_> {
    /// Lays them out in groups.
    pub(crate) fn group(&self, to: &mut [Group]) {
        for (group, (bias, scale)) in
            to.iter_mut().zip(self.bias.chunks(4).zip(self.scale.chunks(4)))
        {
            let [biases, scales, ..] = group;
            for (to, from) in biases.iter_mut().zip(bias) {
                *to = *from;
            }
            for (to, from) in scales.iter_mut().zip(scale) {
                *to = from.to_bits().cast_signed();
            }
        }
    }
}

/// Whether shifts are from 1 to [`LARGEST_RIGHT`] to the right, and multipliers not negative: of the
/// largest right shift less one, unsigned, and the least multiplier in the upper word.
#[allow(clippy::cast_possible_truncation, reason = "the words of a pair")]
fn are_tame(extremes: u64) -> bool {
    let right = extremes as u32;
    let multiplier = ((extremes >> 32) as u32).cast_signed();
    right < LARGEST_RIGHT.unsigned_abs() && multiplier >= 0
}

/// Around what is done with bias q0, multiplier q1, rounding q2 and left shift q3 of four channels.
macro_rules! channels {
    ($($then:literal,)*) => {
        routine!(
            "push {{r4, r5, r6, lr}}",
            "ldm r0, {{r1, r2, r3, r4, r5, r6}}",
            "mov r0, #0",
            "mvn r12, #0x80000000",
            "vpush {{d8, d9, d10, d11, d12, d13}}",
            "vdup.32 q4, r6",
            // Where four channels go when they lie one after the other.
            "mov r6, #0",
            "vidup.u32 q6, r6, #8",
            "vshl.i32 q6, q6, #1",
            "vadd.i32 q6, q6, r4",
            "mov r6, #1",
            "wlstp.32 lr, r5, 3f",
            "2:",
            "vldrb.s32 q3, [r3], #4",
            "vldrw.u32 q0, [r1], #16",
            "vldrw.u32 q1, [r2], #16",
            "vneg.s32 q5, q3",
            "vsub.i32 q5, q5, r6",
            "vmaxv.u32 r0, q5",
            "vminv.s32 r12, q1",
            "vshl.s32 q2, q4, q5",
            "mov r5, #24",
            "vadd.i32 q3, q3, r5",
            $($then,)*
            "letp lr, 2b",
            "3:",
            "mov r1, r12",
            "vpop {{d8, d9, d10, d11, d12, d13}}",
            "pop {{r4, r5, r6, pc}}",
        )
    };
}

/// # Safety
/// Sound channels.
#[unsafe(naked)]
unsafe extern "C" fn group_fixed(channels: &Channels) -> u64 {
    channels!(
        "vstrw.32 q0, [r4], #16",
        "vstrw.32 q1, [r4], #16",
        "vstrw.32 q2, [r4], #16",
        "vstrw.32 q3, [r4], #16",
    )
}

/// # Safety
/// Sound channels; whole groups of four are written.
#[unsafe(naked)]
unsafe extern "C" fn line_up_fixed(channels: &Channels) -> u64 {
    channels!(
        "vstrw.32 q0, [q6]",
        "vstrw.32 q1, [q6, #4]",
        "vstrw.32 q2, [q6, #8]",
        "mov r5, #64",
        "vstrw.32 q3, [q6, #12]",
        "vadd.i32 q6, q6, r5",
    )
}

/// # Safety
/// Sound channels but for where they go.
#[unsafe(naked)]
unsafe extern "C" fn look_at_fixed(channels: &Channels) -> u64 {
    channels!("nop",)
}
