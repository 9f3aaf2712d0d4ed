//! Which Rust compiler on this machine can build for a microcontroller, and how.
//!
//! Three ways, best first: the active toolchain with the target installed (`rustup target add`), the
//! active toolchain with its sources (`rustup component add rust-src`), the distribution's
//! compiler with its sources. The latter two build `core` themselves.
//!
//! Plain `std`, no other module: `xtask` includes this file too.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A way to build for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    triple: String,
    cargo: PathBuf,
    rustc: PathBuf,
    /// `core` comes as sources and is built along.
    builds_core: bool,
    /// A linker for this target; none when the compiler brings its own.
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// Finds the best toolchain for `triple`; none when something has to be installed first.
    pub(crate) fn find(triple: &str) -> Option<Self> {
        let active = Compiler::of("cargo", "rustc");
        let system = Compiler::of("/usr/bin/cargo", "/usr/bin/rustc");
        // The active compiler's lld serves both: the distribution's compiler comes without one.
        let linker = [&active, &system]
            .into_iter()
            .flatten()
            .find_map(Compiler::bundled_lld)
            .or_else(|| on_path("arm-none-eabi-ld"))
            .or_else(|| on_path("ld.lld"));

        for compiler in [active, system].into_iter().flatten() {
            if !compiler.is_recent() {
                continue;
            }
            let installed = compiler.has_target(triple);
            if !installed && (!compiler.has_sources() || linker.is_none()) {
                continue;
            }
            return Some(Self {
                triple: triple.to_owned(),
                builds_core: !installed,
                linker: if installed && compiler.bundled_lld().is_some() {
                    None
                } else {
                    linker.clone()
                },
                cargo: compiler.cargo,
                rustc: compiler.rustc,
            });
        }
        None
    }

    /// `cargo SUBCOMMAND` for the target, with everything set that the toolchain needs.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.cargo);
        command.arg(subcommand).arg("--target").arg(&self.triple);
        // The caller may itself be run by another cargo, whose choices are not meant for this one.
        for variable in ["CARGO", "RUSTC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTDOC"] {
            command.env_remove(variable);
        }
        command.env_remove("CARGO_BUILD_TARGET").env_remove("RUSTC_WRAPPER");
        if self.builds_core {
            command.arg("-Zbuild-std=core").env("RUSTC_BOOTSTRAP", "1");
        }
        if self.rustc.is_absolute() {
            command.env("RUSTC", &self.rustc);
        }
        if let Some(linker) = &self.linker {
            let triple = self.triple.to_uppercase().replace('-', "_");
            command.env(format!("CARGO_TARGET_{triple}_LINKER"), linker);
        }
        command
    }

    /// Whether it is the active toolchain, with everything that belongs to it, clippy too.
    #[allow(dead_code, reason = "only xtask asks")]
    pub(crate) fn is_complete(&self) -> bool {
        !self.builds_core && !self.rustc.is_absolute()
    }

    /// Whether programs with a standard library can be built.
    #[allow(dead_code, reason = "only xtask asks")]
    pub(crate) fn has_std(&self) -> bool {
        !self.builds_core
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        let version = first_line(Command::new(&self.rustc).arg("--version")).unwrap_or_default();
        let how = if self.builds_core { "building core from source" } else { "target installed" };
        format!("{version}, {how}")
    }
}

/// The oldest compiler the project builds with: `rust-version` of its manifests.
pub(crate) const MINIMUM: (u32, u32) = (1, 95);

/// The full path of a program, if the shell would find it.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

struct Compiler {
    cargo: PathBuf,
    rustc: PathBuf,
    sysroot: PathBuf,
}

impl Compiler {
    fn of(cargo: &str, rustc: &str) -> Option<Self> {
        let sysroot = first_line(Command::new(rustc).args(["--print", "sysroot"]))?;
        Some(Self { cargo: cargo.into(), rustc: rustc.into(), sysroot: sysroot.into() })
    }

    fn is_recent(&self) -> bool {
        let Some(line) = first_line(Command::new(&self.rustc).arg("--version")) else {
            return false;
        };
        let mut numbers = line
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .split(['.', '-'])
            .map(|number| number.parse::<u32>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= MINIMUM
    }

    fn has_target(&self, triple: &str) -> bool {
        fs::read_dir(self.sysroot.join("lib/rustlib").join(triple).join("lib")).is_ok_and(|files| {
            files.flatten().any(|f| f.file_name().to_string_lossy().starts_with("libcore-"))
        })
    }

    fn has_sources(&self) -> bool {
        self.sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file()
    }

    fn bundled_lld(&self) -> Option<PathBuf> {
        fs::read_dir(self.sysroot.join("lib/rustlib"))
            .ok()?
            .flatten()
            .map(|host| host.path().join("bin").join("rust-lld"))
            .find(|lld: &PathBuf| Path::is_file(lld))
    }
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
}
