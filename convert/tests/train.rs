//! `mote train` and `mote report` as a user runs them, on small pictures made here.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image::{Rgb, RgbImage};
use mote_convert::graph::Graph;
use mote_convert::import;
use mote_convert::testing::TempDir;
use serde_json::Value;

const BASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/cifar10_mobilenet/model.h5");

/// A folder with a data set of three classes, told apart by their colour, and a cache of its own.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new("train"));
        for (class, colour) in
            [("blue", [30, 60, 200]), ("green", [40, 180, 60]), ("red", [200, 50, 40])]
        {
            let folder = desk.path("data").join(class);
            fs::create_dir_all(&folder).unwrap();
            for index in 0..12_u32 {
                let pixel = |x: u32, y: u32| {
                    let seed = 2_654_435_761_u32.wrapping_mul(x ^ y | 1);
                    let noise = (x * 31 + y * 17 + index * 97).wrapping_mul(seed) % 40;
                    Rgb(colour.map(|c: u8| c.saturating_add(noise.to_le_bytes()[0])))
                };
                RgbImage::from_fn(32, 32, pixel).save(folder.join(format!("{index}.png"))).unwrap();
            }
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, output: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mote"));
        command.args([
            "train",
            "--base",
            BASE,
            "--preprocess",
            "unit",
            "--similar",
            "yes",
            "--json",
        ]);
        command.arg("--data").arg(self.path("data")).arg("-o").arg(self.path(output));
        command.args(more).env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    fn train(&self, output: &str, more: &[&str]) -> Value {
        succeed(self.command(output, more).output().unwrap())
    }

    fn bytes(&self, output: &str) -> Vec<u8> {
        fs::read(self.path(output)).unwrap()
    }

    fn graph(&self, output: &str) -> Graph {
        import::open(self.path(output)).unwrap()
    }
}

