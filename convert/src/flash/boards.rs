//! The boards Mote knows: one line and one folder of `firmware-examples/` each.
//!
//! Plain `std`, no other module: `xtask` includes this file too.

/// How a program gets onto a board and its output back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// QEMU emulates the board.
    Qemu {
        /// The name of `qemu-system-arm -M`.
        machine: &'static str,
    },
    /// A real board behind a debug probe.
    ProbeRs {
        /// The name of `probe-rs run --chip`.
        chip: &'static str,
        /// The family of UF2 files that its boot loader takes as a USB drive, if it does.
        uf2: Option<u32>,
    },
}

/// One board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// What `--board` is called with; also the folder of `firmware-examples/` and its package.
    pub name: &'static str,
    /// The processor, for people.
    pub chip: &'static str,
    /// The target of `mote quantize` that is this processor.
    pub target: &'static str,
    /// The Rust target.
    pub triple: &'static str,
    /// How to reach it.
    pub connection: Connection,
}

/// Every board. Adding one is a line here and a folder of `firmware-examples/`.
pub const BOARDS: &[Board] = &[
    Board {
        name: "microbit",
        chip: "nRF51822, Cortex-M0, emulated",
        target: "cortex-m0plus",
        triple: "thumbv6m-none-eabi",
        connection: Connection::Qemu { machine: "microbit" },
    },
    Board {
        name: "mps2-an385",
        chip: "Cortex-M3, emulated",
        target: "cortex-m3",
        triple: "thumbv7m-none-eabi",
        connection: Connection::Qemu { machine: "mps2-an385" },
    },
    Board {
        name: "mps2-an386",
        chip: "Cortex-M4F, emulated",
        target: "cortex-m4",
        triple: "thumbv7em-none-eabihf",
        connection: Connection::Qemu { machine: "mps2-an386" },
    },
    Board {
        name: "mps2-an500",
        chip: "Cortex-M7, emulated",
        target: "cortex-m7",
        triple: "thumbv7em-none-eabihf",
        connection: Connection::Qemu { machine: "mps2-an500" },
    },
    Board {
        name: "mps2-an505",
        chip: "Cortex-M33, emulated",
        target: "cortex-m33",
        triple: "thumbv8m.main-none-eabihf",
        connection: Connection::Qemu { machine: "mps2-an505" },
    },
    Board {
        name: "mps3-an547",
        chip: "Cortex-M55, emulated",
        target: "cortex-m55",
        triple: "thumbv8m.main-none-eabihf",
        connection: Connection::Qemu { machine: "mps3-an547" },
    },
    Board {
        name: "pico",
        chip: "RP2040, Cortex-M0+",
        target: "cortex-m0plus",
        triple: "thumbv6m-none-eabi",
        connection: Connection::ProbeRs { chip: "RP2040", uf2: Some(0xe48b_ff56) },
    },
    Board {
        name: "pico2",
        chip: "RP2350, Cortex-M33",
        target: "cortex-m33",
        triple: "thumbv8m.main-none-eabihf",
        connection: Connection::ProbeRs { chip: "RP235x", uf2: Some(0xe48b_ff59) },
    },
    Board {
        name: "nucleo-f446re",
        chip: "STM32F446, Cortex-M4F",
        target: "cortex-m4",
        triple: "thumbv7em-none-eabihf",
        connection: Connection::ProbeRs { chip: "STM32F446RETx", uf2: None },
    },
    Board {
        name: "nrf52840-dk",
        chip: "nRF52840, Cortex-M4F",
        target: "cortex-m4",
        triple: "thumbv7em-none-eabihf",
        connection: Connection::ProbeRs { chip: "nRF52840_xxAA", uf2: None },
    },
];

impl Board {
    /// Whether it runs without anybody having to buy it.
    #[must_use]
    pub const fn is_emulated(&self) -> bool {
        matches!(self.connection, Connection::Qemu { .. })
    }
}

/// The board of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.name == name)
}
