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
    },
}

/// One board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// What `--board` is called with; also the folder of `firmware-examples/` and its package.
    pub name: &'static str,
    /// The processor, for people.
    pub chip: &'static str,
    /// The Rust target.
    pub triple: &'static str,
    /// How to reach it.
    pub connection: Connection,
}

/// Every board. Adding one is a line here and a folder of `firmware-examples/`.
pub const BOARDS: &[Board] = &[
    Board {
        name: "mps2-an385",
        chip: "Cortex-M3",
        triple: "thumbv7m-none-eabi",
        connection: Connection::Qemu { machine: "mps2-an385" },
    },
    Board {
        name: "mps2-an386",
        chip: "Cortex-M4F",
        triple: "thumbv7em-none-eabihf",
        connection: Connection::Qemu { machine: "mps2-an386" },
    },
    Board {
        name: "mps2-an500",
        chip: "Cortex-M7",
        triple: "thumbv7em-none-eabihf",
        connection: Connection::Qemu { machine: "mps2-an500" },
    },
    Board {
        name: "mps2-an505",
        chip: "Cortex-M33",
        triple: "thumbv8m.main-none-eabihf",
        connection: Connection::Qemu { machine: "mps2-an505" },
    },
    Board {
        name: "mps3-an547",
        chip: "Cortex-M55",
        triple: "thumbv8m.main-none-eabihf",
        connection: Connection::Qemu { machine: "mps3-an547" },
    },
];

/// The board of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.name == name)
}
