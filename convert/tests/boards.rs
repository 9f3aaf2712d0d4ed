//! The real boards' firmware builds and fits. None of it has run on silicon: what is checked is that
//! it compiles, links into the chip's memory, and costs no more than its `budgets.json` allows.
//!
//! It needs cross compilers, so it runs only when asked: `cargo xtask test` does, or
//! `cargo test -p mote-convert --test boards -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use mote_convert::blob::Blob;
use mote_convert::flash::{BOARDS, Connection, FlashError, Image, Options, Program, image, uf2};
use mote_engine::Numerics;

use budgets::{Budget, hold};

#[path = "common/budgets.rs"]
#[allow(unreachable_pub, reason = "shared by several tests")]
mod budgets;
#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod networks;

/// What a program costs on a board. More is a failure.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize)]
struct Cost {
    /// Flash without the blob: engine, kernels, the HAL's start, the log; one percent more is
    /// tolerated.
    program_bytes: u32,
    /// Statics, the arena included.
    ram_bytes: u32,
}

impl Budget for Cost {
    fn amounts(&self) -> Vec<(&'static str, u64, u64)> {
        vec![
            ("program_bytes", self.program_bytes.into(), 10),
            ("ram_bytes", self.ram_bytes.into(), 0),
        ]
    }
}

#[test]
#[ignore = "needs cross compilers"]
fn every_real_board_builds_and_fits() {
    for board in BOARDS.iter().filter(|board| !board.is_emulated()) {
        let target = match board.triple {
            "thumbv6m-none-eabi" => "cortex-m0plus",
            "thumbv8m.main-none-eabihf" => "cortex-m33",
            _ => "cortex-m4",
        };
        let blob = networks::blob(&networks::everything(), Numerics::Fp32, target, &[]);
        let blob = Blob::new(blob).unwrap();
        let input = vec![0; blob.input().len()];
        for (program, name) in [(Program::Classify, "classify"), (Program::Serve, "serve")] {
            let built = image(blob.bytes(), board, program, &input, &Options::default());
            let image = match built {
                Err(FlashError::NoBinary { .. }) if program == Program::Serve => continue,
                other => other.unwrap_or_else(|error| panic!("{}: {error}", board.name)),
            };
            let Image { flash_bytes, ram_bytes, .. } = image;
            let program_bytes = flash_bytes - u32::try_from(blob.bytes().len()).unwrap();
            let cost = Cost { program_bytes, ram_bytes };
            println!("{name} on {}: {cost:?}", board.name);
            hold(board.name, name, &cost);
            let arena = u32::try_from(blob.model().arena_bytes()).unwrap();
            assert!(ram_bytes >= arena, "{}: {ram_bytes}", board.name);
            drive(&image, board.connection, || uf2(&image, board));
        }
    }
}

/// A board whose boot loader is a drive gets a whole file for it, others none.
fn drive(image: &Image, connection: Connection, uf2: impl FnOnce() -> Result<Vec<u8>, FlashError>) {
    match connection {
        Connection::ProbeRs { uf2: Some(_), .. } => {
            let file = uf2().unwrap();
            let pages = u32::try_from(file.len() / 512).unwrap();
            assert!(file.len().is_multiple_of(512) && pages * 256 >= image.flash_bytes);
            // Every page lies in the flash: nothing is written to RAM.
            for block in file.chunks(512) {
                let address = u32::from_le_bytes(block[12..16].try_into().unwrap());
                assert!((0x1000_0000..0x1040_0000).contains(&address), "{address:#x}");
            }
        }
        _ => assert!(matches!(uf2(), Err(FlashError::NoUf2(_)))),
    }
}

/// `mote flash` hands the image to probe-rs; a script stands in for it here.
#[cfg(unix)]
#[test]
#[ignore = "needs cross compilers"]
fn a_real_board_is_written_by_probe_rs() {
    use std::os::unix::fs::PermissionsExt;
    use std::{env, fs, process::Command};

    let folder = mote_convert::testing::TempDir::new("probe");
    let [probe, said, blob] = ["probe-rs", "said", "net.mote"].map(|name| folder.path().join(name));
    let script = format!("#!/bin/sh\necho \"$1 $2 $3\" >{0}\ncp \"$4\" {0}.elf\n", said.display());
    fs::write(&probe, script).unwrap();
    fs::set_permissions(&probe, fs::Permissions::from_mode(0o755)).unwrap();
    let network = networks::classifier();
    fs::write(&blob, &networks::blob(&network, Numerics::Tflite, "cortex-m4", &[])[..]).unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let path =
        env::join_paths([folder.path().to_owned()].into_iter().chain(env::split_paths(&path)));

    let mut mote = Command::new(env!("CARGO_BIN_EXE_mote"));
    mote.arg("flash").arg(&blob).args(["--board", "nrf52840-dk"]).env("PATH", path.unwrap());
    let output = mote.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(&said).unwrap(), "run --chip nRF52840_xxAA\n");
    let elf = fs::read(said.with_extension("elf")).unwrap();
    let bytes = fs::read(&blob).unwrap();
    assert!(elf.starts_with(b"\x7fELF"));
    assert!(elf.windows(bytes.len()).any(|window| window == bytes), "the blob is in the image");
}
