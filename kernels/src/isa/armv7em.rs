//! Armv7E-M leaves: whole loops in assembly, since they need every register. Cortex-M4, M7, and M33
//! with the DSP extension.
//!
//! Words hold pairs of int16: `SMLAD` adds both products of two pairs to an int32.

#![allow(unsafe_code, reason = "the leaves of an instruction set")]

use core::arch::asm;

/// A block of either pixel, from r2 and r3 to r1. Keeps the flags.
macro_rules! widen {
    () => {
        concat!(
            "ldr r0, [r2], #4\n",
            "ldr r7, [r3], #4\n",
            "sxtb16 r4, r0\n",
            "sxtb16 r5, r7\n",
            "sxtb16 r6, r0, ror #8\n",
            "sxtb16 r7, r7, ror #8\n",
            "stmia r1!, {{r4, r5, r6, r7}}\n",
        )
    };
}

pub(crate) mod depthwise;
#[cfg(armv7em_f16)]
pub(crate) mod half;
pub(crate) mod window;

use window::WindowRows;

/// Two pixels in blocks of four depth steps. Widened, a block is four words: pairs
/// `[first pixel, second]` of steps 0 and 2, then of steps 1 and 3, the order in which `SXTB16`
/// leaves them. Five words a block make room for the bytes to widen as well: they are the last
/// two fifths, the first pixel's and then the second's, and are read before they are overwritten.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    pub(crate) words: &'a mut [u32],
    pub(crate) blocks: usize,
}

/// Four channels by four steps of [`Layout::WOVEN`](crate::Layout::WOVEN).
pub(crate) type Weights = [u32; 4];

/// What follows the sums of four channels, `tflite`: `[bias * 2, multiplier, rounding, shift]` each.
pub(crate) type FixedGroup = [[i32; 4]; 4];

/// The same, `fp32`.
#[cfg(target_abi = "eabihf")]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct FloatGroup {
    /// Where the sums of either pixel start: the biases of the even channels, once for themselves
    /// and once for what a pair of channels makes.
    pub(crate) start: [i32; 8],
    /// Biases of the odd channels.
    pub(crate) odd: [i32; 2],
    /// Bits of [`MAGIC`] less the zero point.
    pub(crate) bits: i32,
    pub(crate) scale: [f32; 4],
    pub(crate) unused: i32,
}

/// Sums of four channels of the first pixel, then of the second.
pub(crate) type Sums = [[i32; 4]; 2];

/// Widens two pixels from the starts of `first` and `second` until one of the three ends.
#[inline]
pub(crate) fn widen(first: &[i8], second: &[i8], to: &mut [u32]) {
    let blocks = (to.len() / 4).min(first.len() / 4).min(second.len() / 4);
    if blocks > 0 {
        // SAFETY: all three hold `blocks` blocks, of 4, 4 and 16 bytes.
        unsafe { widen_blocks(first.as_ptr(), second.as_ptr(), to.as_mut_ptr(), blocks) }
    }
}

/// Widens the bytes of the last two fifths into the first four, see [`Steps`].
#[inline]
pub(crate) fn widen_over(words: &mut [u32]) {
    let blocks = words.len() / 5;
    if blocks > 0 {
        let to = words.as_mut_ptr();
        let first = to.wrapping_add(3 * blocks).cast_const().cast::<i8>();
        // SAFETY: block `i` is read at bytes `12 * blocks + 4 * i` and further on, then written up
        // to `16 * (i + 1)`, which is no byte of a later block as `i + 1 <= blocks`.
        unsafe { widen_blocks(first, first.wrapping_add(4 * blocks), to, blocks) }
    }
}

/// # Safety
/// `blocks > 0` blocks behind each pointer.
#[unsafe(naked)]
unsafe extern "C" fn widen_blocks(
    first: *const i8,
    second: *const i8,
    to: *mut u32,
    blocks: usize,
) {
    routine!(
        "push {{r4, r5, r6, r7}}",
        "mov r12, r3",
        "mov r3, r1",
        "mov r1, r2",
        "mov r2, r0",
        "lsrs r12, r12, #1",
        "bcc 2f",
        widen!(),
        "beq 3f",
        "2:",
        widen!(),
        widen!(),
        "subs r12, r12, #1",
        "bne 2b",
        "3:",
        "pop {{r4, r5, r6, r7}}",
        "bx lr",
    )
}