fn succeed(output: Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Layers of the base of which `check` says that their weights are as they were.
fn unchanged(trained: &Graph) -> Vec<(String, bool)> {
    let base = import::open(Path::new(BASE)).unwrap();
    let pairs = base.nodes().iter().filter(|node| node.parameters() > 0).filter_map(|node| {
        let other = trained.node(trained.node_by_name(&node.name)?);
        let bits = |graph_node: &mote_convert::graph::Node| -> Vec<u32> {
            graph_node.op.params().flat_map(|p| p.data.iter().map(|v| v.to_bits())).collect()
        };
        Some((node.name.clone(), bits(node) == bits(other)))
    });
    pairs.collect()
}

#[test]
fn head_learns_and_leaves_the_base_as_it_was() {
    let desk = Desk::new();
    let report =
        desk.train("head.safetensors", &["--train", "head", "--epochs", "60", "--lr", "0.02"]);
    assert!(report["validation"]["accuracy"].as_f64().unwrap() > 0.9, "{report}");
    assert_eq!(report["classes"].as_array().unwrap().len(), 3);
    let graph = desk.graph("head.safetensors");
    let layers = unchanged(&graph);
    assert!(layers.len() > 10 && layers.iter().all(|(_, same)| *same), "{layers:?}");
    assert_eq!(graph.labels.as_ref().unwrap()[..], ["blue", "green", "red"]);
    assert_eq!(graph.preprocess.unwrap().to_string(), report["preprocess"].as_str().unwrap());
    assert!(!desk.path("head.checkpoint.safetensors").exists());
    // A second run takes the features from the cache, and another number of threads gives the same.
    desk.train(
        "again.safetensors",
        &["--train", "head", "--epochs", "60", "--lr", "0.02", "--threads", "1"],
    );
    assert_eq!(desk.bytes("again.safetensors"), desk.bytes("head.safetensors"));
    let bare = ["--train", "head", "--epochs", "60", "--lr", "0.02", "--no-cache"];
    desk.train("bare.safetensors", &bare);
    assert_eq!(desk.bytes("bare.safetensors"), desk.bytes("head.safetensors"));
}

#[test]
fn partial_and_all_train_what_they_say() {
    let desk = Desk::new();
    desk.train(
        "part.safetensors",
        &["--train", "partial", "--last", "2", "--epochs", "1", "--no-head-first"],
    );
    let layers = unchanged(&desk.graph("part.safetensors"));
    let changed: Vec<&str> =
        layers.iter().filter(|(_, same)| !same).map(|(name, _)| name.as_str()).collect();
    assert_eq!(changed.len(), 2, "{changed:?}");
    let begin = layers.iter().position(|(_, same)| !same).unwrap();
    assert!(begin >= layers.len() - 4, "{layers:?}");

    let all = [
        "--train",
        "all",
        "--no-head-first",
        "--epochs",
        "1",
        "--batch-norm",
        "train",
        "--augment",
        "flip,crop",
    ];
    desk.train("all.safetensors", &all);
    let layers = unchanged(&desk.graph("all.safetensors"));
    assert!(layers.iter().all(|(_, same)| !same), "{layers:?}");

    let frozen = ["--train", "all", "--no-head-first", "--epochs", "1", "--batch-norm", "freeze"];
    desk.train("frozen.safetensors", &frozen);
    let layers = unchanged(&desk.graph("frozen.safetensors"));
    assert!(layers.iter().any(|(_, same)| *same) && layers.iter().any(|(_, same)| !same));
}

/// Kills the training after so many epochs; whether it was still at work.
fn kill_after(mut command: Command, epochs: usize) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.map(Result::unwrap).filter(|line| line.contains(" epoch ")).nth(epochs - 1);
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bits() {
    let desk = Desk::new();
    for (name, options) in [
        ("head", &["--train", "head", "--epochs", "120"][..]),
        (
            "chain",
            &[
                "--train",
                "head",
                "--epochs",
                "3",
                "--then",
                "partial:last=2,epochs=6",
                "--optimizer",
                "sgd",
                "--augment",
                "flip",
            ],
        ),
        ("rounded", &["--train", "head", "--epochs", "2", "--then", "all:epochs=6", "--qat"]),
    ] {
        let (whole, cut) = (format!("{name}.safetensors"), format!("{name}-cut.safetensors"));
        desk.train(&whole, options);
        let resumed = [options, &["--resume"]].concat();
        let mut killed = 0;
        for epochs in [1, 2, 3] {
            killed += usize::from(kill_after(desk.command(&cut, &resumed), epochs));
            assert!(!desk.path(&cut).exists() || killed < epochs);
        }
        assert!(killed >= 2, "{name} was too fast to be killed");
        let report = desk.train(&cut, &resumed);
        assert!(report["validation"]["accuracy"].is_number());
        assert_eq!(desk.bytes(&cut), desk.bytes(&whole), "{name}");
        let log = |file: &str| {
            let text = fs::read_to_string(desk.path(file).with_extension("run.jsonl")).unwrap();
            text.lines().count()
        };
        assert_eq!(log(&cut), log(&whole));
    }
}

#[test]
fn a_checkpoint_of_another_recipe_is_refused() {
    let desk = Desk::new();
    let options = ["--train", "head", "--epochs", "120"];
    assert!(kill_after(desk.command("x.safetensors", &options), 1));
    let other = ["--train", "head", "--epochs", "120", "--lr", "0.5", "--resume"];
    let output = desk.command("x.safetensors", &other).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("the recipe") && errors.contains("without --resume"), "{errors}");
}

