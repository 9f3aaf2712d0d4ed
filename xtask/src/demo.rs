//! `cargo xtask demo`: the main job of Mote on real pictures, told step by step.

use crate::{
    setup,
    steps::{Steps, cargo, run as run_command},
};

/// The whole way: fetch, quantize, classify here, classify on the chip.
pub(crate) fn run() -> Result<(), String> {
    let mut steps = Steps::default();
    steps.step("setup", || setup::run(&[setup::Need::Firmware, setup::Need::Npm]))?;
    steps.step("build mote", || {
        run_command(cargo("build").args(["--release", "--package", "mote-convert", "--locked"]))
    })?;
    steps.print_summary();
    Ok(())
}
