//! Builds a board's firmware around a blob, in a cache of its own so that the next time is quick.

use core::sync::atomic::{AtomicU32, Ordering};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use mote_engine::Isa;

use super::{Board, FlashError, io_error, log::Log, toolchain::Toolchain};
use crate::blob::Blob;
use crate::emit::AlignedBytes;
use crate::fetch::cache_dir;
use crate::target::Target;

/// Where a board's firmware is built. While it is open no other process builds there.
pub(super) struct Workshop {
    board: &'static str,
    /// The kernels of its processor, when it is a known one.
    isa: Option<Isa>,
    sources: PathBuf,
    target: PathBuf,
    triple: &'static str,
    toolchain: Toolchain,
    _lock: File,
}

/// Built images, kept until this is dropped.
pub(super) struct Images {
    folder: PathBuf,
}

impl Workshop {
    /// Finds sources, toolchain and cache.
    pub(super) fn open(board: &Board) -> Result<Self, FlashError> {
        let sources = sources();
        if !sources.join(board.name).join("Cargo.toml").is_file() {
            return Err(FlashError::NoFirmware(sources.join(board.name)));
        }
        let toolchain =
            Toolchain::find(board.triple).ok_or(FlashError::NoToolchain(board.triple))?;
        let target = cache_dir()?.join("firmware");
        fs::create_dir_all(&target).map_err(io_error(|| format!("create {}", target.display())))?;
        let lock = target.join("lock");
        let lock = File::create(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(io_error(|| format!("lock {}", lock.display())))?;
        Ok(Self {
            board: board.name,
            isa: Target::from_name(board.target).map(|target| target.isa),
            sources,
            target,
            triple: board.triple,
            toolchain,
            _lock: lock,
        })
    }

    /// The compiler, for people.
    pub(super) fn compiler(&self) -> String {
        self.toolchain.describe()
    }

    /// Builds `binaries` around the blob.
    pub(super) fn build(
        &self,
        blob: &[u8],
        input: &[i8],
        binaries: &[&'static str],
    ) -> Result<Images, FlashError> {
        // The same paths every time: cargo then sees whether the contents changed.
        let embedded_blob = self.target.join("embedded.mote");
        let embedded_input = self.target.join("embedded.input");
        let input: Vec<u8> = input.iter().map(|value| value.cast_unsigned()).collect();
        write_if_changed(&embedded_blob, blob)?;
        write_if_changed(&embedded_input, &input)?;

        let mut cargo = self.toolchain.cargo("build");
        cargo
            .arg("--release")
            .args(["--package", self.board])
            .args(binaries.iter().flat_map(|binary| ["--bin", binary]))
            .args(if binaries == ["serve"] { &[][..] } else { &["--no-default-features"] })
            .args(["--features", &features(blob, self.isa)])
            .current_dir(self.sources.join(self.board))
            .env("CARGO_TARGET_DIR", &self.target)
            .env("DEFMT_LOG", "info")
            .env("MOTE_BLOB", &embedded_blob)
            .env("MOTE_INPUT", &embedded_input)
            .stdin(Stdio::null());
        let output = cargo.output().map_err(io_error(|| "start cargo".to_owned()))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr).into_owned();
            let missing =
                |binary: &&&'static str| log.contains(&format!("no bin target named `{binary}`"));
            if let Some(binary) = binaries.iter().find(missing) {
                return Err(FlashError::NoBinary { board: self.board, binary });
            }
            return Err(match log.lines().find(|line| line.contains("will not fit in region")) {
                Some(line) => FlashError::DoesNotFit(line.trim().to_owned()),
                None => FlashError::BuildFailed(log),
            });
        }

        let images = Images::create(&self.target)?;
        for binary in binaries {
            let built = self.target.join(self.triple).join("release").join(binary);
            fs::copy(&built, images.path(binary))
                .map_err(io_error(|| format!("copy {}", built.display())))?;
        }
        Ok(images)
    }

    /// The firmware lacks a line that this version expects.
    pub(super) fn bad_report(&self, missing: &'static str, log: &Log) -> FlashError {
        let folder = self.sources.join(self.board);
        FlashError::BadReport { missing, folder, log: log.lines().join("\n") }
    }
}

impl Images {
    fn create(target: &Path) -> Result<Self, FlashError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = target.join(format!("run-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder).map_err(io_error(|| format!("create {}", folder.display())))?;
        Ok(Self { folder })
    }

    /// Where the images lie; the runs' working directory too.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, binary: &str) -> PathBuf {
        self.folder.join(binary)
    }

    pub(super) fn read(&self, binary: &str) -> Result<Vec<u8>, FlashError> {
        let path = self.path(binary);
        fs::read(&path).map_err(io_error(|| format!("read {}", path.display())))
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        // A folder left behind in the cache does no harm.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `firmware-examples/` of the repository this was built from, or where MOTE_FIRMWARE says.
pub(super) fn sources() -> PathBuf {
    env::var_os("MOTE_FIRMWARE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("firmware-examples"),
        PathBuf::from,
    )
}

/// What the firmware links of the engine, whose kernels are those of `isa`. For bytes that are no blob
/// all of it: the firmware then says what is wrong.
fn features(blob: &[u8], isa: Option<Isa>) -> String {
    let Ok(blob) = Blob::new(AlignedBytes::from(blob)) else { return "all".to_owned() };
    let features = blob.features(isa).into_iter().map(|feature| format!("mote-engine/{feature}"));
    features.collect::<Vec<_>>().join(",")
}

fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), FlashError> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(io_error(|| format!("write {}", path.display())))
}