/// Pairs of pixels times groups of four channels: what a strip reads and writes, and the frame of
/// the assembly below.
#[repr(C)]
struct Strip {
    /// Where the sums start, or [`MAGIC`] for `fp32`, to which products are added.
    start: [u32; 8],
    /// First block of the widened pixels.
    steps: *const u32,
    /// Bytes from a pixel to the second of its pair.
    input_second: usize,
    steps_end: *const u32,
    /// Blocks by which the first turn of the loop is short of four.
    skip: usize,
    /// Where the outputs of either pixel go; filled by the assembly.
    outputs: [*mut i8; 2],
    weights: *const Weights,
    /// Groups that follow the sums, or where the sums go.
    groups: *mut u32,
    weights_end: *const Weights,
    /// Blocks of every pixel to widen, none when it was done before.
    blocks: usize,
    input: *const i8,
    output: *mut i8,
    output_second: usize,
    pairs: usize,
    /// Bytes from the end of the second pixel's outputs to the next pair's.
    output_gap: usize,
    /// Rows of a window, and how many; none for pixels in one piece.
    rows: *const *const i8,
    rows_count: usize,
    /// Blocks of a row, or none and its bytes, which then go through `buffer`.
    row_blocks: usize,
    row_len: usize,
    /// Where the next window starts in a row, and bytes from one to the next.
    first: usize,
    step: usize,
    buffer: *mut i8,
}

/// `1.5 * 2^23`: a product added to it has its integer part, rounded half to even, in the last
/// bits. Saturated subtraction of its own bits keeps products that are too large for that on
/// their side of zero.
pub(crate) const MAGIC: f32 = 12_582_912.0;

/// What a strip reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pixels<'a> {
    /// One pair, widened before.
    Ready,
    /// As many pairs as there are, one pixel after the other.
    Whole(&'a [i8]),
    /// Pairs of windows over the same rows.
    Windows(Windows<'a>),
}

/// See [`Pixels::Windows`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    pub(crate) rows: &'a WindowRows<'a>,
    /// Where the first window starts in a row, and bytes from one window to the next.
    pub(crate) first: usize,
    pub(crate) step: usize,
    /// Bytes of a window in a row.
    pub(crate) len: usize,
    pub(crate) pairs: usize,
}

/// Where the outputs of a strip go.
#[derive(Debug)]
pub(crate) struct Outputs<'a> {
    /// From the first pixel's first channel of the strip on.
    pub(crate) bytes: &'a mut [i8],
    /// Bytes from a pixel to the next; 0 computes the same pixel twice.
    pub(crate) stride: usize,
}

/// What a strip multiplies, and where its outputs go; none when its sums go to the groups.
#[derive(Debug)]
pub(crate) struct Products<'a> {
    pub(crate) steps: Steps<'a>,
    pub(crate) weights: &'a [Weights],
    pub(crate) pixels: Pixels<'a>,
    pub(crate) outputs: Option<Outputs<'a>>,
}

