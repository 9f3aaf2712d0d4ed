//! A blob onto a board: build the board's firmware around it, run it, read what it reports.
//!
//! ```text
//! blob + inputs --build--> ELF images --QEMU or probe--> defmt log --> FlashReport
//! ```
//!
//! The firmware lies in `firmware-examples/`, one folder a board. Every board has `classify`, which
//! runs one picture and measures. Emulated ones also have `parity`, which runs a batch of vectors,
//! and `size`, the smallest program around the engine, which says what Mote costs in flash. Boards
//! with `serve` take pictures and models over a serial line.

use core::time::Duration;
use std::{fs, io, path::PathBuf};

use thiserror::Error;

use crate::fetch::FetchError;
use crate::flash::{
    build::{Images, Workshop},
    elf::Elf,
    log::Log,
    qemu::Clock,
};

pub use boards::{BOARDS, Board, Connection};
pub use firmware::{Image, Program, image, run_on_probe, uf2};

pub mod boards;
mod build;
mod defmt;
mod elf;
mod firmware;
mod log;
mod qemu;
mod toolchain;
mod uf2;

/// What a run of a blob on a board showed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FlashReport {
    /// The label of the first input's best class; its number when the blob has no labels.
    pub label: String,
    /// The score of that class.
    pub score: f32,
    /// The raw output tensor of every input.
    pub outputs: Vec<Vec<i8>>,
    /// Instructions executed by `Session::run` on the first input (cycles on a real board).
    pub instructions: u64,
    /// Flash of the smallest program that runs this blob: engine, kernels, runtime and the blob.
    pub flash_bytes: u32,
    /// The same without the blob.
    pub engine_bytes: u32,
    /// RAM of the activations.
    pub arena_bytes: u32,
    /// Deepest stack of opening the blob and running it, from the top of RAM.
    pub stack_bytes: u32,
    /// `.vector_table` and `.text` of the smallest program.
    pub text_bytes: u32,
    /// `.rodata` of the smallest program, blob included.
    pub rodata_bytes: u32,
    /// `.data` of the smallest program.
    pub data_bytes: u32,
    /// `.bss` of the smallest program, arena included.
    pub bss_bytes: u32,
    /// Instructions of every layer, when [`Options::layers`] asks for them.
    pub layers: Vec<u64>,
    /// Every line the firmware logged.
    pub log: Vec<String>,
}

/// How to run.
pub struct Options<'a> {
    /// A run that takes longer is stopped.
    pub timeout: Duration,
    /// Counts the instructions of every layer too.
    pub layers: bool,
    /// Told what happens next, for a progress line.
    pub progress: &'a dyn Fn(&str),
}

impl core::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Options").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(600), layers: false, progress: &|_| {} }
    }
}

