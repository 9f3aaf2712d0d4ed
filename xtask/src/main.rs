//! The project's own commands. It has no dependency, so that `cargo xtask` starts at once.
//!
//! `setup` installs what is missing, `demo` shows the whole of Mote on real pictures, `test` is what
//! CI runs, `count` measures, `pi` packs the Raspberry Pi example.

use std::{env, process::ExitCode};

mod chip;
mod count;
mod demo;
mod pi;
mod plugin;
mod pytorch;
mod setup;
mod steps;
mod test;
mod thumb;

// What `mote flash` knows about boards and compilers, shared as files: depending on mote-convert
// would compile all of it before this program could say a word.
#[path = "../../convert/src/flash/boards.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library uses and exports more of it")]
mod boards;
#[path = "../../convert/src/flash/toolchain.rs"]
mod toolchain;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["setup"] => setup::run(&setup::Need::ALL),
        ["demo"] => demo::run(),
        ["test"] => test::run(),
        ["pytorch"] => pytorch::run(None),
        ["pytorch", part] => pytorch::run(Some(part)),
        ["count", rest @ ..] => count::run(rest),
        ["pi", rest @ ..] => pi::run(rest),
        [] | ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        unknown => {
            eprintln!("cargo xtask: unknown command `{}`\n\n{USAGE}", unknown.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\ncargo xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
cargo xtask demo     a real network on real pictures, on this machine and on an emulated Cortex-M4
cargo xtask test     everything CI checks; stops at the first failure
cargo xtask setup    installs what the two need and this machine lacks; changes nothing otherwise
cargo xtask pytorch  training beside PyTorch, which it installs: the same weights, and both speeds [PART_OF_A_NAME]
cargo xtask count    BLOB [--cpu cortex-a53|cortex-a72|cortex-a76|max] [--isa NAME] [--json]: executed
                     instructions of one inference on an emulated 64-bit Arm; or --board NAME: on an emulated
                     Cortex-M, with an estimate of the cycles
cargo xtask pi       [--arch arm64|armhf]: the Raspberry Pi example as a Debian package";
