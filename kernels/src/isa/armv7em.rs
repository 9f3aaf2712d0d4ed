//! Armv7E-M leaves: whole loops in assembly, since they need every register. Cortex-M4, M7, and M33
//! with the DSP extension.
//!
//! Words hold pairs of int16: `SMLAD` adds both products of two pairs to an int32.

#![allow(unsafe_code, reason = "the leaves of an instruction set")]

use core::arch::{asm, naked_asm};

pub(crate) mod depthwise;

/// Four depth steps of two pixels, widened: pairs `[first pixel, second]` of steps 0 and 2, then
/// of steps 1 and 3, the order in which `SXTB16` leaves them.
pub(crate) type Steps = [u32; 4];

/// Four channels by four steps of [`Layout::WOVEN`](crate::Layout::WOVEN).
pub(crate) type Weights = [u32; 4];

/// What follows the sums of four channels, `tflite`: `[bias * 2, multiplier, rounding, shift]` each.
pub(crate) type FixedGroup = [[i32; 4]; 4];

/// The same, `fp32`: four biases, then the bits of four scales.
pub(crate) type FloatGroup = [[i32; 4]; 2];

/// Sums of four channels of the first pixel, then of the second.
pub(crate) type Sums = [[i32; 4]; 2];

/// Widens two pixels from the starts of `first` and `second` until one of the three ends.
#[inline]
pub(crate) fn widen(first: &[i8], second: &[i8], to: &mut [Steps]) {
    let blocks = to.len().min(first.len() / 4).min(second.len() / 4);
    if blocks > 0 {
        // SAFETY: all three hold `blocks` blocks, of 4, 4 and 16 bytes; `to` is aligned.
        unsafe { widen_blocks(first.as_ptr(), second.as_ptr(), to.as_mut_ptr(), blocks) }
    }
}

/// # Safety
/// `blocks > 0` blocks behind each pointer.
#[unsafe(naked)]
unsafe extern "C" fn widen_blocks(
    first: *const i8,
    second: *const i8,
    to: *mut Steps,
    blocks: usize,
) {
    naked_asm!(
        "push {{r4, r5, r6, r7}}",
        "lsrs r3, r3, #1",
        "bcc 2f",
        "ldr r12, [r0], #4",
        "ldr r7, [r1], #4",
        "sxtb16 r4, r12",
        "sxtb16 r5, r7",
        "sxtb16 r6, r12, ror #8",
        "sxtb16 r7, r7, ror #8",
        "stmia r2!, {{r4, r5, r6, r7}}",
        "cmp r3, #0",
        "beq 3f",
        "2:",
        "ldr r12, [r0], #4",
        "ldr r7, [r1], #4",
        "sxtb16 r4, r12",
        "sxtb16 r5, r7",
        "sxtb16 r6, r12, ror #8",
        "sxtb16 r7, r7, ror #8",
        "stmia r2!, {{r4, r5, r6, r7}}",
        "ldr r12, [r0], #4",
        "ldr r7, [r1], #4",
        "sxtb16 r4, r12",
        "sxtb16 r5, r7",
        "sxtb16 r6, r12, ror #8",
        "sxtb16 r7, r7, ror #8",
        "stmia r2!, {{r4, r5, r6, r7}}",
        "subs r3, r3, #1",
        "bne 2b",
        "3:",
        "pop {{r4, r5, r6, r7}}",
        "bx lr",
    )
}

/// Two pixels times groups of four channels: what a strip reads, and its place in the frame of the
/// assembly below.
#[repr(C)]
struct Strip {
    /// Where the sums start.
    zeros: [u32; 8],
    /// First block of the pixels; their end.
    steps: [*const Steps; 2],
    /// Blocks by which the first turn of the loop is short of four.
    skip: usize,
    /// Groups that follow the sums, or where the sums go.
    groups: *mut u32,
    /// Where the outputs of either pixel go.
    outputs: [*mut i8; 2],
    /// Weights and their end.
    weights: [*const Weights; 2],
    /// Half of the bits of [`MAGIC`] less the zero point; see there.
    bits: i32,
    unused: u32,
    magic: [f32; 4],
}

