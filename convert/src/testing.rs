//! For the project's own tests: the development data that lies beside the project, and scratch
//! folders.

use core::sync::atomic::{AtomicU32, Ordering};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// A file or folder of the development data, such as `shared("data/cifar10")`.
///
/// It lies in `$MOTE_SHARED`, else in a folder `shared` beside the workspace or above it. Where it
/// is missing the test is skipped and says so.
///
/// # Panics
/// With `MOTE_REQUIRE_SHARED=1`, instead of skipping.
#[must_use]
pub fn shared(name: &str) -> Option<PathBuf> {
    let found = root().map(|root| root.join(name)).filter(|path| path.exists());
    if found.is_none() {
        let required = env::var_os("MOTE_REQUIRE_SHARED").is_some_and(|value| value == "1");
        assert!(!required, "{name} is missing: set MOTE_SHARED to the folder that holds it");
        eprintln!("SKIPPED: needs {name} of the development data; set MOTE_SHARED to its folder");
    }
    found
}

fn root() -> Option<PathBuf> {
    if let Some(root) = env::var_os("MOTE_SHARED") {
        return Some(root.into());
    }
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    let package = package.canonicalize().ok()?;
    package.ancestors().map(|folder| folder.join("shared")).find(|path| path.join("data").is_dir())
}

/// A new folder under the system's temporary one, removed with everything in it on drop.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes an empty folder whose name holds `what`.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mote-test-{what}-{}-{count}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("the temporary folder is writable");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A leftover in the temporary folder hurts nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
