//! Pairs of pixels by groups of four channels, and the copies that make pixels of windows.

/// Depth steps of a vector.
pub(crate) const LANES: usize = 16;

/// What follows the sums of four channels, a register each. `tflite`: biases, multipliers,
/// rounding with the zero point, left shifts; `fp32`: biases, the bits of scales, unused.
pub(crate) type Group = [[i32; 4]; 4];

/// Pixels one after the other: where they lie and how they are shaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    pub(crate) bytes: &'a [i8],
    /// Depth steps of a pixel, all of them read.
    pub(crate) depth: usize,
    /// Bytes from a pixel to the next.
    pub(crate) pitch: usize,
    /// A single one is computed twice, into the same place.
    pub(crate) count: usize,
}

/// Where the outputs of a strip go.
#[derive(Debug)]
pub(crate) struct Outputs<'a> {
    /// From the first pixel's first channel of the strip on.
    pub(crate) bytes: &'a mut [i8],
    /// Bytes from a pixel to the next.
    pub(crate) pitch: usize,
}

/// What the assembly reads, passed by value: the first four words in registers.
#[repr(C)]
struct Strip {
    weights: *const i8,
    groups: *const Group,
    input: *const i8,
    output: *mut i8,
    weights_end: *const i8,
    pairs: usize,
    /// Vectors of a pixel after the first.
    more: usize,
    /// Bytes of the last vector.
    last: usize,
    /// Bytes to the second pixel of a pair, and to the next pair.
    input_second: usize,
    input_pair: usize,
    output_second: usize,
    output_pair: usize,
    zero_point: i32,
    /// The second pixel of the current pair; filled by the assembly.
    second: *const i8,
}

impl Strip {
    /// `None` unless everything lies within its slice.
    #[inline]
    fn new(
        weights: &[i8],
        groups: &[Group],
        zero_point: i8,
        pixels: Pixels<'_>,
        outputs: Outputs<'_>,
    ) -> Option<Self> {
        let Pixels { bytes, depth, pitch, count } = pixels;
        let vectors = depth.div_ceil(LANES);
        let len = groups.len().checked_mul(4 * LANES)?.checked_mul(vectors)?;
        let weights = weights.get(..len)?.as_ptr_range();
        let odd = count % 2;
        let pairs = if count == 1 { 1 } else { count / 2 };
        let is_even = odd == 0 || count == 1;
        if groups.is_empty() || depth == 0 || pairs == 0 || !is_even {
            return None;
        }
        let last = (count - 1).checked_mul(pitch)?.checked_add(depth)?;
        let input = bytes.get(..last)?.as_ptr();
        let last = (count - 1).checked_mul(outputs.pitch)?.checked_add(4 * groups.len())?;
        let output = outputs.bytes.get_mut(..last)?.as_mut_ptr();
        Some(Self {
            weights: weights.start,
            groups: groups.as_ptr(),
            input,
            output,
            weights_end: weights.end,
            pairs,
            more: vectors - 1,
            last: depth - (vectors - 1) * LANES,
            input_second: pitch * (1 - odd),
            input_pair: pitch * 2,
            output_second: outputs.pitch * (1 - odd),
            output_pair: outputs.pitch * 2,
            zero_point: i32::from(zero_point),
            second: core::ptr::null(),
        })
    }
}

/// An even number of pixels, or one, times whole groups of channels, `tflite`. The weights are
/// blocks of four channels by [`LANES`]. Does nothing when something is shorter than that takes.
#[inline]
pub(crate) fn strip_fixed(
    weights: &[i8],
    groups: &[Group],
    pixels: Pixels<'_>,
    outputs: Outputs<'_>,
) {
    if let Some(strip) = Strip::new(weights, groups, 0, pixels, outputs) {
        // SAFETY: `Strip` has checked every length.
        unsafe { strip_fixed_blocks(strip) }
    }
}

/// [`strip_fixed`] for `fp32`.
#[inline]
pub(crate) fn strip_float(
    weights: &[i8],
    groups: &[Group],
    zero_point: i8,
    pixels: Pixels<'_>,
    outputs: Outputs<'_>,
) {
    if let Some(strip) = Strip::new(weights, groups, zero_point, pixels, outputs) {
        // SAFETY: `Strip` has checked every length.
        unsafe { strip_float_blocks(strip) }
    }
}

/// The raw sums of one pixel and one group of channels.
#[inline]
pub(crate) fn strip_sums(weights: &[i8], pixel: Pixels<'_>, sums: &mut [i32; 4]) {
    let group = [[[0; 4]; 4]];
    let bytes: &mut [i8] = bytemuck::cast_slice_mut(sums);
    let outputs = Outputs { bytes, pitch: 0 };
    if let Some(strip) = Strip::new(weights, &group, 0, Pixels { count: 1, ..pixel }, outputs) {
        // SAFETY: `Strip` has checked every length; the sums are 16 bytes.
        unsafe { strip_sums_blocks(strip) }
    }
}

