//! The `mote` command as scripts see it: exit codes, JSON keys, files.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::RgbImage;
use mote_convert::testing::TempDir;
use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/cifar10_mobilenet/model.h5");
const LABELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/cifar10_mobilenet/labels.txt");
const COMMANDS: &[&str] = &[
    "new", "summary", "layers", "weights", "train", "report", "quantize", "run", "evaluate",
    "verify", "plan", "bench", "export", "flash", "send",
];

fn mote(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mote")).args(arguments).output().unwrap()
}

fn exit_code(arguments: &[&str]) -> i32 {
    mote(arguments).status.code().unwrap()
}

/// The JSON report of a job that must succeed and have `keys`.
fn report(arguments: &[&str], keys: &[&str]) -> Value {
    let output = mote(&[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in keys {
        assert!(!report[key].is_null(), "{arguments:?}: no `{key}` in {report}");
    }
    report
}

/// Two classes of two pictures.
fn pictures(folder: &Path) {
    for (class, red) in [("cat", 40), ("ship", 200)] {
        let folder = folder.join(class);
        fs::create_dir_all(&folder).unwrap();
        for index in 0_u8..2 {
            let pixel = |x: u32, y: u32| {
                let [x, y] = [x, y].map(|place| place.to_le_bytes()[0]);
                image::Rgb([red, x.wrapping_mul(7) ^ y, y.wrapping_mul(5).wrapping_add(index)])
            };
            let picture = RgbImage::from_fn(32, 32, pixel);
            picture.save(folder.join(format!("{index}.png"))).unwrap();
        }
    }
}

#[test]
fn help_is_fine() {
    assert_eq!(exit_code(&["--help"]), 0);
    for command in COMMANDS {
        let output = mote(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(output.stdout.len() > 200, "{command}");
    }
}

#[test]
fn bad_usage_is_2() {
    for arguments in [
        &[][..],
        &["no-such-command"],
        &["summary"],
        &["summary", MODEL, "--no-such-flag"],
        &["quantize", MODEL],
        &["quantize", MODEL, "-o", "unused.mote"],
        &["quantize", MODEL, "-o", "unused.mote", "--target", "no-such-machine"],
        &["quantize", MODEL, "-o", "unused.mote", "--numerics", "no-such-contract"],
        &["new", "resnet9", "-o", "unused.safetensors"],
        &["new", "resnet8", "--alpha", "0.5", "-o", "unused.safetensors"],
        &["new", "vgg16", "--input", "16x16x3", "-o", "unused.safetensors"],
        &["new", "resnet8", "--input", "16", "-o", "unused.safetensors"],
        &["run", MODEL, "picture.png"],
        &["bench", MODEL],
        &["plan", MODEL],
        &["export", "rust", MODEL, "-o", "unused.mote"],
        &["export", "pascal", MODEL, "-o", "unused.mote"],
    ] {
        assert_eq!(exit_code(arguments), 2, "{arguments:?}");
    }
    assert!(!Path::new("unused.mote").exists() && !Path::new("unused.safetensors").exists());
}

#[test]
fn a_missing_file_is_1() {
    let missing = "no/such/file";
    for arguments in [
        &["summary", missing][..],
        &["weights", missing],
        &["quantize", missing, "-o", "unused.mote"],
        &["run", missing, "picture.png"],
        &["evaluate", missing, "--data", "."],
        &["verify", missing, missing, "--data", "."],
        &["plan", missing],
        &["bench", missing],
        &["evaluate", MODEL, "--data", missing],
        &["send", "--port", missing],
        &["send", missing, "--port", "unused"],
        &["send", "--update", missing, "--port", "unused"],
    ] {
        let output = mote(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("error: ") && errors.contains(missing), "{errors}");
    }
    let output = mote(&["summary", missing, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["error"].as_str().unwrap().contains(missing));
}

#[test]
fn failures_leave_no_file() {
    let folder = TempDir::new("cli-failure");
    let damaged = folder.path().join("damaged.h5");
    let bytes = fs::read(MODEL).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let out = folder.path().join("out.mote");
    let [damaged, empty, out] = [&damaged, &empty, &out].map(|path| path.to_str().unwrap());
    assert_eq!(exit_code(&["quantize", damaged, "-o", out, "--calibration", empty]), 1);
    assert_eq!(exit_code(&["quantize", MODEL, "-o", out, "--calibration", empty]), 1);
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["damaged.h5", "empty"]);
}

#[test]
fn a_chip_without_floats_gets_the_contract_without_them() {
    let folder = TempDir::new("cli");
    let data = folder.path().join("data");
    pictures(&data);
    let blob = folder.path().join("net.mote");
    let [data, blob] = [&data, &blob].map(|path| path.to_str().unwrap());
    for (target, numerics) in [("cortex-m3", "tflite"), ("cortex-m4", "fp32")] {
        let made = report(
            &["quantize", MODEL, "-o", blob, "--calibration", data, "--target", target],
            &["numerics"],
        );
        assert_eq!(made["numerics"], numerics, "{target}");
    }
}

#[test]
fn reports_have_the_stable_keys() {
    let folder = TempDir::new("cli");
    let data = folder.path().join("data");
    pictures(&data);
    let blob = folder.path().join("net.mote");
    let picture = data.join("cat/0.png");
    let [data, blob, picture] = [&data, &blob, &picture].map(|path| path.to_str().unwrap());

    let summary = report(&["summary", MODEL], &["parameters", "trainable_parameters", "macs"]);
    assert!(summary.get("blob_bytes").is_some() && summary.get("arena_bytes").is_some());
    assert!(!summary["layers"].as_array().unwrap().is_empty());
    report(&["weights", MODEL], &["weights"]);

    let quantize = ["quantize", MODEL, "-o", blob, "--calibration", data, "--labels", LABELS];
    let scaling = ["--preprocess", "unit"];
    report(&[&quantize[..], &scaling].concat(), &["blob_bytes", "arena_bytes", "macs"]);
    assert!(Path::new(blob).exists());

    let keys =
        ["parameters", "trainable_parameters", "macs", "blob_bytes", "arena_bytes", "layers"];
    report(&["summary", blob], &keys);

    let run = report(&["run", blob, picture], &["predictions"]);
    assert!(run["predictions"][0]["label"].is_string());
    assert!(run["predictions"][0]["score"].is_f64());

    let on_model = ["evaluate", MODEL, "--data", data, "--preprocess", "unit"];
    for arguments in [&on_model[..], &["evaluate", blob, "--data", data]] {
        let evaluate = report(arguments, &["top1", "top5", "count"]);
        assert_eq!(evaluate["count"], 4);
        assert!((0.0..=1.0).contains(&evaluate["top1"].as_f64().unwrap()));
    }

    let verify = report(&["verify", MODEL, blob, "--data", data], &["top1_agreement", "layers"]);
    let layer = verify["layers"].as_array().unwrap().last().unwrap();
    assert!(layer["name"].is_string() && layer.get("sqnr_db").is_some(), "{layer}");

    report(&["plan", blob], &["arena_bytes", "scratch_bytes"]);
    for language in ["rust", "c"] {
        let project = folder.path().join(language);
        let export = ["export", language, blob, "-o", project.to_str().unwrap()];
        let exported = report(&export, &["files", "features", "blob_bytes", "arena_bytes"]);
        assert_eq!(exported["name"], "net");
        for written in exported["files"].as_array().unwrap() {
            assert!(project.join(written.as_str().unwrap()).is_file(), "{written}");
        }
        let source = fs::read_to_string(project.join("src/lib.rs")).unwrap();
        assert!(source.contains("\"airplane\"") && !source.contains("{{"));
        assert_eq!(exit_code(&[&export[..], &["--name", "2 b"]].concat()), 2);
        assert_eq!(exit_code(&[&export[..], &["--engine", data]].concat()), 1);
    }
    let bench = report(&["bench", blob, "--layers", "--runs", "3"], &["median_us", "min_us"]);
    assert!(!bench["layers"].as_array().unwrap().is_empty());
}

#[test]
fn a_new_network_is_a_model() {
    let folder = TempDir::new("cli-new");
    let [first, again, other] = ["a", "b", "c"].map(|name| folder.path().join(name));
    let new = |path: &Path, more: &[&str]| {
        let path = path.to_str().unwrap();
        let arguments = ["new", "mobilenet-v1", "--alpha", "0.25", "--input", "32x32x3"];
        let arguments = [&arguments[..], &["--classes", "10", "-o", path], more].concat();
        report(&arguments, &["parameters", "trainable_parameters", "macs", "preprocess"])
    };
    let made = new(&first, &[]);
    new(&again, &["--seed", "0"]);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&again).unwrap());
    new(&other, &["--seed", "1"]);
    assert_ne!(fs::read(&first).unwrap(), fs::read(&other).unwrap());
    let loaded = new(&again, &["--seed", "2", "--weights", other.to_str().unwrap()]);
    assert_eq!(loaded["loaded"], 55);
    let first = first.to_str().unwrap();
    let summary = report(&["summary", first], &["parameters", "trainable_parameters"]);
    assert_eq!(summary["parameters"], made["parameters"]);
    let layers = report(&["layers", first, "--trainable"], &["layers"]);
    assert_eq!(layers["layers"].as_array().unwrap().len(), 55);
    assert_eq!(layers["layers"][0]["name"], "conv1");
}

/// The scores of a MobileNetV2 that has learnt nothing differ by less than softmax resolves.
#[test]
fn a_new_network_can_be_quantized() {
    let folder = TempDir::new("cli-new-blob");
    pictures(&folder.path().join("pictures"));
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (model, blob) = (path("new.safetensors"), path("new.mote"));
    let arguments = ["new", "mobilenet-v2", "--alpha", "0.35", "--classes", "2", "-o", &model];
    report(&[&arguments[..], &["--input", "96x96x3"]].concat(), &["parameters"]);
    let pictures = path("pictures");
    report(&["quantize", &model, "-o", &blob, "--calibration", &pictures], &["blob_bytes"]);
    let run = report(&["run", &blob, &path("pictures/cat/0.png")], &["predictions"]);
    let score = run["predictions"][0]["score"].as_f64().unwrap();
    assert!((score - 0.5).abs() <= 1.0 / 256.0, "{score}");
}
