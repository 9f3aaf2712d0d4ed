//! The plugin with which QEMU counts executed instructions.

use std::{
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
};

use crate::steps::{cargo, run as run_command, target};

/// Builds the plugin and says where it is; quiet when the output is for another program.
pub(crate) fn build(quiet: bool) -> Result<PathBuf, String> {
    let mut plugin = cargo("build");
    plugin.args(["--release", "--locked", "--package", "mote-qemu-plugin"]);
    build_one(plugin, quiet)?;
    Ok(target().join("release/libmote_qemu_plugin.so"))
}

/// Runs a build of cargo.
pub(crate) fn build_one(mut command: Command, quiet: bool) -> Result<(), String> {
    if !quiet {
        return run_command(&mut command);
    }
    let status = command.arg("--quiet").stdin(Stdio::null()).status();
    if status.as_ref().is_ok_and(ExitStatus::success) {
        return Ok(());
    }
    Err(format!("{command:?} failed"))
}
