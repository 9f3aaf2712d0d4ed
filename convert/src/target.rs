//! The machines that a blob can be packed for.

use mote_kernels::Isa;
use thiserror::Error;

/// A machine that a user names with `--target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The kernels whose layouts the weights are packed in.
    pub isa: Isa,
}

const fn target(name: &'static str, about: &'static str, isa: Isa) -> Target {
    Target { name, about, isa }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("scalar", "any machine, portable kernels", Isa::Scalar),
    target("cortex-m0plus", "Arm Cortex-M0 and M0+", Isa::Armv6m),
    target("cortex-m3", "Arm Cortex-M3", Isa::Armv7m),
    target("cortex-m4", "Arm Cortex-M4", Isa::Armv7emDsp),
    target("cortex-m7", "Arm Cortex-M7", Isa::Armv7emDsp),
    target("cortex-m33", "Arm Cortex-M33", Isa::Armv7emDsp),
    target("cortex-m55", "Arm Cortex-M55 with Helium", Isa::Mve),
    target("aarch64", "any AArch64", Isa::Neon),
    target("pi-zero2", "Raspberry Pi Zero 2 W (Cortex-A53)", Isa::Neon),
    target("pi3", "Raspberry Pi 3 (Cortex-A53)", Isa::Neon),
    target("pi4", "Raspberry Pi 4 (Cortex-A72)", Isa::Neon),
    target("pi5", "Raspberry Pi 5 (Cortex-A76)", Isa::NeonDotprod),
    target("aarch64-dotprod", "AArch64 with dot products", Isa::NeonDotprod),
    target("pi5-fp16", "Raspberry Pi 5, to run with --isa neon_fp16", Isa::NeonFp16),
    target("aarch64-i8mm", "AArch64 with matrix products (i8mm)", Isa::NeonI8mm),
    target("x86-64-v3", "x86-64 with AVX2", Isa::Avx2),
    target("x86-64-v4", "x86-64 with AVX-512", Isa::Avx2),
];

impl Target {
    /// The target called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TARGETS.iter().copied().find(|target| target.name == name)
    }

    /// Whether it computes with floats by itself; a chip that does not takes dozens of instructions
    /// for each operation.
    #[must_use]
    pub fn has_floats(self) -> bool {
        !matches!(self.name, "cortex-m0plus" | "cortex-m3")
    }

    /// The plainest target whose kernels are the fastest on this machine.
    #[must_use]
    pub fn host() -> Self {
        TARGETS.iter().copied().find(|target| target.isa == Isa::best()).unwrap_or(TARGETS[0])
    }
}

/// A name that no instruction set has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown instruction set `{0}`; known: {known}", known = known().join(", "))]
pub struct UnknownIsa(String);

fn known() -> Vec<&'static str> {
    Isa::ALL.iter().map(|isa| isa.name()).collect()
}

/// The instruction set called `name`; the fastest one of this machine where none is named.
///
/// # Errors
/// [`UnknownIsa`].
pub fn isa(name: Option<&str>) -> Result<Isa, UnknownIsa> {
    let Some(name) = name else { return Ok(Isa::best()) };
    Isa::from_name(name).ok_or_else(|| UnknownIsa(name.to_owned()))
}
