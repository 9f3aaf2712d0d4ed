//! A blob as source code that a firmware project adds: a Rust crate, or a C library.
//!
//! ```text
//! blob --rust--> Cargo.toml  README.md  model.mote  src/lib.rs
//! blob --c-----> the same, build.sh and include/mote_NAME.h
//! ```
//!
//! Both link only the operations and the contract that the blob uses.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::blob::Blob;
use crate::files::{FileError, write_atomic};
use facts::Facts;

mod facts;

/// The language of the project that a blob is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// A crate around [`mote_engine::include_model!`].
    Rust,
    /// A header and a static library that cargo builds.
    C,
}

/// What an export wrote.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Every file, from the folder that was asked for.
    pub files: Vec<PathBuf>,
    /// The features of the engine that the blob needs.
    pub features: Vec<&'static str>,
}

/// Why a blob was not exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A name that neither C nor Rust takes.
    #[error("`{0}` is no name for a module; take lower-case letters, digits and _, a letter first")]
    Name(String),
    /// A name that would stand for two crates at once.
    #[error("`{0}` is what Mote itself is called; choose another name")]
    TakenName(String),
    /// No engine to depend on.
    #[error("no mote-engine in {}; --engine names the folder `engine` of Mote's repository", .0.display())]
    NoEngine(PathBuf),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Writes the project `name` around `blob` into `folder`, which is made when missing. Files that are
/// there are replaced, each as a whole; the blob comes first and the manifest last.
///
/// `engine` is the folder of the crate `mote-engine`.
///
/// # Errors
/// [`ExportError`].
pub fn export(
    blob: &Blob,
    language: Language,
    name: &str,
    engine: &Path,
    folder: &Path,
) -> Result<Exported, ExportError> {
    check_name(name)?;
    let engine = fs::canonicalize(engine)
        .ok()
        .filter(|engine| engine.join("Cargo.toml").is_file())
        .ok_or_else(|| ExportError::NoEngine(engine.to_owned()))?;
    let features = blob.features(None);
    let facts = Facts::new(blob, &features, name, &engine);
    let mut files = vec![PathBuf::from("model.mote")];
    write(folder, &files[0], blob.bytes())?;
    for (file, template) in templates(language) {
        let file = PathBuf::from(facts.fill(file));
        write(folder, &file, facts.fill(template).as_bytes())?;
        if file.extension().is_some_and(|extension| extension == "sh") {
            let path = folder.join(&file);
            make_executable(&path).map_err(|source| FileError::new("permit", path, source))?;
        }
        files.push(file);
    }
    Ok(Exported { files, features })
}

/// The name of a file as a name of the two languages: `My Person-2.mote` becomes `my_person_2`.
#[must_use]
pub fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let keep = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let name: String = stem.chars().map(keep).collect();
    if name.starts_with(|first: char| first.is_ascii_lowercase()) {
        name
    } else {
        format!("model_{name}")
    }
}

/// The engine's folder in the repository that this was built from.
#[must_use]
pub fn engine() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("engine")
}

/// File names and contents, `{{key}}` where a fact belongs.
fn templates(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Rust => &[
            ("src/lib.rs", include_str!("export/rust/lib.rs.in")),
            ("README.md", include_str!("export/rust/README.md.in")),
            ("Cargo.toml", include_str!("export/rust/Cargo.toml.in")),
        ],
        Language::C => &[
            ("src/lib.rs", include_str!("export/c/lib.rs.in")),
            ("include/mote_{{name}}.h", include_str!("export/c/mote.h.in")),
            ("README.md", include_str!("export/c/README.md.in")),
            ("build.sh", include_str!("export/c/build.sh.in")),
            ("Cargo.toml", include_str!("export/c/Cargo.toml.in")),
        ],
    }
}

fn check_name(name: &str) -> Result<(), ExportError> {
    let first = name.starts_with(|first: char| first.is_ascii_lowercase());
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !first || !name.chars().all(rest) {
        return Err(ExportError::Name(name.to_owned()));
    }
    if matches!(name, "engine" | "kernels") {
        return Err(ExportError::TakenName(name.to_owned()));
    }
    Ok(())
}

fn write(folder: &Path, file: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let path = folder.join(file);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| FileError::new("create", parent, source))?;
    }
    write_atomic(path, bytes)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_become_names() {
        for (path, name) in [
            ("a/Person.mote", "person"),
            ("My Person-2.mote", "my_person_2"),
            ("96x96.mote", "model_96x96"),
            ("여우.mote", "model___"),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
            assert!(check_name(name).is_ok());
        }
    }

    #[test]
    fn names_that_no_compiler_takes_are_refused() {
        for name in ["", "2nd", "a-b", "Person", "x y", "_x", "engine", "kernels"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