/// `1.5 * 2^23`: a product added to it has its integer part, rounded half to even, in the last
/// bits. Saturated subtraction of its own bits keeps products that are too large for that on
/// their side of zero.
pub(crate) const MAGIC: f32 = 12_582_912.0;

impl Strip {
    /// `None` unless everything lies within its slice: `count` groups, the second pixel's outputs
    /// `second` bytes behind the first one's.
    #[inline]
    fn new(steps: &[Steps], weights: &[Weights], count: usize, groups: *mut u32) -> Option<Self> {
        let end = weights.get(..count.checked_mul(steps.len())?)?.as_ptr_range().end;
        if count == 0 || steps.is_empty() {
            return None;
        }
        let range = steps.as_ptr_range();
        Some(Self {
            zeros: [0; 8],
            steps: [range.start, range.end],
            skip: steps.len().wrapping_neg() % 4,
            groups,
            outputs: [core::ptr::null_mut(); 2],
            weights: [weights.as_ptr(), end],
            bits: 0,
            unused: 0,
            magic: [MAGIC; 4],
        })
    }

    #[inline]
    fn outputs(mut self, count: usize, output: &mut [i8], second: usize) -> Option<Self> {
        let len = count.checked_mul(4)?.checked_add(second)?;
        let output = output.get_mut(..len)?;
        let first = output.as_mut_ptr();
        // In range by the check above, as `second <= len`.
        self.outputs = [first, first.wrapping_add(second)];
        Some(self)
    }
}

/// Two pixels times `groups`, `tflite`. The second pixel's outputs follow `second` bytes after the
/// first one's. Does nothing when something is shorter than that takes.
#[inline]
pub(crate) fn strip_fixed(
    steps: &[Steps],
    weights: &[Weights],
    groups: &[FixedGroup],
    output: &mut [i8],
    second: usize,
) {
    let strip = Strip::new(steps, weights, groups.len(), groups.as_ptr().cast_mut().cast())
        .and_then(|strip| strip.outputs(groups.len(), output, second));
    if let Some(mut strip) = strip {
        // SAFETY: `Strip` has checked every length; the groups are read only.
        unsafe { strip_fixed_blocks(&mut strip) }
    }
}

/// [`strip_fixed`] for `fp32`.
#[cfg(target_abi = "eabihf")]
#[inline]
pub(crate) fn strip_float(
    steps: &[Steps],
    weights: &[Weights],
    groups: &[FloatGroup],
    zero_point: i8,
    output: &mut [i8],
    second: usize,
) {
    let strip = Strip::new(steps, weights, groups.len(), groups.as_ptr().cast_mut().cast())
        .and_then(|strip| strip.outputs(groups.len(), output, second));
    if let Some(mut strip) = strip {
        strip.bits = MAGIC.to_bits().cast_signed() - i32::from(zero_point);
        // SAFETY: `Strip` has checked every length; the groups are read only.
        unsafe { strip_float_blocks(&mut strip) }
    }
}

/// Adds the products of two pixels to `sums`.
#[inline]
pub(crate) fn strip_sums(steps: &[Steps], weights: &[Weights], sums: &mut [Sums]) {
    if let Some(mut strip) = Strip::new(steps, weights, sums.len(), sums.as_mut_ptr().cast()) {
        // SAFETY: `Strip` has checked every length.
        unsafe { strip_sums_blocks(&mut strip) }
    }
}

