//! `cargo xtask demo`: the main job of Mote on real pictures, told step by step.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    setup,
    steps::{cargo, root, run as run_command, seconds, target},
};

/// Fetch, quantize, classify here, classify on the chip.
pub(crate) fn run() -> Result<(), String> {
    let start = Instant::now();
    println!(
        "Mote in one sitting: a network that knows six kinds of things learns four others from a few \n\
         hundred pictures, becomes a blob, and gives the same bits here and on an emulated \n\
         microcontroller."
    );

    tell(1, "what this machine needs: QEMU, a compiler for the chip, npm for the pictures");
    setup::run(&[setup::Need::Firmware, setup::Need::Npm])?;

    tell(2, "build the `mote` command (the longest step, once)");
    let mut build = cargo("build");
    build.args(["--release", "--locked", "--package", "mote-convert"]);
    run_command(build.args(["--bin", "mote", "--example", "cifar10_pictures"]))?;

    tell(3, "fetch CIFAR-10, real photographs of 32 x 32 pixels (139 MB, kept in your cache)");
    let folder = target().join("demo");
    let pictures = folder.join("pictures");
    fs::create_dir_all(&pictures)
        .map_err(|error| format!("cannot create {}: {error}", pictures.display()))?;
    let data = fetch(&pictures)?;

    tell(4, "a MobileNet that knows airplane, automobile, bird, cat, dog, ship learns four others");
    let trained = folder.join("trained.safetensors");
    let mut train = mote("train");
    train
        .arg("--base")
        .arg(root().join("convert/models/cifar6_mobilenet/model.safetensors"))
        .arg("--data")
        .arg(&data)
        .args(["--classes", NEW_CLASSES, "--limit", "400", "--train", "head"])
        .args(["--augment", "flip", "-o"])
        .arg(&trained);
    run_command(&mut train)?;

    tell(5, "quantize it to int8, its ranges found on training pictures");
    let blob = folder.join("cifar10.mote");
    let mut quantize = mote("quantize");
    quantize.arg(&trained).arg("-o").arg(&blob).arg("--calibration").arg(&data).args([
        "--split",
        "train",
        "--classes",
        NEW_CLASSES,
        "--target",
        "cortex-m4",
    ]);
    run_command(&mut quantize)?;

    tell(6, "the first test picture of each class on this machine; the file's name is the truth");
    let files = NEW_CLASSES.split(',').map(|class| pictures.join(format!("{class}.png")));
    run_command(mote("run").arg(&blob).args(files).args(["--top", "1"]))?;
    println!("\nand how often it is right over 1000 test pictures, float first, then int8:");
    for model in [&trained, &blob] {
        let mut evaluate = mote("evaluate");
        evaluate.arg(model).arg("--data").arg(&data);
        evaluate.args(["--split", "test", "--classes", NEW_CLASSES, "--limit", "1000"]);
        run_command(&mut evaluate)?;
    }

    tell(7, "the same blob on an emulated Cortex-M4: firmware is built around it and run in QEMU");
    let picture = pictures.join("horse.png");
    let mut flash = mote("flash");
    flash.arg(&blob).args(["--board", "mps2-an386", "--picture"]).arg(&picture);
    run_command(&mut flash)?;

    println!(
        "\nDone in {}. The blob is {}; try it on a picture of yours:\n   \
         {} run {} PICTURE",
        seconds(start.elapsed()),
        blob.display(),
        mote_path().display(),
        blob.display()
    );
    Ok(())
}

/// What the network learns here.
const NEW_CLASSES: &str = "deer,frog,horse,truck";

fn tell(number: u32, what: &str) {
    println!("\n[{number}/7] {what}");
}

fn mote_path() -> PathBuf {
    target().join("release").join("mote")
}

fn mote(subcommand: &str) -> Command {
    let mut command = Command::new(mote_path());
    command.arg(subcommand);
    command
}

/// Writes some test pictures to `pictures` and returns the folder of the whole data set.
fn fetch(pictures: &Path) -> Result<PathBuf, String> {
    let program = target().join("release/examples/cifar10_pictures");
    let output = Command::new(&program)
        .arg(pictures)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{} does not start: {error}", program.display()))?;
    if !output.status.success() {
        return Err("the pictures could not be fetched".to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}
