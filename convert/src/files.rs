//! Files: errors that name the file, bounded reads, and writes that are whole or absent.

use core::sync::atomic::{AtomicU32, Ordering};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// The verb: "read", "write".
    pub action: &'static str,
    /// The file as the caller named it.
    pub path: PathBuf,
    /// The system's reason.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// A failure to `action` the file at `path`.
    pub fn new(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { action, path: path.into(), source }
    }
}

/// Writes `bytes` beside `path` and renames: a reader sees the old file or the whole new one.
///
/// # Errors
/// [`FileError`] if the folder is missing, not writable or full; `path` is then untouched.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FileError> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// [`write_atomic`] for content that is produced piece by piece.
///
/// # Errors
/// Those of [`write_atomic`], and whatever `fill` returns.
pub fn write_atomic_with(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let error = |source| FileError::new("write", path, source);
    let beside = beside(path).map_err(error)?;
    let written = File::create_new(&beside).and_then(|file| {
        let mut file = io::BufWriter::new(file);
        fill(&mut file)?;
        file.into_inner()?.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // The first error is the one to tell; a leftover is only untidy.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(error)
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// [`FileError`] if the file cannot be read or is longer than `limit`.
pub fn read_bounded(path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let what = format!("longer than the {limit} bytes that are reasonable here");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        Ok(bytes)
    };
    read().map_err(|source| FileError::new("read", path, source))
}

/// The SHA-256 of some bytes, in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
    text
}

/// A name in the same folder (a rename must not cross file systems) that nobody else uses.
fn beside(path: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    part.push(format!(".{}-{count}.part", std::process::id()));
    Ok(path.with_file_name(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_beside() {
        let dir = TempDir::new("files");
        let path = dir.path().join("a.bin");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two!").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two!");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let dir = TempDir::new("files");
        let path = dir.path().join("a.bin");
        write_atomic(&path, b"old").unwrap();
        let fill = |file: &mut dyn Write| {
            file.write_all(b"ne")?;
            Err(io::Error::other("the source dried up"))
        };
        let error = write_atomic_with(&path, fill).unwrap_err().to_string();
        assert!(error.contains("a.bin") && error.contains("dried up"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = TempDir::new("files");
        let missing = dir.path().join("no/such/folder/x");
        assert!(write_atomic(&missing, b"").unwrap_err().to_string().contains("no/such/folder/x"));
        assert!(read_bounded(&missing, 9).unwrap_err().to_string().contains("no/such/folder/x"));
    }

    #[test]
    fn hashes_as_the_standard_says() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), abc);
    }

    #[test]
    fn reads_up_to_the_limit_and_not_beyond() {
        let dir = TempDir::new("files");
        let path = dir.path().join("ten");
        write_atomic(&path, &[7; 10]).unwrap();
        assert_eq!(read_bounded(&path, 10).unwrap(), [7; 10]);
        let error = read_bounded(&path, 9).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::FileTooLarge);
    }
}