/// A pair of steps: 16 products. Even channels in r0 and r2, what both of a pair make in r1 and
/// r3; the second pixel in r4 to r7.
macro_rules! pair {
    () => {
        concat!(
            "ldrd r10, r11, [r9], #8\n",
            "ldrd r12, lr, [r8], #8\n",
            "smlad r1, r12, r10, r1\n",
            "smlad r5, r12, r11, r5\n",
            "sxtb16 r12, r12\n",
            "smlad r3, lr, r10, r3\n",
            "smlad r7, lr, r11, r7\n",
            "sxtb16 lr, lr\n",
            "smlad r0, r12, r10, r0\n",
            "smlad r4, r12, r11, r4\n",
            "smlad r2, lr, r10, r2\n",
            "smlad r6, lr, r11, r6\n",
        )
    };
}

/// A strip around what follows the sums. The loop takes 16 steps a turn, 96 bytes of code for
/// every four, and is entered where as many are left over.
macro_rules! strip {
    ($($then:expr,)*) => {
        naked_asm!(
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "mov r12, r0",
            "sub sp, sp, #92",
            // The frame is a copy of the `Strip`.
            "mov lr, sp",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "adr.w r9, 3f",
            "add r2, r2, r2, lsl #1",
            "add r2, r9, r2, lsl #5",
            "orr r2, r2, #1",
            "mov r8, r6",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5}}",
            "2:",
            "ldmia.w sp, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldr r9, [sp, #32]",
            "ldr pc, [sp, #40]",
            ".balign 4",
            "3:",
            pair!(), pair!(), pair!(), pair!(), pair!(), pair!(), pair!(), pair!(),
            "ldr r10, [sp, #36]",
            "cmp r9, r10",
            "bne.w 3b",
            // 256 times the odd channels.
            "sub r1, r1, r0",
            "sub r3, r3, r2",
            "sub r5, r5, r4",
            "sub r7, r7, r6",
            "ldr r9, [sp, #44]",
            $($then,)*
            "str r9, [sp, #44]",
            "ldr r10, [sp, #60]",
            "cmp r8, r10",
            "bne.w 2b",
            "add sp, sp, #92",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        )
    };
}

/// Scales a channel of both pixels, see `FixedGroup`; `$shift` doubles the sum.
macro_rules! fixed {
    ($first:literal, $second:literal, $shift:literal) => {
        concat!(
            "ldmia r9!, {{r10, r11, r12, lr}}\n",
            "add ", $first, ", r10, ", $first, ", ", $shift, "\n",
            "add ", $second, ", r10, ", $second, ", ", $shift, "\n",
            "smmlar r10, ", $first, ", r11, r12\n",
            "add ", $first, ", r10, ", $first, ", asr #31\n",
            "asr ", $first, ", ", $first, ", lr\n",
            "ssat ", $first, ", #8, ", $first, "\n",
            "smmlar r10, ", $second, ", r11, r12\n",
            "add ", $second, ", r10, ", $second, ", asr #31\n",
            "asr ", $second, ", ", $second, ", lr\n",
            "ssat ", $second, ", #8, ", $second, "\n",
        )
    };
}

/// Stores both pixels.
macro_rules! store {
    () => {
        concat!(
            "ldrd r10, r11, [sp, #48]\n",
            "strb r0, [r10], #1\n",
            "strb r1, [r10], #1\n",
            "strb r2, [r10], #1\n",
            "strb r3, [r10], #1\n",
            "strb r4, [r11], #1\n",
            "strb r5, [r11], #1\n",
            "strb r6, [r11], #1\n",
            "strb r7, [r11], #1\n",
            "strd r10, r11, [sp, #48]\n",
        )
    };
}

/// # Safety
/// A sound strip.
#[unsafe(naked)]
unsafe extern "C" fn strip_fixed_blocks(strip: *mut Strip) {
    strip!(
        fixed!("r0", "r4", "lsl #1"),
        fixed!("r1", "r5", "asr #7"),
        fixed!("r2", "r6", "lsl #1"),
        fixed!("r3", "r7", "asr #7"),
        store!(),
    )
}