impl Strip {
    /// Has `code` compute, unless something does not lie within its slice.
    ///
    /// # Safety
    /// `count` groups of the kind that `code` works on.
    #[inline(never)] // One frame that holds one `Strip`.
    unsafe fn run(
        products: Products<'_>,
        (groups, count): (*mut u32, usize),
        start: u32,
        code: unsafe extern "C" fn(*mut Self),
    ) -> Option<()> {
        let Products { steps: Steps { words, blocks }, weights, pixels, outputs } = products;
        let end = weights.get(..count.checked_mul(blocks)?)?.as_ptr_range().end;
        let windows = matches!(pixels, Pixels::Windows(_));
        if count == 0 || blocks == 0 || words.len() < if windows { 5 } else { 4 } * blocks {
            return None;
        }
        let widened = words.as_mut_ptr();
        let depth = 4 * blocks;
        let pairs = match pixels {
            Pixels::Ready => 1,
            Pixels::Whole(pixels) => pixels.len().checked_div(2 * depth)?,
            Pixels::Windows(windows) => windows.pairs,
        };
        let (output, stride) = match outputs {
            Some(Outputs { bytes, stride }) if pairs > 0 => {
                let len = (2 * pairs - 1).checked_mul(stride)?.checked_add(4 * count)?;
                (bytes.get_mut(..len)?.as_mut_ptr(), stride)
            }
            _ => (core::ptr::null_mut(), 0),
        };
        if pairs == 0 || stride > 0 && stride < 4 * count {
            return None;
        }
        let mut strip = Self {
            start: [start; 8],
            steps: widened,
            steps_end: widened.wrapping_add(4 * blocks),
            skip: blocks.wrapping_neg() % 4,
            groups,
            outputs: [core::ptr::null_mut(); 2],
            weights: weights.as_ptr(),
            weights_end: end,
            blocks: 0,
            input_second: depth,
            output_second: stride,
            output_gap: stride.wrapping_sub(4 * count),
            input: core::ptr::null(),
            output,
            pairs,
            rows: core::ptr::null(),
            rows_count: 0,
            row_blocks: 0,
            row_len: 0,
            first: 0,
            step: 0,
            buffer: core::ptr::null_mut(),
        };
        match pixels {
            Pixels::Ready => {}
            Pixels::Whole(pixels) => {
                (strip.input, strip.blocks) = (pixels.as_ptr(), blocks);
            }
            Pixels::Windows(windows) => {
                let Windows { rows, first, step, len, pairs } = windows;
                let last = (2 * pairs - 1).checked_mul(step)?.checked_add(first)?;
                (strip.rows, strip.rows_count) = rows.holding(last, len)?;
                if len == 0 || len * strip.rows_count > depth {
                    return None;
                }
                (strip.first, strip.step, strip.row_len) = (first, step, len);
                (strip.buffer, strip.blocks) = (widened.wrapping_add(3 * blocks).cast(), blocks);
                strip.row_blocks = if len.is_multiple_of(4) { len / 4 } else { 0 };
            }
        }
        // SAFETY: every length was checked above; the caller answers for the groups.
        unsafe { code(&mut strip) }
        Some(())
    }
}

/// Pairs of pixels times `groups`, `tflite`: those that were widened before, or whole
/// `pixels` and windows by way of `steps`. Does nothing when something is shorter than that takes.
#[inline]
pub(crate) fn strip_fixed(products: Products<'_>, groups: &[FixedGroup]) {
    let factors = (groups.as_ptr().cast_mut().cast(), groups.len());
    // SAFETY: groups of its kind, which it only reads.
    unsafe { Strip::run(products, factors, 0, strip_fixed_blocks) };
}

/// [`strip_fixed`] for `fp32`.
#[cfg(target_abi = "eabihf")]
#[inline]
pub(crate) fn strip_float(products: Products<'_>, groups: &[FloatGroup]) {
    let factors = (groups.as_ptr().cast_mut().cast(), groups.len());
    // SAFETY: groups of its kind, which it only reads.
    unsafe { Strip::run(products, factors, MAGIC.to_bits(), strip_float_blocks) };
}

