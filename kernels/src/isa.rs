//! The instruction sets: the only list of them.

/// The body of a naked function, assembled for the processor of this build.
#[cfg(armv7em)]
macro_rules! routine {
    ($($line:expr,)*) => { core::arch::naked_asm!(env!("MOTE_CPU_DIRECTIVE"), $($line,)*) };
}

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
#[cfg(any(armv6m, armv7m))]
pub(crate) mod armv6m;
#[cfg(armv7em)]
pub(crate) mod armv7em;
#[cfg(armv7m)]
pub(crate) mod armv7m;
#[cfg(mve)]
pub(crate) mod mve;
#[cfg(any(armv6m, armv7m))]
pub(crate) mod no_dsp;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::lanes;
/// Eight f32 at a time and their halves in memory, by the same names on both: one cell serves both.
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::lanes;

/// Calls a macro with every instruction set, plainest first: `Variant name` a line.
#[macro_export]
macro_rules! for_each_isa {
    ($callback:ident) => {
        $callback! {
            Scalar scalar
            Avx2 avx2
            Neon neon
            NeonDotprod neon_dotprod
            NeonI8mm neon_i8mm
            NeonFp16 neon_fp16
            Armv6m armv6m
            Armv7m armv7m
            Armv7emDsp armv7em_dsp
            Mve mve
        }
    };
}

macro_rules! isa_lists {
    ($($isa:ident $name:ident)*) => {
        impl Isa {
            /// Every instruction set, plainest first.
            pub const ALL: &'static [Self] = &[$(Self::$isa),*];

            /// The name used on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$isa => stringify!($name),)*
                }
            }
        }
    };
}

/// An instruction set that kernels are written for. All variants exist on every machine, so that
/// a host can pack weights for a chip; only some are [available](Isa::is_available).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Isa {
    /// Portable Rust: the specification of every family.
    Scalar,
    /// x86-64 with AVX2, F16C and FMA.
    Avx2,
    /// AArch64: Armv8.0 and everything after it.
    Neon,
    /// AArch64 with `SDOT`: Cortex-A55, A75 and most since.
    NeonDotprod,
    /// AArch64 with `SDOT` and `SMMLA`: Armv8.6.
    NeonI8mm,
    /// AArch64 with `SDOT` and arithmetic on halves: Cortex-A76 and most since. Sums of halves have
    /// [bits of their own](Isa::is_exact), so that it computes only where somebody names it.
    NeonFp16,
    /// Armv6-M: Cortex-M0 and M0+.
    Armv6m,
    /// Armv7-M: Cortex-M3.
    Armv7m,
    /// Armv7E-M: Cortex-M4 and M7, and Armv8-M with the DSP extension.
    Armv7emDsp,
    /// Helium, the M-profile vector extension, with floats: Cortex-M55 and M85.
    Mve,
}

for_each_isa!(isa_lists);

impl Isa {
    /// The instruction set called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|isa| isa.name() == name)
    }

    /// The nearest plainer instruction set, whose cells stand in for missing ones.
    #[must_use]
    pub const fn plainer(self) -> Option<Self> {
        match self {
            Self::Scalar => None,
            Self::Avx2 | Self::Neon | Self::Armv6m | Self::Armv7m | Self::Armv7emDsp => {
                Some(Self::Scalar)
            }
            Self::NeonDotprod => Some(Self::Neon),
            Self::NeonI8mm | Self::NeonFp16 => Some(Self::NeonDotprod),
            Self::Mve => Some(Self::Armv7emDsp),
        }
    }

    /// Whether a machine with this instruction set can run the cells of `other`.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        let mut isa = Some(self);
        while let Some(this) = isa {
            if this as u8 == other as u8 {
                return true;
            }
            isa = this.plainer();
        }
        false
    }

    /// Whether every cell gives the bits of the scalar one. Where not, those of weighted families of
    /// halves keep within a bound of their own; see their contracts.
    #[must_use]
    pub const fn is_exact(self) -> bool {
        !matches!(self, Self::NeonFp16)
    }

    /// Whether scalar code is linked beside its cells by feature `fallback` only: on microcontrollers.
    pub(crate) const fn may_lack_scalar(self) -> bool {
        matches!(self, Self::Armv7emDsp | Self::Mve)
    }

    /// Whether this machine has it. With feature `std` the processor is asked; without, the
    /// compiler's target features decide.
    #[must_use]
    pub fn is_available(self) -> bool {
        self.is_assumed() || self.is_detected()
    }

    /// Whether the compiler's target features have it: a constant, so that a microcontroller links
    /// the cells of one instruction set.
    const fn is_assumed(self) -> bool {
        match self {
            Self::Scalar => true,
            // Every processor with AVX2 has the other two as well.
            Self::Avx2 => cfg!(all(
                target_arch = "x86_64",
                target_feature = "avx2",
                target_feature = "f16c",
                target_feature = "fma"
            )),
            Self::Neon => cfg!(target_arch = "aarch64"),
            Self::NeonDotprod => cfg!(all(target_arch = "aarch64", target_feature = "dotprod")),
            Self::NeonI8mm => cfg!(all(
                target_arch = "aarch64",
                target_feature = "dotprod",
                target_feature = "i8mm"
            )),
            Self::NeonFp16 => cfg!(all(
                target_arch = "aarch64",
                target_feature = "dotprod",
                target_feature = "fp16"
            )),
            Self::Armv6m => cfg!(armv6m),
            Self::Armv7m => cfg!(armv7m),
            Self::Armv7emDsp => cfg!(armv7em),
            Self::Mve => cfg!(mve),
        }
    }

    /// Whether the processor says so.
    fn is_detected(self) -> bool {
        match self {
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Self::Avx2 => {
                std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("f16c")
                    && std::is_x86_feature_detected!("fma")
            }
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Self::NeonDotprod => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Self::NeonI8mm => {
                Self::NeonDotprod.is_detected() && std::arch::is_aarch64_feature_detected!("i8mm")
            }
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Self::NeonFp16 => {
                Self::NeonDotprod.is_detected() && std::arch::is_aarch64_feature_detected!("fp16")
            }
            _ => false,
        }
    }

    /// The fastest one that this machine has and that gives the [same bits](Self::is_exact) as all
    /// others.
    #[must_use]
    pub fn best() -> Self {
        const ASSUMED: Isa = {
            let (mut best, mut index) = (Isa::Scalar, 0);
            while index < Isa::ALL.len() {
                if Isa::ALL[index].is_assumed() && Isa::ALL[index].is_exact() {
                    best = Isa::ALL[index];
                }
                index += 1;
            }
            best
        };
        if cfg!(not(feature = "std")) {
            return ASSUMED;
        }
        let usable = |isa: &Self| isa.is_exact() && isa.is_available();
        Self::ALL.iter().rev().copied().find(usable).unwrap_or(Self::Scalar)
    }
}

/// The proof that this machine has an instruction set: only [`Verified::new`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified(Isa);

impl Verified {
    /// Asks the machine.
    #[must_use]
    pub fn new(isa: Isa) -> Option<Self> {
        isa.is_available().then_some(Self(isa))
    }

    /// What was verified.
    #[must_use]
    pub const fn isa(self) -> Isa {
        self.0
    }
}
