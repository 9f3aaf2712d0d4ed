//! Exported projects give the host's bits: the Rust crate in a program here, the C library in a
//! bare-metal program on the emulated Cortex-M4.
//!
//! They need cargo, a cross compiler and QEMU, so they run only when asked: `cargo xtask test` does,
//! or `cargo test -p mote-convert --test export -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mote_convert::blob::{Blob, Runner};
use mote_convert::export::{Language, engine, export};
use mote_convert::testing::TempDir;
use mote_engine::{Isa, Numerics};

#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod networks;

const TRIPLE: &str = "thumbv7em-none-eabihf";

#[test]
#[ignore = "builds a project"]
fn the_rust_crate_gives_the_hosts_bits() {
    let folder = TempDir::new("export-rust");
    let blob = blob(Numerics::Fp32);
    let model = folder.path().join("model");
    export(&blob, Language::Rust, "thing", &engine(), &model).unwrap();
    for (file, text) in [("Cargo.toml", MANIFEST), ("src/main.rs", PROGRAM)] {
        let file = folder.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let inputs = inputs(&blob);
    fs::write(folder.path().join("input.bin"), inputs.concat()).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet"]).env("CARGO_TARGET_DIR", cache("rust"));
    assert_eq!(stdout(cargo.current_dir(folder.path())), expected(&blob, &inputs));
}

const MANIFEST: &str = r#"
[package]
name = "program"
edition = "2024"

[dependencies]
thing-model = { path = "model" }
"#;

const PROGRAM: &str = r#"
use thing_model::{Arena, INPUT_LEN, LABELS, OUTPUT_LEN, mote_engine::{Kernels, Session}};

fn main() {
    let mut arena = Arena::new();
    let model = thing_model::parse().unwrap();
    let mut session = Session::new(model, Kernels::best(), arena.as_mut_slice()).unwrap();
    for picture in std::fs::read("input.bin").unwrap().chunks_exact(INPUT_LEN) {
        for (place, &value) in session.input_mut().iter_mut().zip(picture) {
            *place = value.cast_signed();
        }
        session.run();
        let output: [i8; OUTPUT_LEN] = session.output().try_into().unwrap();
        let class = session.top_k::<1>()[0].class;
        let hex: String = output.iter().map(|value| format!("{value:02x}")).collect();
        println!("{} {hex}", LABELS[usize::from(class)]);
    }
}
"#;

#[test]
#[ignore = "needs QEMU, a cross compiler and gcc-arm-none-eabi"]
fn the_c_library_gives_the_hosts_bits() {
    for numerics in [Numerics::Tflite, Numerics::Fp32] {
        let folder = TempDir::new("export-c");
        let blob = blob(numerics);
        let model = folder.path().join("model");
        export(&blob, Language::C, "model", &engine(), &model).unwrap();
        let inputs = inputs(&blob);
        fs::write(folder.path().join("input.bin"), inputs.concat()).unwrap();

        stdout(Command::new(model.join("build.sh")).arg(TRIPLE));
        let library = model.join("libmote_model.a");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-examples/c");
        let image = folder.path().join("program.elf");
        let mut gcc = Command::new("arm-none-eabi-gcc");
        gcc.args(["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-O2"])
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib"])
            .args([
                "-Wl,--gc-sections",
                "-Wl,-z,noexecstack",
                "-Wl,--fatal-warnings",
                "-Wl,--no-warn-rwx-segments",
                "-T",
            ])
            .args([example.join("link.ld"), PathBuf::from("-I"), model.join("include")])
            .args(["main.c", "startup.c"].map(|file| example.join(file)))
            .args([library, PathBuf::from("-o"), image.clone()]);
        stdout(&mut gcc);

        let mut qemu = Command::new("qemu-system-arm");
        qemu.args(["-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "none"])
            .args(["-chardev", "stdio,id=host", "-semihosting-config"])
            .args(["enable=on,target=native,chardev=host", "-kernel"])
            .arg(image);
        let found = stdout(qemu.current_dir(folder.path()));
        assert_eq!(found, expected(&blob, &inputs), "{}", numerics.name());
    }
}

/// Every operation, packed for the chip.
fn blob(numerics: Numerics) -> Blob {
    Blob::new(networks::blob(&networks::everything(), numerics, "cortex-m4", &[])).unwrap()
}

fn inputs(blob: &Blob) -> Vec<Vec<u8>> {
    let input = |seed: usize| {
        (0..blob.input().len()).map(move |i| (i * i * 31 + i * seed * 77 + seed).to_le_bytes()[0])
    };
    (1..6).map(|seed| input(seed).collect()).collect()
}

/// A line a picture: label and raw output, as both programs print them.
fn expected(blob: &Blob, inputs: &[Vec<u8>]) -> String {
    let mut runner = Runner::new(blob, Isa::Scalar).unwrap();
    let line = |input: &Vec<u8>| {
        let output = runner.run(&input.iter().map(|v| v.cast_signed()).collect::<Vec<_>>());
        let largest = *output.iter().max().unwrap();
        let class = output.iter().position(|&value| value == largest).unwrap();
        let hex: String = output.iter().map(|value| format!("{value:02x}")).collect();
        format!("{} {hex}\n", blob.label(class))
    };
    inputs.iter().map(line).collect()
}

/// Kept between runs: dependencies are the same every time.
fn cache(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("export").join(name)
}

fn stdout(command: &mut Command) -> String {
    // What cargo says to this test is not meant for another cargo.
    for variable in ["CARGO", "RUSTC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