#[test]
fn broken_pictures_are_skipped_and_listed_but_a_class_must_have_some() {
    let desk = Desk::new();
    let blue = desk.path("data").join("blue");
    fs::write(blue.join("0.png"), b"no picture").unwrap();
    let mut half = fs::read(blue.join("1.png")).unwrap();
    half.truncate(half.len() / 2);
    fs::write(blue.join("1.png"), half).unwrap();
    let report = desk.train("x.safetensors", &["--train", "head", "--epochs", "2"]);
    assert_eq!(report["skipped"], 2);
    let log = fs::read_to_string(desk.path("x.run.jsonl")).unwrap();
    assert!(log.contains("0.png") && log.contains("1.png"));
    for index in 0..12 {
        fs::write(blue.join(format!("{index}.png")), b"").unwrap();
    }
    let output = desk.command("y.safetensors", &["--train", "head"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("class `blue` has no training picture"), "{errors}");
    assert!(!desk.path("y.safetensors").exists());
}

#[test]
fn a_new_classifier_learns_before_the_base_does() {
    let desk = Desk::new();
    let strategies = |output: &str, more: &[&str]| {
        let options = [&["--train", "partial", "--last", "1", "--epochs", "1"], more].concat();
        desk.train(output, &options)["strategy"].as_str().unwrap().to_owned()
    };
    assert_eq!(strategies("a.safetensors", &[]), "head, then partial:last=1");
    assert_eq!(strategies("b.safetensors", &["--no-head-first"]), "partial:last=1");
}

#[test]
fn class_weights_count_and_patience_ends() {
    let desk = Desk::new();
    let file = desk.path("weights.csv");
    let weights = file.to_str().unwrap();
    let head = ["--train", "head", "--epochs", "4", "--lr", "0.05", "--class-weights"];
    let dense = |name: &str| {
        let graph = desk.graph(name);
        graph.get_layer("head_dense").unwrap().get_weights()
    };
    // Classes of the same size weigh the same.
    desk.train("plain.safetensors", &head[..6]);
    desk.train("auto.safetensors", &[&head[..], &["auto"]].concat());
    assert_eq!(dense("plain.safetensors"), dense("auto.safetensors"));
    // A class that counts for everything is all that is answered.
    fs::write(&file, "blue,10000\n\nred, 1\n").unwrap();
    let report = desk.train("blue.safetensors", &[&head[..], &[weights]].concat());
    let confusion = report["validation"]["confusion"].as_array().unwrap();
    assert!(confusion.iter().all(|row| row[1] == 0 && row[2] == 0), "{report}");
    fs::write(&file, "purple,2\n").unwrap();
    let output = desk.command("x.safetensors", &[&head[..], &[weights]].concat()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("line 1") && errors.contains("blue, green, red"), "{errors}");

    let options = ["--train", "head", "--epochs", "400", "--lr", "0.05", "--patience", "3"];
    let report = desk.train("tired.safetensors", &options);
    assert_eq!(report["stopped_early"], true);
    let log = fs::read_to_string(desk.path("tired.run.jsonl")).unwrap();
    assert!(log.matches("\"epoch\":").count() < 400);
}

#[test]
fn a_rate_that_blows_up_says_what_to_try() {
    let desk = Desk::new();
    let wild = ["--train", "all", "--no-head-first", "--optimizer", "sgd", "--lr", "1e30"];
    let output = desk.command("x.safetensors", &wild).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("lower the learning rate"), "{errors}");
    assert!(!desk.path("x.safetensors").exists());
}