/// Adds the products of two pixels, widened before, to `sums`.
#[inline]
pub(crate) fn strip_sums(steps: Steps<'_>, weights: &[Weights], sums: &mut [Sums]) {
    let to = (sums.as_mut_ptr().cast(), sums.len());
    let products = Products { steps, weights, pixels: Pixels::Ready, outputs: None };
    // SAFETY: groups of its kind.
    unsafe { Strip::run(products, to, 0, strip_sums_blocks) };
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

/// A strip around what the sums start with and what follows them: pairs of pixels, groups of channels, depth steps. The
/// innermost loop takes 16 steps a turn, 96 bytes of code for every four, and is entered where as
/// many are left over.
macro_rules! strip {
    ($start:expr, $($then:expr,)*) => {
        routine!(
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "sub sp, sp, #124",
            // The frame is a copy of the `Strip`.
            "mov r12, r0",
            "mov lr, sp",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "adr.w r9, 7f",
            "add r3, r3, r3, lsl #1",
            "add r3, r9, r3, lsl #5",
            "orr r3, r3, #1",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "ldmia r12!, {{r0, r1, r2, r3, r4, r5}}",
            "stmia lr!, {{r0, r1, r2, r3, r4, r5}}",
            // A pair of pixels: widen them first.
            "2:",
            "ldrd r8, r9, [sp, #92]",
            "cmp r9, #0",
            "beq 26f",
            // From the rows of their windows,
            "ldrd r11, lr, [sp, #108]",
            "add r10, r11, lr, lsl #1",
            "str r10, [sp, #108]",
            "add lr, r11, lr",
            "ldrd r10, r12, [sp, #100]",
            "cmp r10, #0",
            "beq 24f",
            "ldr r1, [sp, #32]",
            "21:",
            "ldr r3, [r8], #4",
            "add r2, r3, r11",
            "add r3, r3, lr",
            "lsrs r12, r10, #1",
            "bcc 22f",
            widen!(),
            "beq 23f",
            "22:",
            widen!(),
            widen!(),
            "subs r12, r12, #1",
            "bne 22b",
            "23:",
            "subs r9, r9, #1",
            "bne 21b",
            "b.w 5f",
            // or, where those are no whole blocks, through the buffer,
            "24:",
            "mov r10, r12",
            "ldr r4, [sp, #116]",
            "ldr r5, [sp, #36]",
            "add r5, r4, r5",
            "25:",
            "ldr r3, [r8], #4",
            "add r2, r3, r11",
            "add r3, r3, lr",
            "subs r12, r10, #4",
            "blt 32f",
            "31:",
            "ldr r6, [r2], #4",
            "ldr r7, [r3], #4",
            "str r6, [r4], #4",
            "str r7, [r5], #4",
            "subs r12, r12, #4",
            "bge 31b",
            "32:",
            "adds r12, r12, #4",
            "beq 34f",
            "33:",
            "ldrb r6, [r2], #1",
            "ldrb r7, [r3], #1",
            "strb r6, [r4], #1",
            "strb r7, [r5], #1",
            "subs r12, r12, #1",
            "bne 33b",
            "34:",
            "subs r9, r9, #1",
            "bne 25b",
            "ldr r12, [sp, #68]",
            "ldr r2, [sp, #116]",
            "b 27f",
            // or from one piece.
            "26:",
            "ldrd r12, r2, [sp, #68]",
            "cmp r12, #0",
            "beq 5f",
            "27:",
            "ldrd r1, r3, [sp, #32]",
            "add r3, r2, r3",
            "lsrs r12, r12, #1",
            "bcc 3f",
            widen!(),
            "beq 4f",
            "3:",
            widen!(),
            widen!(),
            "subs r12, r12, #1",
            "bne 3b",
            "4:",
            "str r3, [sp, #72]",
            "5:",
            "ldrd r10, r11, [sp, #76]",
            "add r11, r10, r11",
            "strd r10, r11, [sp, #48]",
            "ldrd r8, r9, [sp, #56]",
            // A group of channels.
            "6:",
            $start,
            "ldr r9, [sp, #32]",
            "ldr pc, [sp, #44]",
            ".balign 4",
            "7:",
            pair!(), pair!(), pair!(), pair!(), pair!(), pair!(), pair!(), pair!(),
            "ldr r10, [sp, #40]",
            "cmp r9, r10",
            "bne.w 7b",
            // 256 times the odd channels.
            "sub r1, r1, r0",
            "sub r3, r3, r2",
            "sub r5, r5, r4",
            "sub r7, r7, r6",
            "ldr r9, [sp, #120]",
            $($then,)*
            "ldr r10, [sp, #64]",
            "cmp r8, r10",
            "bne.w 6b",
            "ldrd r10, r11, [sp, #84]",
            "ldr r12, [sp, #52]",
            "subs r10, r10, #1",
            "str r10, [sp, #84]",
            "add r11, r11, r12",
            "str r11, [sp, #76]",
            "bne.w 2b",
            "add sp, sp, #124",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        )
    };
}

/// Scales a channel of both pixels, see `FixedGroup`; `$shift` doubles the sum.
macro_rules! fixed {
    ($first:literal, $second:literal, $shift:literal) => {
        concat!(
            "ldmia r9!, {{r10, r11, r12, lr}}\n",
            "add ",
            $first,
            ", r10, ",
            $first,
            ", ",
            $shift,
            "\n",
            "add ",
            $second,
            ", r10, ",
            $second,
            ", ",
            $shift,
            "\n",
            "smmlar r10, ",
            $first,
            ", r11, r12\n",
            "add ",
            $first,
            ", r10, ",
            $first,
            ", asr #31\n",
            "asr ",
            $first,
            ", ",
            $first,
            ", lr\n",
            "ssat ",
            $first,
            ", #8, ",
            $first,
            "\n",
            "smmlar r10, ",
            $second,
            ", r11, r12\n",
            "add ",
            $second,
            ", r10, ",
            $second,
            ", asr #31\n",
            "asr ",
            $second,
            ", ",
            $second,
            ", lr\n",
            "ssat ",
            $second,
            ", #8, ",
            $second,
            "\n",
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
        "str r9, [sp, #120]\nldmia.w sp, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
        fixed!("r0", "r4", "lsl #1"),
        fixed!("r1", "r5", "asr #7"),
        fixed!("r2", "r6", "lsl #1"),
        fixed!("r3", "r7", "asr #7"),
        store!(),
    )
}

/// Scales four channels of one pixel; `VMLA` rounds the product before it adds, as two
/// instructions would. The results end up in r0 to r3 or r4 to r7.
#[cfg(target_abi = "eabihf")]
macro_rules! float {
    ($a:literal, $b:literal, $c:literal, $d:literal, $w:literal, $x:literal, $y:literal, $z:literal) => {
        concat!(
            "vmov s4, s5, ",
            $a,
            ", ",
            $b,
            "\n",
            "vmov s6, s7, ",
            $c,
            ", ",
            $d,
            "\n",
            "vcvt.f32.s32 s4, s4\n",
            "vcvt.f32.s32 s5, s5\n",
            "vcvt.f32.s32 s6, s6\n",
            "vcvt.f32.s32 s7, s7\n",
            "vmla.f32 ",
            $w,
            ", s4, s0\n",
            "vmla.f32 ",
            $x,
            ", s5, s1\n",
            "vmla.f32 ",
            $y,
            ", s6, s2\n",
            "vmla.f32 ",
            $z,
            ", s7, s3\n",
            "vmov ",
            $a,
            ", ",
            $b,
            ", ",
            $w,
            ", ",
            $x,
            "\n",
            "vmov ",
            $c,
            ", ",
            $d,
            ", ",
            $y,
            ", ",
            $z,
            "\n",
            "qsub ",
            $a,
            ", ",
            $a,
            ", r12\n",
            "qsub ",
            $b,
            ", ",
            $b,
            ", r12\n",
            "qsub ",
            $c,
            ", ",
            $c,
            ", r12\n",
            "qsub ",
            $d,
            ", ",
            $d,
            ", r12\n",
            "ssat ",
            $a,
            ", #8, ",
            $a,
            "\n",
            "ssat ",
            $b,
            ", #8, ",
            $b,
            "\n",
            "ssat ",
            $c,
            ", #8, ",
            $c,
            "\n",
            "ssat ",
            $d,
            ", #8, ",
            $d,
            "\n",
        )
    };
}

/// # Safety
/// A sound strip.
#[cfg(target_abi = "eabihf")]
#[unsafe(naked)]
unsafe extern "C" fn strip_float_blocks(strip: *mut Strip) {
    strip!(
        "ldmia.w r9!, {{r0, r1, r2, r3, r4, r5, r6, r7}}\nstr r9, [sp, #120]",
        // Link-time optimization forgets the target's FPU for code like this.
        ".fpu fpv4-sp-d16",
        "ldmia.w r9!, {{r10, r11, r12}}",
        // The last one is unused.
        "vldmia r9!, {{s0, s1, s2, s3, s4}}",
        "vldmia sp, {{s8, s9, s10, s11, s12, s13, s14, s15}}",
        "add r1, r10, r1, asr #8",
        "add r3, r11, r3, asr #8",
        "add r5, r10, r5, asr #8",
        "add r7, r11, r7, asr #8",
        float!("r0", "r1", "r2", "r3", "s8", "s9", "s10", "s11"),
        float!("r4", "r5", "r6", "r7", "s12", "s13", "s14", "s15"),
        store!(),
    )
}

/// # Safety
/// A sound strip.
#[unsafe(naked)]
unsafe extern "C" fn strip_sums_blocks(strip: *mut Strip) {
    strip!(
        "str r9, [sp, #120]\nldmia.w sp, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
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

/// Moves `count` words, rounded down to fours, from `from` on to the start of `words`. Does nothing
/// when they are not there.
pub(crate) fn move_to_start(words: &mut [u32], from: usize, count: usize) {
    let fits = from <= words.len() && count <= words.len() - from;
    if count < 4 || !fits {
        return;
    }
    let to = words.as_mut_ptr();
    // SAFETY: `from + count` words are there. Every word is read before it may be overwritten,
    // as the target lies before the source and both go upwards, four words at a time.
    unsafe {
        asm!(
            "2:",
            "ldmia {from}!, {{r0, r1, r2, r3}}",
            "stmia {to}!, {{r0, r1, r2, r3}}",
            "subs {count}, #4",
            "bgt 2b",
            from = inout(reg) to.wrapping_add(from) => _,
            to = inout(reg) to => _,
            count = inout(reg) count & !3 => _,
            out("r0") _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            options(nostack),
        );
    }
}

/// Copies from start to start until either ends. For a few bytes, where a call of `memcpy` takes
/// longer than the copy.
#[inline]
pub(crate) fn copy(from: &[i8], to: &mut [i8]) {
    let len = from.len().min(to.len());
    // SAFETY: both hold `len` bytes; words may lie anywhere on an Armv7-M.
    unsafe {
        asm!(
            "subs {len}, #4",
            "blt 3f",
            "2:",
            "ldr {word}, [{from}], #4",
            "str {word}, [{to}], #4",
            "subs {len}, #4",
            "bge 2b",
            "3:",
            "adds {len}, #4",
            "beq 5f",
            "4:",
            "ldrb {word}, [{from}], #1",
            "strb {word}, [{to}], #1",
            "subs {len}, #1",
            "bne 4b",
            "5:",
            len = inout(reg) len => _,
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            word = out(reg) _,
            options(nostack),
        );
    }
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

/// Sums of `count` times four bytes, `stride` bytes apart; zeros when `from` is shorter than that.
#[inline]
pub(crate) fn sum_columns(from: &[i8], stride: usize, count: usize) -> [i32; 4] {
    let mut sums = [0; 4];
    let mut start = 0;
    let mut left = count;
    while left > 0 {
        // As many bytes as a half certainly holds.
        let turn = left.min(255);
        let from = from.get(start..).unwrap_or(&[]);
        if (turn - 1) * stride + 4 > from.len() {
            return [0; 4];
        }
        let [mut even, mut odd] = [0_u32; 2];
        // SAFETY: the comparison above; words may lie anywhere on an Armv7-M.
        unsafe {
            asm!(
                "2:",
                "ldr {word}, [{from}]",
                "add {from}, {from}, {stride}",
                "sxtab16 {even}, {even}, {word}",
                "sxtab16 {odd}, {odd}, {word}, ror #8",
                "subs {turn}, #1",
                "bne 2b",
                word = out(reg) _,
                from = inout(reg) from.as_ptr() => _,
                stride = in(reg) stride,
                even = inout(reg) even,
                odd = inout(reg) odd,
                turn = inout(reg) turn => _,
                options(readonly, nostack),
            );
        }
        for (sum, half) in sums.iter_mut().zip([even, odd, even >> 16, odd >> 16]) {
            #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
            let half = (half as u16).cast_signed();
            *sum += i32::from(half);
        }
        start += turn * stride;
        left -= turn;
    }
    sums
}

/// The larger of four int8 each.
#[inline]
pub(crate) fn max_4(a: u32, b: u32) -> u32 {
    let larger;
    // SAFETY: registers and flags only.
    unsafe {
        asm!(
            "ssub8 {larger}, {a}, {b}",
            "sel {larger}, {a}, {b}",
            a = in(reg) a,
            b = in(reg) b,
            larger = out(reg) larger,
            options(pure, nomem, nostack),
        );
    }
    larger
}

/// The upper word of `a * b`, rounded, plus `addend`.
#[inline]
pub(crate) fn multiply_high(a: i32, b: i32, addend: i32) -> i32 {
    let sum;
    // SAFETY: registers only.
    unsafe {
        asm!(
            "smmlar {sum}, {a}, {b}, {addend}",
            a = in(reg) a,
            b = in(reg) b,
            addend = in(reg) addend,
            sum = lateout(reg) sum,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
