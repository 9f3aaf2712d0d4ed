//! The firmware of any board as a file, and onto a real board.

use std::{fs, process::Command};

use super::{
    Board, Connection, FlashError, Options, build::Workshop, elf::Elf, io_error, toolchain::on_path,
};
use crate::fetch::cache_dir;

/// A firmware image, ready for a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The program, as debuggers and emulators take it.
    pub elf: Vec<u8>,
    /// Flash that it takes, the blob included.
    pub flash_bytes: u32,
    /// RAM of its statics, the arena included; the stack has what is left.
    pub ram_bytes: u32,
}

/// Which program of a board to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// One picture, built in.
    Classify,
    /// Pictures and models over a serial line. Links every operation: what comes may need any.
    Serve,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Serve => "serve",
        }
    }
}

/// Builds the firmware of any board, emulated or not, around a blob.
///
/// # Errors
/// See [`FlashError`].
pub fn image(
    blob: &[u8],
    board: &Board,
    program: Program,
    input: &[i8],
    options: &Options<'_>,
) -> Result<Image, FlashError> {
    let workshop = Workshop::open(board)?;
    (options.progress)(&format!("building the firmware ({})", workshop.compiler()));
    let images = workshop.build(blob, input, &[program.name()])?;
    let bytes = images.read(program.name())?;
    let elf = Elf::parse(&bytes)?;
    let (flash_bytes, ram_bytes) = (elf.loaded_bytes(), elf.ram_bytes());
    Ok(Image { elf: bytes, flash_bytes, ram_bytes })
}

/// `image` as a file for the USB drive that the board's boot loader is.
///
/// # Errors
/// [`FlashError::NoUf2`], [`FlashError::BadImage`].
pub fn uf2(image: &Image, board: &Board) -> Result<Vec<u8>, FlashError> {
    match board.connection {
        Connection::ProbeRs { uf2: Some(family), .. } => {
            super::uf2::write(&Elf::parse(&image.elf)?.segments(), family)
        }
        _ => Err(FlashError::NoUf2(board.name)),
    }
}

/// Hands an image to `probe-rs run`, which writes it to the board, starts it and shows its log until
/// it is interrupted.
///
/// # Errors
/// [`FlashError::Emulated`], [`FlashError::MissingProgram`], [`FlashError::RunFailed`],
/// [`FlashError::Io`].
pub fn run_on_probe(image: &Image, board: &Board) -> Result<(), FlashError> {
    let Connection::ProbeRs { chip, .. } = board.connection else {
        return Err(FlashError::Emulated(board.name));
    };
    let probe = on_path("probe-rs").ok_or(FlashError::MissingProgram {
        program: "probe-rs",
        remedy: "install it from probe.rs, or take --image FILE and copy that to the board",
    })?;
    let elf = cache_dir()?.join("firmware").join(format!("{}.elf", board.name));
    fs::write(&elf, &image.elf).map_err(io_error(|| format!("write {}", elf.display())))?;
    let mut command = Command::new(probe);
    let status = command.args(["run", "--chip", chip]).arg(elf).status();
    let status = status.map_err(io_error(|| "start probe-rs".to_owned()))?;
    if status.success() {
        return Ok(());
    }
    Err(FlashError::RunFailed { status: status.to_string(), log: "see above".to_owned() })
}
