//! Halves on an FPU of single precision: `VCVTB` and `VCVTT` widen the two of a word, `VFMA` adds a
//! product. Products of halves are exact in f32, so that fusing changes no bit.

#![allow(unsafe_code, reason = "the leaves of an instruction set")]

use core::arch::asm;

/// Two halves.
type Pair = u32;

/// A half in f32. Through core registers: compilers know no others on Armv8-M.
#[inline]
pub(crate) fn widen(half: u16) -> f32 {
    let mut bits = u32::from(half);
    // SAFETY: registers only; every processor of this instruction set with an FPU has it.
    unsafe {
        asm!(
            "vmov s0, {0}",
            "vcvtb.f32.f16 s0, s0",
            "vmov {0}, s0",
            inout(reg) bits,
            out("s0") _,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    f32::from_bits(bits)
}

/// The nearest half, ties to even.
#[inline]
pub(crate) fn narrow(value: f32) -> u16 {
    let mut bits = value.to_bits();
    // SAFETY: registers only; every processor of this instruction set with an FPU has it.
    unsafe {
        asm!(
            "vmov s0, {0}",
            "vcvtb.f16.f32 s0, s0",
            "vmov {0}, s0",
            inout(reg) bits,
            out("s0") _,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    // The upper half of the register is that of `value`.
    (bits & 0xffff) as u16
}

/// Eight weights of four channels by two steps, from r `$w` to s16..s23.
macro_rules! weights {
    () => {
        concat!(
            "vldmia {w}!, {{s20, s21, s22, s23}}\n",
            "vcvtb.f32.f16 s16, s20\n",
            "vcvtt.f32.f16 s17, s20\n",
            "vcvtb.f32.f16 s18, s21\n",
            "vcvtt.f32.f16 s19, s21\n",
            "vcvtb.f32.f16 s20, s22\n",
            "vcvtt.f32.f16 s21, s22\n",
            "vcvtb.f32.f16 s22, s23\n",
            "vcvtt.f32.f16 s23, s23\n",
        )
    };
}

/// Two steps of the pixel in `$pair` into its four sums.
macro_rules! products {
    ($pair:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "vcvtb.f32.f16 s28, ",
            $pair,
            "\n",
            "vcvtt.f32.f16 s29, ",
            $pair,
            "\n",
            "vfma.f32 ",
            $a,
            ", s28, s16\n",
            "vfma.f32 ",
            $b,
            ", s28, s18\n",
            "vfma.f32 ",
            $c,
            ", s28, s20\n",
            "vfma.f32 ",
            $d,
            ", s28, s22\n",
            "vfma.f32 ",
            $a,
            ", s29, s17\n",
            "vfma.f32 ",
            $b,
            ", s29, s19\n",
            "vfma.f32 ",
            $c,
            ", s29, s21\n",
            "vfma.f32 ",
            $d,
            ", s29, s23\n",
        )
    };
}

/// Sums of four pixels by four channels. A step of `pixels` holds a pair of each pixel, one of
/// `weights` a pair of each channel; as many steps as both have.
///
/// 52 instructions for 32 products.
#[inline]
pub(crate) fn tile_4(pixels: &[[Pair; 4]], weights: &[[Pair; 4]]) -> [[f32; 4]; 4] {
    let mut sums = [[0.0; 4]; 4];
    let steps = pixels.len().min(weights.len());
    if steps == 0 {
        return sums;
    }
    // SAFETY: both slices hold `steps` steps of 16 bytes on word boundaries, `sums` 64 bytes.
    unsafe {
        asm!(
            "vldmia {sums}, {{s0-s15}}",
            "2:",
            weights!(),
            "vldmia {x}!, {{s24, s25, s26, s27}}",
            products!("s24", "s0", "s1", "s2", "s3"),
            products!("s25", "s4", "s5", "s6", "s7"),
            products!("s26", "s8", "s9", "s10", "s11"),
            products!("s27", "s12", "s13", "s14", "s15"),
            "subs {n}, {n}, #1",
            "bne 2b",
            "vstmia {sums}, {{s0-s15}}",
            x = inout(reg) pixels.as_ptr() => _,
            w = inout(reg) weights.as_ptr() => _,
            n = inout(reg) steps => _,
            sums = in(reg) sums.as_mut_ptr(),
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _,
            options(nostack),
        );
    }
    sums
}

/// [`tile_4`] of one pixel: 22 instructions for 8 products.
#[inline]
pub(crate) fn tile_1(pixel: &[Pair], weights: &[[Pair; 4]]) -> [f32; 4] {
    let mut sums = [0.0; 4];
    let steps = pixel.len().min(weights.len());
    if steps == 0 {
        return sums;
    }
    // SAFETY: `pixel` holds `steps` words, `weights` as many steps of 16 bytes on word boundaries,
    // `sums` 16 bytes.
    unsafe {
        asm!(
            "vldmia {sums}, {{s0-s3}}",
            "2:",
            weights!(),
            "vldmia {x}!, {{s24}}",
            products!("s24", "s0", "s1", "s2", "s3"),
            "subs {n}, {n}, #1",
            "bne 2b",
            "vstmia {sums}, {{s0-s3}}",
            x = inout(reg) pixel.as_ptr() => _,
            w = inout(reg) weights.as_ptr() => _,
            n = inout(reg) steps => _,
            sums = in(reg) sums.as_mut_ptr(),
            out("d0") _, out("d1") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d14") _,
            options(nostack),
        );
    }
    sums
}

/// Adds to the sums of four channels the products of some taps, each four halves: the first of
/// `taps` and every `stride` bytes behind it, as many as `weights`. 17 instructions for 4 products.
#[inline]
pub(crate) fn taps_4(sums: &mut [f32; 4], taps: &[Pair], stride: usize, weights: &[[Pair; 2]]) {
    let words = stride / 4;
    let end = weights.len().checked_sub(1).and_then(|last| last.checked_mul(words));
    if end.and_then(|end| end.checked_add(2)).is_none_or(|end| end > taps.len()) {
        return;
    }
    // SAFETY: as just checked, `taps` holds 8 bytes `weights.len() - 1` strides behind its start, and
    // strides of whole words stay on word boundaries; `weights` holds 8 bytes a tap, of which there
    // is at least one; `sums` 16 bytes.
    unsafe {
        asm!(
            "vldmia {sums}, {{s0-s3}}",
            "2:",
            "vldmia {w}!, {{s20, s21}}",
            "vldmia {x}, {{s24, s25}}",
            "add {x}, {x}, {stride}",
            "vcvtb.f32.f16 s16, s20",
            "vcvtt.f32.f16 s17, s20",
            "vcvtb.f32.f16 s18, s21",
            "vcvtt.f32.f16 s19, s21",
            "vcvtb.f32.f16 s20, s24",
            "vcvtt.f32.f16 s21, s24",
            "vcvtb.f32.f16 s22, s25",
            "vcvtt.f32.f16 s23, s25",
            "vfma.f32 s0, s20, s16",
            "vfma.f32 s1, s21, s17",
            "vfma.f32 s2, s22, s18",
            "vfma.f32 s3, s23, s19",
            "subs {n}, {n}, #1",
            "bne 2b",
            "vstmia {sums}, {{s0-s3}}",
            x = inout(reg) taps.as_ptr() => _,
            w = inout(reg) weights.as_ptr() => _,
            n = inout(reg) weights.len() => _,
            stride = in(reg) 4 * words,
            sums = in(reg) sums.as_mut_ptr(),
            out("d0") _, out("d1") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _,
            options(nostack),
        );
    }
}