/// Scales four channels of one pixel; the products end up in r0 to r3 or r4 to r7.
#[cfg(target_abi = "eabihf")]
macro_rules! float {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "vmov s4, s5, ", $a, ", ", $b, "\n",
            "vmov s6, s7, ", $c, ", ", $d, "\n",
            "vldr d4, [sp, #72]\n",
            "vldr d5, [sp, #80]\n",
            "vcvt.f32.s32 s4, s4\n",
            "vcvt.f32.s32 s5, s5\n",
            "vcvt.f32.s32 s6, s6\n",
            "vcvt.f32.s32 s7, s7\n",
            "vmla.f32 s8, s4, s0\n",
            "vmla.f32 s9, s5, s1\n",
            "vmla.f32 s10, s6, s2\n",
            "vmla.f32 s11, s7, s3\n",
            "vmov ", $a, ", ", $b, ", s8, s9\n",
            "vmov ", $c, ", ", $d, ", s10, s11\n",
            "qsub ", $a, ", ", $a, ", r10\n",
            "qsub ", $b, ", ", $b, ", r10\n",
            "qsub ", $c, ", ", $c, ", r10\n",
            "qsub ", $d, ", ", $d, ", r10\n",
            "ssat ", $a, ", #8, ", $a, "\n",
            "ssat ", $b, ", #8, ", $b, "\n",
            "ssat ", $c, ", #8, ", $c, "\n",
            "ssat ", $d, ", #8, ", $d, "\n",
        )
    };
}

/// # Safety
/// A sound strip.
#[cfg(target_abi = "eabihf")]
#[unsafe(naked)]
unsafe extern "C" fn strip_float_blocks(strip: *mut Strip) {
    strip!(
        // Link-time optimization forgets the target's FPU for code like this.
        ".fpu fpv4-sp-d16",
        "ldmia r9!, {{r10, r11, r12, lr}}",
        "vldmia r9!, {{s0, s1, s2, s3}}",
        "add r0, r10, r0",
        "add r1, r11, r1, asr #8",
        "add r2, r12, r2",
        "add r3, lr, r3, asr #8",
        "add r4, r10, r4",
        "add r5, r11, r5, asr #8",
        "add r6, r12, r6",
        "add r7, lr, r7, asr #8",
        "ldr r10, [sp, #64]",
        // `VMLA` rounds the product before it adds, as two instructions would.
        float!("r0", "r1", "r2", "r3"),
        float!("r4", "r5", "r6", "r7"),
        store!(),
    )
}

/// # Safety
/// A sound strip.
#[unsafe(naked)]
unsafe extern "C" fn strip_sums_blocks(strip: *mut Strip) {
    strip!(
        "ldmia r9, {{r10, r11, r12, lr}}",
        "add r0, r10, r0",
        "add r1, r11, r1, asr #8",
        "add r2, r12, r2",
        "add r3, lr, r3, asr #8",
        "stmia r9!, {{r0, r1, r2, r3}}",
        "ldmia r9, {{r10, r11, r12, lr}}",
        "add r4, r10, r4",
        "add r5, r11, r5, asr #8",
        "add r6, r12, r6",
        "add r7, lr, r7, asr #8",
        "stmia r9!, {{r4, r5, r6, r7}}",
    )
}

/// Four int8 within `min..=max`, lane by lane.
#[inline]
pub(crate) fn clamp_4(values: u32, min: u32, max: u32) -> u32 {
    let clamped;
    // SAFETY: registers and flags only.
    unsafe {
        asm!(
            "ssub8 {spare}, {values}, {min}",
            "sel {spare}, {values}, {min}",
            "ssub8 {clamped}, {max}, {spare}",
            "sel {clamped}, {spare}, {max}",
            values = in(reg) values,
            min = in(reg) min,
            max = in(reg) max,
            spare = out(reg) _,
            clamped = lateout(reg) clamped,
            options(pure, nomem, nostack),
        );
    }
    clamped
}