/// A vector of depth steps, `$t` where it may be short: 8 times 16 products. Loads alternate with
/// products, which go to different units.
macro_rules! vector {
    ($product:literal, $t:literal, $before:literal) => {
        concat!(
            $before,
            "vldrb",
            $t,
            ".u8 q0, [r3], #16\n",
            "vldrb",
            $t,
            ".u8 q1, [r5], #16\n",
            "vldrb.u8 q2, [r1], #16\n",
            $product,
            ".s8 r0, q0, q2\n",
            "vldrb.u8 q3, [r1], #16\n",
            $product,
            ".s8 r8, q1, q2\n",
            "vldrb.u8 q4, [r1], #16\n",
            $product,
            ".s8 r2, q0, q3\n",
            "vldrb.u8 q5, [r1], #16\n",
            $product,
            ".s8 r10, q1, q3\n",
            $product,
            ".s8 r4, q0, q4\n",
            $product,
            ".s8 r12, q1, q4\n",
            $product,
            ".s8 r6, q0, q5\n",
            $product,
            ".s8 lr, q1, q5\n",
        )
    };
}

/// A strip around what follows the sums: pairs of pixels, groups of channels, depth.
macro_rules! strip {
    ($($then:expr,)*) => {
        routine!(
            "push {{r0, r1, r2, r3}}",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "vpush {{d8, d9, d10, d11, d12, d13}}",
            // The strip is at sp + 84.
            "ldr r0, [sp, #112]",
            "vctp.8 r0",
            // A pair of pixels.
            "2:",
            "ldrd r1, r9, [sp, #84]",
            "ldrd r3, r7, [sp, #92]",
            "ldr r5, [sp, #116]",
            "add r5, r3",
            "str r5, [sp, #136]",
            // A group of channels.
            "3:",
            "ldr r11, [sp, #108]",
            "cmp r11, #0",
            "beq.w 9f",
            vector!("vmladav", "", ""),
            "subs r11, #1",
            "beq 5f",
            "4:",
            vector!("vmladava", "", ""),
            "subs r11, #1",
            "bne 4b",
            "5:",
            vector!("vmladava", "t", "vpstt\n"),
            "6:",
            "vmov q0[2], q0[0], r0, r4",
            "vmov q0[3], q0[1], r2, r6",
            "vmov q1[2], q1[0], r8, r12",
            "vmov q1[3], q1[1], r10, lr",
            $($then,)*
            "ldr r11, [sp, #100]",
            "ldr r3, [sp, #92]",
            "ldr r5, [sp, #136]",
            "cmp r1, r11",
            "bne 3b",
            "ldr r11, [sp, #104]",
            "subs r11, #1",
            "beq 8f",
            "str r11, [sp, #104]",
            "ldr r11, [sp, #120]",
            "add r3, r11",
            "str r3, [sp, #92]",
            "ldr r11, [sp, #128]",
            "ldr r7, [sp, #96]",
            "add r7, r11",
            "str r7, [sp, #96]",
            "b 2b",
            "8:",
            "vpop {{d8, d9, d10, d11, d12, d13}}",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "add sp, #16",
            "bx lr",
            "9:",
            vector!("vmladav", "t", "vpstt\n"),
            "b.w 6b",
        )
    };
}

/// The saturated results in the upper bytes go to both pixels.
macro_rules! store {
    () => {
        concat!(
            "ldr r5, [sp, #124]\n",
            "vshr.u32 q0, q0, #24\n",
            "add r5, r7\n",
            "vshr.u32 q1, q1, #24\n",
            "vstrb.32 q0, [r7], #4\n",
            "vstrb.32 q1, [r5]\n",
        )
    };
}

/// # Safety
/// A sound strip.
#[unsafe(naked)]
unsafe extern "C" fn strip_fixed_blocks(strip: Strip) {
    strip!(
        "vldrw.u32 q2, [r9], #16",
        "vadd.i32 q0, q0, q2",
        "vldrw.u32 q3, [r9], #16",
        "vadd.i32 q1, q1, q2",
        "vqrdmulh.s32 q4, q0, q3",
        "vshr.s32 q0, q0, #31",
        "vqrdmulh.s32 q5, q1, q3",
        "vldrw.u32 q2, [r9], #16",
        "vadd.i32 q0, q0, q2",
        "vshr.s32 q1, q1, #31",
        "vqadd.s32 q0, q0, q4",
        "vadd.i32 q1, q1, q2",
        "vldrw.u32 q3, [r9], #16",
        "vqadd.s32 q1, q1, q5",
        "vqshl.s32 q0, q0, q3",
        "vqshl.s32 q1, q1, q3",
        store!(),
    )
}

/// # Safety
/// A sound strip.
#[unsafe(naked)]
unsafe extern "C" fn strip_float_blocks(strip: Strip) {
    strip!(
        "vldrw.u32 q2, [r9], #16",
        "vadd.i32 q0, q0, q2",
        "vldrw.u32 q3, [r9], #48",
        "vadd.i32 q1, q1, q2",
        "vcvt.f32.s32 q0, q0",
        "vcvt.f32.s32 q1, q1",
        "ldr r11, [sp, #132]",
        "vmul.f32 q0, q0, q3",
        "vmul.f32 q1, q1, q3",
        "vcvtn.s32.f32 q0, q0",
        "vcvtn.s32.f32 q1, q1",
        "vqadd.s32 q0, q0, r11",
        "vqadd.s32 q1, q1, r11",
        "vqshl.s32 q0, q0, #24",
        "vqshl.s32 q1, q1, #24",
        store!(),
    )
}

/// # Safety
/// A sound strip of one pixel and one group, whose output has 16 bytes.
#[unsafe(naked)]
unsafe extern "C" fn strip_sums_blocks(strip: Strip) {
    strip!("vstrw.32 q0, [r7]",)
}
