//! `cargo xtask pytorch`: training beside PyTorch, the same steps to the same weights, and how long both take.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    setup,
    steps::{cargo, root, run as run_command, target},
};

/// Compares weights first, then speed; `part` limits the second to networks with this in their name.
pub(crate) fn run(part: Option<&str>) -> Result<(), String> {
    let folder = target().join("pytorch");
    fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let python = python(&folder)?;

    println!("\n== three training steps in PyTorch, then the same in Mote, to 1e-4");
    let golden = folder.join("golden_training.json");
    let script = root().join("convert/tests/data/golden_training.py");
    run_command(Command::new(&python).arg(script).arg(&golden))?;
    let mut test = cargo("test");
    test.args(["--package", "mote-convert", "--locked", "--test", "training"]);
    run_command(test.env("MOTE_GOLDEN_TRAINING", &golden))?;

    println!("\n== a step's time, Mote and PyTorch one after the other");
    let mut mote = cargo("run");
    mote.args(["--release", "--locked", "--package", "mote-benches", "--bin", "train", "--"]);
    run_command(mote.args(part))?;
    run_command(Command::new(&python).arg(root().join("benches/train_pytorch.py")).args(part))
}

/// A Python with PyTorch: the one in MOTE_PYTHON, or one of our own in `folder`.
fn python(folder: &Path) -> Result<PathBuf, String> {
    if let Some(python) = env::var_os("MOTE_PYTHON") {
        return Ok(python.into());
    }
    let python = folder.join("bin/python");
    if !has_pytorch(&python) {
        setup::run(&[setup::Need::Python])?;
        println!("installing PyTorch into {} (several GB)", folder.display());
        run_command(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run_command(
            Command::new(&python).args(["-m", "pip", "install", "--quiet", "torch", "numpy"]),
        )?;
    }
    Ok(python)
}

fn has_pytorch(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import torch, numpy"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
