//! `cargo xtask test`: everything that CI checks, cheapest first.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    boards::{BOARDS, Connection},
    pi,
    setup::{self, Platform},
    steps::{Steps, cargo, root, run as run_command, target},
    toolchain::{MINIMUM, Toolchain, on_path},
};

/// Runs every step; the first failure ends it.
pub(crate) fn run() -> Result<(), String> {
    let mut steps = Steps::default();
    steps.step("setup", || {
        setup::run(&[setup::Need::Firmware, setup::Need::Boards, setup::Need::Arm])
    })?;
    steps.step("format", format)?;
    steps.step("clippy", || {
        let mut command = cargo("clippy");
        command.args(["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
        run_command(&mut command)
    })?;
    minimum_version(&mut steps)?;
    steps.step("documentation", || {
        let mut command = cargo("doc");
        command.args(["--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings");
        run_command(&mut command)
    })?;
    steps.step("no_std", no_std)?;
    steps.step("tests", tests)?;
    arm_tests(&mut steps)?;
    raspberry_pi(&mut steps)?;
    steps.step("kernels on the chip", chip_tests)?;
    aarch64_lints(&mut steps)?;
    firmware_lints(&mut steps)?;
    steps.step("firmware under QEMU", firmware)?;
    steps.step("no panic path", no_panic_path)?;
    steps.print_summary();
    println!("\neverything holds");
    Ok(())
}

fn format() -> Result<(), String> {
    run_command(cargo("fmt").args(["--all", "--check"]))?;
    let firmware = root().join("firmware-examples");
    run_command(cargo("fmt").args(["--all", "--check"]).current_dir(firmware))
}

/// The unit, integration and documentation tests, the seeded hostile inputs among them.
fn tests() -> Result<(), String> {
    let mut command = cargo("test");
    command.args(["--workspace", "--locked"]);
    // Where the processor has it, a test that silently skips it would prove nothing.
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        command.env("KERNELS_REQUIRE", "Avx2");
    }
    run_command(&mut command)
}

/// The kernels' own tests as programs for Arm: every case of the parity harness on the cells of the
/// Cortex-M4, whose instructions an Armv7-A has as well, and on those of AArch64, on four processors
/// with more and more of its instructions.
fn arm_tests(steps: &mut Steps) -> Result<(), String> {
    const ARMV7: &[(&str, &str)] = &[("max", "Armv6m,Armv7m,Armv7emDsp")];
    const AARCH64: &[(&str, &str)] = &[
        ("cortex-a53", "Neon"),
        ("cortex-a72", "Neon"),
        ("cortex-a76", "Neon,NeonDotprod,NeonFp16"),
        ("max,sve=off,sme=off,pauth-impdef=on", "Neon,NeonDotprod,NeonI8mm,NeonFp16"),
    ];
    emulated_tests(steps, "kernels on Arm", &setup::ARM_TESTS, ARMV7)?;
    emulated_tests(steps, "kernels on AArch64", &setup::AARCH64, AARCH64)
}

/// The example's program as it is packed, on an emulated processor of a Raspberry Pi.
fn raspberry_pi(steps: &mut Steps) -> Result<(), String> {
    const NAME: &str = "Raspberry Pi example";
    match pi::missing() {
        Some(reason) => steps.skip(NAME, reason),
        None => steps.step(NAME, pi::test)?,
    }
    Ok(())
}

/// On each processor, with the instruction sets that it must have.
fn emulated_tests(
    steps: &mut Steps,
    name: &'static str,
    platform: &Platform,
    processors: &[(&str, &str)],
) -> Result<(), String> {
    let Some(toolchain) = platform.toolchain() else {
        steps.skip(name, format!("needs `rustup target add {}`", platform.triple));
        return Ok(());
    };
    for program in [platform.emulator, platform.linker] {
        if on_path(program).is_none() {
            steps.skip(name, format!("{program} is missing; `cargo xtask setup` installs it"));
            return Ok(());
        }
    }
    steps.step(name, || {
        for (processor, instruction_sets) in processors {
            let mut command = platform.cargo(&toolchain, "test");
            let runner = format!("{} -cpu {processor}", platform.emulator);
            command
                .args(["--package", "mote-kernels", "--test", "kernels", "--locked"])
                .env(platform.variable("RUNNER"), runner)
                .env("KERNELS_CASES", "200")
                .env("KERNELS_REQUIRE", instruction_sets);
            run_command(&mut command)?;
        }
        Ok(())
    })
}

/// The same cases on an emulated chip, whose instructions no program for Linux can use: boards that
/// bring the program for it.
fn chip_tests() -> Result<(), String> {
    let blob = blob()?;
    for board in BOARDS {
        let folder = root().join("firmware-examples").join(board.name);
        let Connection::Qemu { machine } = board.connection else { continue };
        if !folder.join("src/bin/kernels.rs").is_file() {
            continue;
        }
        let built = target().join("chip");
        let mut command = toolchain(board.triple)?.cargo("build");
        command
            .args(["--release", "--locked", "--bin", "kernels", "--features", "kernel-tests"])
            .current_dir(folder)
            .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
            .env("CARGO_TARGET_DIR", &built)
            .env("MOTE_BLOB", &blob)
            .env("MOTE_INPUT", &blob);
        run_command(&mut command)?;
        // Its plainer cells ran before.
        let semihosting = "enable=on,target=native,arg=mve";
        let mut command = Command::new("qemu-system-arm");
        command
            .args(["-M", machine, "-display", "none", "-monitor", "none", "-serial", "none"])
            .args(["-semihosting-config", semihosting, "-kernel"])
            .arg(built.join(board.triple).join("release/kernels"));
        run_command(&mut command)?;
    }
    Ok(())
}

/// The oldest compiler the manifests promise.
fn minimum_version(steps: &mut Steps) -> Result<(), String> {
    const NAME: &str = "oldest compiler";
    let (major, minor) = MINIMUM;
    let version = format!("{major}.{minor}");
    let active = output(Command::new("rustc").arg("--version")).unwrap_or_default();
    if active.starts_with(&format!("rustc {version}.")) {
        steps.skip(NAME, format!("every other step runs with it: {}", active.trim()));
        return Ok(());
    }
    let toolchain = format!("{version}.0");
    if output(Command::new("rustup").args(["run", &toolchain, "rustc", "--version"])).is_none() {
        steps.skip(NAME, format!("not here; `rustup toolchain install {toolchain}` adds it"));
        return Ok(());
    }
    steps.step(NAME, || {
        let mut command = Command::new("rustup");
        command.args(["run", &toolchain, "cargo", "check", "--workspace", "--all-targets"]);
        command.arg("--locked").current_dir(root()).env_remove("RUSTC").env_remove("CARGO");
        // Beside the other builds, not in their place.
        run_command(command.env("CARGO_TARGET_DIR", target().join("oldest")))
    })
}

/// The device crates build for every board's processor: plain, with defmt, and in part.
fn no_std() -> Result<(), String> {
    for triple in triples() {
        for features in ["all", "all,defmt", "conv,fp32"] {
            for package in ["mote-kernels", "mote-engine"] {
                let mut command = toolchain(triple)?.cargo("build");
                command
                    .args(["--package", package, "--no-default-features", "--locked"])
                    .args(["--features", features])
                    .current_dir(root())
                    .env("CARGO_TARGET_DIR", target().join("no-std"));
                run_command(&mut command)?;
            }
        }
        let mut command = toolchain(triple)?.cargo("build");
        command
            .args(["--package", "mote-link", "--locked"])
            .current_dir(root())
            .env("CARGO_TARGET_DIR", target().join("no-std"));
        run_command(&mut command)?;
    }
    Ok(())
}

/// Clippy over the boards' own code and over the kernels as each processor compiles them.
fn firmware_lints(steps: &mut Steps) -> Result<(), String> {
    const NAME: &str = "firmware clippy";
    let blob = blob()?;
    for board in BOARDS {
        let toolchain = toolchain(board.triple)?;
        if !toolchain.is_complete() {
            steps.skip(NAME, format!("needs `rustup target add {}`", board.triple));
            return Ok(());
        }
        steps.step(NAME, || {
            // In the board's folder, whose settings name its processor.
            let folder = root().join("firmware-examples").join(board.name);
            let mut command = toolchain.cargo("clippy");
            command
                .args(["--locked", "--bins", "--", "-D", "warnings"])
                .current_dir(&folder)
                .env("CARGO_TARGET_DIR", target().join("no-panic"))
                .env("MOTE_BLOB", &blob)
                .env("MOTE_INPUT", &blob);
            run_command(&mut command)?;
            let mut command = toolchain.cargo("clippy");
            command
                .args(["--locked", "--package", "mote-kernels", "--no-default-features"])
                .args(["--features", "all", "--manifest-path"])
                .arg(root().join("Cargo.toml"))
                .args(["--", "-D", "warnings"])
                .current_dir(folder)
                .env("CARGO_TARGET_DIR", target().join("no-std"));
            run_command(&mut command)
        })?;
    }
    Ok(())
}

/// Clippy over the kernels as AArch64 compiles them.
fn aarch64_lints(steps: &mut Steps) -> Result<(), String> {
    const NAME: &str = "clippy on AArch64";
    let platform = &setup::AARCH64;
    let Some(toolchain) = platform.toolchain().filter(Toolchain::is_complete) else {
        steps.skip(NAME, format!("needs `rustup target add {}`", platform.triple));
        return Ok(());
    };
    steps.step(NAME, || {
        let mut command = platform.cargo(&toolchain, "clippy");
        command.args(["--locked", "--package", "mote-kernels", "--all-targets"]);
        run_command(command.args(["--", "-D", "warnings"]))
    })
}

/// Real networks on the emulated boards, exported projects in Rust and in C, a board on a serial
/// line, all bit for bit against the host; and the real boards' firmware, which has to fit.
fn firmware() -> Result<(), String> {
    let mut command = cargo("test");
    command.args(["--package", "mote-convert", "--locked"]);
    command.args(["flash", "export", "send", "boards"].iter().flat_map(|test| ["--test", test]));
    command.args(["--", "--ignored", "--nocapture", "--test-threads=1"]);
    run_command(&mut command)
}

/// Links the smallest firmware with a panic handler that cannot be linked.
fn no_panic_path() -> Result<(), String> {
    let blob = blob()?;
    for board in BOARDS.iter().filter(|board| board.is_emulated()) {
        let mut command = toolchain(board.triple)?.cargo("build");
        command
            .args(["--release", "--locked", "--bin", "size", "--features", "prove-no-panic"])
            .current_dir(root().join("firmware-examples").join(board.name))
            .env("CARGO_TARGET_DIR", target().join("no-panic"))
            .env("MOTE_BLOB", &blob)
            .env("MOTE_INPUT", &blob);
        run_command(&mut command)?;
    }
    Ok(())
}

/// The optimizer is not told what `size` runs, so any bytes stand for a blob where only the code
/// around it matters.
fn blob() -> Result<PathBuf, String> {
    let path = target().join("any.mote");
    fs::create_dir_all(target())
        .and_then(|()| fs::write(&path, [0; 256]))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

fn triples() -> Vec<&'static str> {
    let mut triples: Vec<_> = BOARDS.iter().map(|board| board.triple).collect();
    triples.sort_unstable();
    triples.dedup();
    triples
}

fn toolchain(triple: &str) -> Result<Toolchain, String> {
    Toolchain::find(triple).ok_or_else(|| format!("no toolchain for {triple} after the setup"))
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