/// Why a blob could not be run on a board.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlashError {
    /// No such board.
    #[error("no board is called `{name}`; the boards are: {known}")]
    UnknownBoard {
        /// What was asked for.
        name: String,
        /// Every name.
        known: String,
    },
    /// Nothing to run.
    #[error("a board needs at least one input tensor to run")]
    NoInput,
    /// The firmware's sources are not where they should be.
    #[error("no firmware for this board at {}; \
             set MOTE_FIRMWARE to the folder firmware-examples of Mote's repository", .0.display())]
    NoFirmware(PathBuf),
    /// No compiler for the board's processor.
    #[error(
        "no Rust toolchain here builds for {0}; run `rustup target add {0}`, \
             or `cargo xtask setup` in Mote's repository, which knows more ways"
    )]
    NoToolchain(&'static str),
    /// A program of the system is missing.
    #[error("{program} is missing; {remedy}")]
    MissingProgram {
        /// Its name.
        program: &'static str,
        /// How to get it.
        remedy: &'static str,
    },
    /// Blob, inputs and code are larger than the board's memory.
    #[error("this blob does not fit the board: {0}")]
    DoesNotFit(String),
    /// The compiler or the linker refused.
    #[error("building the firmware failed:\n{0}")]
    BuildFailed(String),
    /// The run did not end.
    #[error("the firmware did not finish within {seconds} s; its log so far:\n{log}")]
    Timeout {
        /// The limit.
        seconds: u64,
        /// What it had said.
        log: String,
    },
    /// The firmware gave up.
    #[error("the firmware stopped with an error ({status}):\n{log}")]
    RunFailed {
        /// The emulator's exit status.
        status: String,
        /// What it had said.
        log: String,
    },
    /// The image is not what this tool expects of Mote's firmware.
    #[error("the firmware image cannot be read: {0}")]
    BadImage(String),
    /// The run ended well, but did not report everything.
    #[error("the firmware did not report `{missing}`; is {} of this version of Mote? Its log:\n{log}",
            folder.display())]
    BadReport {
        /// The key.
        missing: &'static str,
        /// Where the firmware came from.
        folder: PathBuf,
        /// What it said.
        log: String,
    },
    /// No place to build.
    #[error(transparent)]
    NoCache(#[from] FetchError),
    /// The board has no such program.
    #[error("{board} has no firmware `{binary}`; boards that have are in firmware-examples")]
    NoBinary {
        /// The board.
        board: &'static str,
        /// What was asked for.
        binary: &'static str,
    },
    /// What was asked for needs the other kind of board.
    #[error(
        "{0} is a real board, whose log goes to its debug probe; only emulated ones report here"
    )]
    NotEmulated(&'static str),
    /// What was asked for needs the other kind of board.
    #[error("{0} is emulated; there is no probe to reach it by")]
    Emulated(&'static str),
    /// A board without a boot loader that is a USB drive.
    #[error("{0} takes no .uf2 file; name the image .elf")]
    NoUf2(&'static str),
    /// A file or a process of the host.
    #[error("cannot {doing}: {source}")]
    Io {
        /// The action.
        doing: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Builds the board's firmware with `blob` inside, runs it over `inputs`, and reports.
///
/// The first input is embedded like a camera's picture and measured; when there are more, all of
/// them run once more through the parity binary.
///
/// # Errors
/// See [`FlashError`]; every message says what to do next.
pub fn flash(
    blob: &[u8],
    board: &Board,
    inputs: &[&[i8]],
    options: &Options<'_>,
) -> Result<FlashReport, FlashError> {
    let first = inputs.first().ok_or(FlashError::NoInput)?;
    let machine = match board.connection {
        Connection::Qemu { machine } => machine,
        Connection::ProbeRs { .. } => return Err(FlashError::NotEmulated(board.name)),
    };

    let workshop = Workshop::open(board)?;
    (options.progress)(&format!("building the firmware ({})", workshop.compiler()));
    let mut binaries = vec!["classify", "size"];
    binaries.extend((inputs.len() > 1).then_some("parity"));
    binaries.extend(options.layers.then_some("profile"));
    let images = workshop.build(blob, first, &binaries)?;

    (options.progress)("running the picture");
    let run = |binary, clock, inputs| run(machine, &images, binary, clock, inputs, options);
    let mut log = run("classify", Clock::Instructions, &[])?;
    let mut outputs = vec![log.bytes("output").ok_or_else(|| workshop.bad_report("output", &log))?];
    let measured = log.clone();
    if inputs.len() > 1 {
        (options.progress)("running the test vectors");
        let parity = run("parity", Clock::Host, inputs)?;
        outputs = parity.all_bytes("output");
        if outputs.len() != inputs.len() {
            return Err(workshop.bad_report("output", &parity));
        }
        log.append(parity);
    }

    let mut layers = Vec::new();
    if options.layers {
        (options.progress)("counting layer by layer");
        let profile = run("profile", Clock::Instructions, &[])?;
        layers = profile.numbers("layer");
        log.append(profile);
    }

    let size = images.read("size")?;
    let size = Elf::parse(&size)?;
    let text_bytes = size.section_bytes(".vector_table") + size.section_bytes(".text");
    let rodata_bytes = size.section_bytes(".rodata");
    let data_bytes = size.section_bytes(".data");
    let flash_bytes = text_bytes + rodata_bytes + data_bytes;
    let number = |key| measured.number(key).ok_or_else(|| workshop.bad_report(key, &measured));
    let narrow = |key| number(key).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
    Ok(FlashReport {
        label: measured.text("label").ok_or_else(|| workshop.bad_report("label", &measured))?,
        score: measured
            .text("score")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| workshop.bad_report("score", &measured))?,
        outputs,
        instructions: number("instructions")?,
        flash_bytes,
        engine_bytes: flash_bytes.saturating_sub(u32::try_from(blob.len()).unwrap_or(u32::MAX)),
        arena_bytes: narrow("arena_bytes")?,
        stack_bytes: narrow("stack_bytes")?,
        text_bytes,
        rodata_bytes,
        data_bytes,
        bss_bytes: size.section_bytes(".bss"),
        layers,
        log: log.lines(),
    })
}

/// The board called `name`.
///
/// # Errors
/// [`FlashError::UnknownBoard`] names those there are.
pub fn board(name: &str) -> Result<&'static Board, FlashError> {
    boards::find(name).ok_or_else(|| FlashError::UnknownBoard {
        name: name.to_owned(),
        known: BOARDS.iter().map(|board| board.name).collect::<Vec<_>>().join(", "),
    })
}

fn run(
    machine: &str,
    images: &Images,
    binary: &str,
    clock: Clock,
    inputs: &[&[i8]],
    options: &Options<'_>,
) -> Result<Log, FlashError> {
    let image = images.read(binary)?;
    let decoder = defmt::Decoder::new(&Elf::parse(&image)?)?;
    let folder = images.folder();
    if !inputs.is_empty() {
        let file = folder.join("input.bin");
        let bytes: Vec<u8> =
            inputs.iter().flat_map(|v| v.iter().map(|x| x.cast_unsigned())).collect();
        fs::write(&file, bytes).map_err(io_error(|| format!("write {}", file.display())))?;
    }
    let ended = qemu::run(machine, &images.path(binary), folder, clock, options.timeout)?;
    let log = Log::new(decoder.decode(&ended.stdout), &ended.stderr);
    match ended.status {
        Some(status) if status.success() => Ok(log),
        Some(status) => {
            Err(FlashError::RunFailed { status: status.to_string(), log: log.lines().join("\n") })
        }
        None => Err(FlashError::Timeout {
            seconds: options.timeout.as_secs(),
            log: log.lines().join("\n"),
        }),
    }
}

fn io_error(doing: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> FlashError {
    move |source| FlashError::Io { doing: doing(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    #[test]
    fn an_unknown_board_lists_the_boards() {
        let error = board("toaster").expect_err("there is no such board").to_string();
        assert!(error.contains("toaster") && error.contains("mps2-an386"), "{error}");
    }

    #[test]
    fn every_board_has_a_target() {
        for board in BOARDS {
            assert!(Target::from_name(board.target).is_some(), "{}", board.name);
        }
    }

    #[test]
    fn every_board_has_its_firmware() {
        for board in BOARDS {
            let folder = build::sources().join(board.name);
            for file in ["Cargo.toml", ".cargo/config.toml", "memory.x", "README.md"] {
                assert!(folder.join(file).is_file(), "{} lacks {file}", folder.display());
            }
        }
    }
}
