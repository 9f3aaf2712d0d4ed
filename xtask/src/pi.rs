//! `cargo xtask pi`: the Raspberry Pi example as a Debian package.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    setup::{self, AARCH64, ARM_TESTS, Platform},
    steps::{cargo, root, run as run_command, target},
    toolchain::on_path,
};

/// A kind of processor that there are packages for.
struct Architecture {
    /// As Debian calls it.
    name: &'static str,
    platform: &'static Platform,
    /// The oldest that the package is for.
    cpu: &'static str,
}

const ARCHITECTURES: &[Architecture] = &[
    Architecture { name: "arm64", platform: &AARCH64, cpu: "cortex-a53" },
    Architecture { name: "armhf", platform: &ARM_TESTS, cpu: "cortex-a7" },
];

/// `[--arch arm64|armhf]`.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let name = match arguments {
        [] => "arm64",
        ["--arch", name] => name,
        _ => return Err(format!("pi: unknown arguments `{}`", arguments.join(" "))),
    };
    let architecture = ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
        let names: Vec<_> = ARCHITECTURES.iter().map(|known| known.name).collect();
        format!("--arch takes one of {}", names.join(", "))
    })?;
    let package = pack(architecture)?;
    println!("\n{}; on the Pi: sudo dpkg -i {PACKAGE}_*.deb", package.display());
    Ok(())
}

/// The example's own tests on the program of every package, emulated.
pub(crate) fn test() -> Result<(), String> {
    ARCHITECTURES.iter().try_for_each(test_package)
}

fn test_package(architecture: &Architecture) -> Result<(), String> {
    let package = pack(architecture)?;
    let folder = package.with_extension("unpacked");
    remove(&folder)?;
    run_command(Command::new("dpkg-deb").arg("-x").arg(package).arg(&folder))?;
    let program = folder.join("usr/bin").join(PACKAGE);
    let Architecture { platform, cpu, .. } = architecture;
    let emulated = format!("{} -cpu {cpu} {}", platform.emulator, program.display());
    let mut command = cargo("test");
    // Of the whole workspace, as the step before: another choice of packages would build them anew.
    command.args(["--locked", "--workspace", "--test", "program"]);
    run_command(command.env("MOTE_PI", emulated))
}

/// Why it cannot be packed here; none when it can.
pub(crate) fn missing() -> Option<String> {
    if on_path("dpkg-deb").is_none() {
        return Some("dpkg-deb is missing; Debian and Ubuntu have it".to_owned());
    }
    let mut platforms = ARCHITECTURES.iter().map(|architecture| architecture.platform);
    platforms.find_map(|platform| {
        if platform.toolchain().is_none() {
            return Some(format!("needs `rustup target add {}`", platform.triple));
        }
        let mut programs = [platform.linker, platform.emulator].into_iter();
        let missing = programs.find(|program| on_path(program).is_none())?;
        Some(format!("{missing} is missing; `cargo xtask setup` installs it"))
    })
}

const PACKAGE: &str = "mote-pi";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds the program and packs it.
fn pack(architecture: &Architecture) -> Result<PathBuf, String> {
    let Architecture { name, platform, .. } = architecture;
    let toolchain = platform.toolchain().ok_or_else(|| {
        format!("no compiler for {}; `cargo xtask setup` installs it", platform.triple)
    })?;
    let mut build = platform.cargo(&toolchain, "build");
    run_command(build.args(["--release", "--locked", "--package", PACKAGE]))?;

    let example = root().join("firmware-examples/raspberry-pi");
    let folder = target().join("pi");
    let tree = folder.join(format!("{PACKAGE}_{VERSION}_{name}"));
    remove(&tree)?;
    let program = setup::emulated_target().join(platform.triple).join("release").join(PACKAGE);
    let files = [
        (program, "usr/bin/mote-pi"),
        (example.join("package/mote-pi.service"), "lib/systemd/system/mote-pi.service"),
        (example.join("package/mote-pi.default"), "etc/default/mote-pi"),
        (example.join("README.md"), "usr/share/doc/mote-pi/README.md"),
        (root().join("LICENSE-MIT"), "usr/share/doc/mote-pi/copyright"),
    ];
    for (from, to) in files {
        copy(&from, &tree.join(to))?;
    }
    run_command(Command::new(platform.strip).arg(tree.join("usr/bin").join(PACKAGE)))?;
    let control = format!(
        "Package: {PACKAGE}\nVersion: {VERSION}\nArchitecture: {name}\n\
         Maintainer: the authors of Mote <nobody@localhost>\nSection: science\nPriority: optional\n\
         Description: classifies pictures and what a camera sees\n \
         Runs networks that the command `mote` made; a service for a camera is included.\n"
    );
    write(&tree.join("DEBIAN/control"), &control)?;
    // An upgrade asks before it replaces what the user changed.
    write(&tree.join("DEBIAN/conffiles"), "/etc/default/mote-pi\n")?;
    let package = folder.join(format!("{PACKAGE}_{VERSION}_{name}.deb"));
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", "--build"]).arg(&tree).arg(&package);
    run_command(&mut command)?;
    Ok(package)
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    make_parent(to)?;
    let copied = fs::copy(from, to);
    copied.map(drop).map_err(|error| format!("cannot copy {}: {error}", from.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    make_parent(path)?;
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn make_parent(path: &Path) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .map_err(|error| format!("cannot create {}: {error}", parent.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder)
        .map_err(|error| format!("cannot remove {}: {error}", folder.display()))
}