#[test]
fn bad_usage_is_2() {
    let desk = Desk::new();
    for wrong in [
        &["--train", "everything"][..],
        &["--train", "head", "--last", "2"],
        &["--train", "head", "--epochs", "0"],
        &["--train", "head", "--dropout", "1"],
        &["--train", "head", "--augment", "blur"],
        &["--train", "head", "--then", "all:speed=9"],
        &["--train", "head", "--optimizer", "magic"],
        &["--train", "head", "--validation", "1.5"],
        &["--train", "all", "--no-head-first", "--qat"],
    ] {
        let output = desk.command("x.safetensors", wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let output =
        desk.command("x.safetensors", &["--train", "partial", "--from", "conv"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no layer `conv`"));
}

#[test]
fn training_with_rounding_measures_what_the_blob_gives() {
    let desk = Desk::new();
    for (name, options, strategy) in [
        (
            "head",
            &["--train", "head", "--epochs", "20", "--lr", "0.02"][..],
            "head, then head (int8)",
        ),
        (
            "part",
            &["--train", "partial", "--last", "3", "--epochs", "2"],
            "head, then partial:last=3 (int8)",
        ),
    ] {
        let report = desk.train(name, &[options, &["--qat", "--validation", "0.4"]].concat());
        assert_eq!(report["strategy"], strategy);
        assert!(report["rounding"]["float"].is_number(), "{report}");
        let trained = report["validation"]["accuracy"].as_f64().unwrap();
        assert!(trained > 0.5 && trained >= report["rounding"]["before"].as_f64().unwrap());
        let (model, blob, page) = (desk.path(name), desk.path("q.mote"), desk.path("q.html"));
        let run = |arguments: &[&std::ffi::OsStr]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_mote"));
            succeed(command.args(arguments).arg("--json").output().unwrap())
        };
        // No calibration: the file has the ranges.
        let made = run(&["quantize".as_ref(), model.as_ref(), "-o".as_ref(), blob.as_ref()]);
        assert_eq!((&made["numerics"], &made["calibration_samples"]), (&"fp32".into(), &0.into()));
        let [report_, o, b] = ["report", "-o", "--blob"].map(std::ffi::OsStr::new);
        let measured = run(&[report_, model.as_ref(), o, page.as_ref(), b, blob.as_ref()]);
        assert_eq!(measured["quantized"]["accuracy"].as_f64().unwrap(), trained);
        assert!(fs::read_to_string(page).unwrap().contains("after training with rounding"));
    }
    // It is a base as any other.
    let base = desk.path("part");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mote"));
    command.args(["train", "--train", "head", "--epochs", "1", "--json", "--base"]).arg(base);
    command.arg("--data").arg(desk.path("data")).arg("-o").arg(desk.path("more"));
    let report = succeed(command.env("XDG_CACHE_HOME", desk.path("cache")).output().unwrap());
    assert!(report["rounding"].is_null() && !desk.graph("more").is_quantized());
}

#[test]
fn int8_features_and_a_report_of_them() {
    let desk = Desk::new();
    let model = desk.path("int8.safetensors");
    let report = desk.train(
        "int8.safetensors",
        &["--train", "head", "--features", "int8", "--epochs", "60", "--lr", "0.02"],
    );
    assert!(report["validation"]["accuracy"].as_f64().unwrap() > 0.9, "{report}");
    desk.train("float.safetensors", &["--train", "head", "--epochs", "60", "--lr", "0.02"]);
    // The features are others, so the head is another one; the base is the same.
    assert_ne!(desk.bytes("int8.safetensors"), desk.bytes("float.safetensors"));
    assert!(unchanged(&desk.graph("int8.safetensors")).iter().all(|(_, same)| *same));

    let blob = desk.path("int8.mote");
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_mote")).args(arguments).arg("--json").output().unwrap()
    };
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (model, blob, data) = (text(&model), text(&blob), text(&desk.path("data")));
    succeed(run(&["quantize", &model, "-o", &blob, "--calibration", &data]));
    let flash = desk.path("flash.json");
    fs::write(&flash, "{\"instructions\": 123456}").unwrap();
    let html = text(&desk.path("report.html"));
    let report =
        succeed(run(&["report", &model, "-o", &html, "--blob", &blob, "--flash", &text(&flash)]));
    assert!(report["quantized"]["accuracy"].as_f64().unwrap() > 0.9, "{report}");
    assert_eq!(report["epochs"].as_array().unwrap().len(), 60);
    let page = fs::read_to_string(&html).unwrap();
    for part in ["Learning curves", "Confusions", "SQNR", "Arena of", "123456", "</html>"] {
        assert!(page.contains(part), "no {part}");
    }
    // Self-contained: the only address is the name of SVG.
    assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("http"));
}
