//! The program as its users call it: what it says is what the library says on this machine.
//!
//! `MOTE_PI="qemu-aarch64 -cpu cortex-a72 PATH"` tests a program for another machine; `cargo xtask test` does so with the one
//! that `cargo xtask pi` packs. A camera is a file of frames here.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image::ExtendedColorType::Rgb8;
use image::codecs::jpeg::JpegEncoder;
use mote_convert::blob::{Blob, Class, Runner};
use mote_convert::data::{Content, Dataset};
use mote_convert::emit::{Metadata, emit};
use mote_convert::lower::lower;
use mote_convert::picture::Picture;
use mote_convert::preprocess::{Preprocess, Scaling};
use mote_convert::quantize::{Calibration, quantize};
use mote_convert::target::Target;
use mote_convert::testing::{TempDir, shared};
use mote_convert::{import, interpret, passes};
use mote_engine::{Isa, Numerics};
use serde_json::Value;

const LABELS: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// Of a camera's frame.
const WIDTH: u32 = 160;
const HEIGHT: u32 = 120;

/// Photographs where the development data is at hand, else gradients.
fn pictures() -> Vec<Picture> {
    const COUNT: usize = 6;
    let Some(photos) = shared("data/imagenet_dev500") else {
        let pixel = |index: usize, factor: usize| (index * factor / 64).to_le_bytes()[0];
        let picture = |factor| (0..200 * 150 * 3).map(|index| pixel(index, factor)).collect();
        return (1..=COUNT).map(|seed| Picture::new(200, 150, picture(seed)).unwrap()).collect();
    };
    let photos = Dataset::open(photos, None).unwrap().subset(COUNT, 0);
    let photo = |index| match photos.sample(index).unwrap().content {
        Content::Picture(picture) => picture,
        Content::Tensor(_) => panic!("not a picture"),
    };
    (0..COUNT).map(photo).collect()
}

/// A folder with the committed network as an int8 blob.
struct Setting {
    folder: TempDir,
    blob: Blob,
    pictures: Vec<Picture>,
}

impl Setting {
    fn new() -> Self {
        let model = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../convert/models/cifar10_mobilenet/model.h5");
        let graph = passes::standard(import::open(model).unwrap()).unwrap();
        let preprocess = Preprocess::new(Scaling::Tf);
        let pictures = pictures();
        let mut calibration = Calibration::new(&graph);
        for picture in &pictures {
            interpret::run(&graph, &preprocess.tensor_f32(picture, 32, 32), |id, values| {
                calibration.observe(&graph, id, values).unwrap();
            })
            .unwrap();
        }
        let network = quantize(&graph, Some(&calibration.finish().unwrap())).unwrap();
        let target = Target::from_name("pi4").unwrap();
        let metadata = Metadata {
            labels: Some(LABELS.map(str::to_owned).to_vec()),
            preprocess: Some(preprocess.to_string()),
            ..Metadata::default()
        };
        let blob = emit(&lower(&network, target, Numerics::Fp32).unwrap(), &metadata).unwrap();
        let folder = TempDir::new("mote-pi");
        fs::write(folder.path().join("model.mote"), &*blob).unwrap();
        Self { folder, blob: Blob::new(blob).unwrap(), pictures }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the library says of a picture.
    fn top(&self, picture: &Picture) -> Vec<Class> {
        let tensor = self.blob.preprocess().unwrap().tensor_f32(picture, 32, 32);
        let mut runner = Runner::new(&self.blob, Isa::Scalar).unwrap();
        self.blob.top(&runner.run(&self.blob.quantize_input(&tensor)), 3)
    }

    /// The pictures as a camera's frames.
    fn frames(&self) -> impl Iterator<Item = Picture> {
        let frame = |picture| {
            let pixels = Preprocess::default().geometry(picture, HEIGHT, WIDTH);
            Picture::new(WIDTH, HEIGHT, pixels).unwrap()
        };
        self.pictures.iter().map(frame)
    }

    fn command(&self) -> Command {
        let program = env::var("MOTE_PI").unwrap_or(env!("CARGO_BIN_EXE_mote-pi").to_owned());
        let mut words = program.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(self.path("model.mote")).stdin(Stdio::null());
        command
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The classes of a line are these, to the bit.
fn assert_classes(line: &Value, expected: &[Class]) {
    let top: Vec<_> = line["top"].as_array().unwrap().iter().collect();
    assert_eq!(top.len(), expected.len());
    for (found, expected) in top.iter().zip(expected) {
        assert_eq!(found["label"], expected.label);
        assert_eq!(found["class"], expected.class);
        let score: f32 = serde_json::from_value(found["score"].clone()).unwrap();
        assert_eq!(score, expected.score, "{expected:?}");
    }
}

#[test]
fn a_folder_is_classified_as_on_this_machine() {
    let setting = Setting::new();
    let folder = setting.path("pictures");
    fs::create_dir_all(folder.join("more")).unwrap();
    for (index, picture) in setting.pictures.iter().enumerate() {
        let name = if index < 3 { format!("{index}.png") } else { format!("more/{index}.PNG") };
        let (width, height) = (picture.width(), picture.height());
        image::save_buffer(folder.join(name), picture.rgb(), width, height, Rgb8).unwrap();
    }
    fs::write(folder.join("notes.txt"), "no picture").unwrap();
    let output = setting.command().arg(&folder).args(["--json", "--layers"]).output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    let lines = lines(&output);
    let (end, lines) = lines.split_last().unwrap();
    assert_eq!(lines.len(), setting.pictures.len());
    for (line, picture) in lines.iter().zip(&setting.pictures) {
        assert_classes(line, &setting.top(picture));
        assert!(line["run_ms"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(end["pictures"], setting.pictures.len());
    let layers = end["layers"].as_array().unwrap();
    assert_eq!(layers.len(), setting.blob.model().op_count());
    assert!(layers.iter().all(|layer| layer["mean_us"].as_f64() >= layer["min_us"].as_f64()));

    // For people, and what cannot be decoded is said and left out.
    fs::write(folder.join("0a.png"), "broken").unwrap();
    let output = setting.command().arg(&folder).args(["--top", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("0a.png"), "{}", errors(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let best = &setting.top(&setting.pictures[0])[0];
    assert!(text.contains(&format!("0.png: {} {:.2}; ", best.label, best.score)), "{text}");
    assert!(text.ends_with("; 1 left out\n"), "{text}");
}

#[test]
fn a_file_of_jpeg_frames_stands_in_for_a_camera() {
    let setting = Setting::new();
    let mut expected = Vec::new();
    let mut file = File::create(setting.path("frames.mjpeg")).unwrap();
    for frame in setting.frames() {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90)
            .encode(frame.rgb(), WIDTH, HEIGHT, Rgb8)
            .unwrap();
        file.write_all(&jpeg).unwrap();
        expected.push(setting.top(&Picture::decode(&jpeg).unwrap()));
    }
    let label = &expected[1][0].label;
    let camera = |more: &[&str]| {
        let mut command = setting.command();
        command.arg("--camera").arg(setting.path("frames.mjpeg")).arg("--json");
        command.args(more).output().unwrap()
    };
    let output = camera(&["--when", label, "--above", "0.2"]);
    assert!(output.status.success(), "{}", errors(&output));
    let lines = lines(&output);
    assert_eq!(lines.len(), expected.len() + 1);
    for (line, expected) in lines.iter().zip(&expected) {
        assert_classes(line, expected);
        let seen = expected.iter().any(|class| class.label == *label && class.score >= 0.2);
        assert_eq!(line["seen"], seen);
    }
    assert_eq!(lines[1]["picture"], "frame 1");

    let output = camera(&["--frames", "2"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);

    // A camera that stops in the middle of a frame.
    let bytes = fs::read(setting.path("frames.mjpeg")).unwrap();
    fs::write(setting.path("frames.mjpeg"), &bytes[..bytes.len() - 10]).unwrap();
    let output = camera(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("frame 5 of"), "{}", errors(&output));
}

#[test]
fn raw_frames_stand_in_for_a_camera_until_it_is_told_to_stop() {
    let setting = Setting::new();
    // Black and white, whose colours need no conversion.
    let stripes: Vec<bool> = (0..WIDTH * HEIGHT).map(|pixel| pixel / 7 % 2 == 0).collect();
    let yuyv: Vec<u8> =
        stripes.iter().flat_map(|&white| [if white { 235 } else { 16 }, 128]).collect();
    let rgb = stripes.iter().flat_map(|&white| [if white { 255 } else { 0 }; 3]);
    let expected = setting.top(&Picture::new(WIDTH, HEIGHT, rgb.collect()).unwrap());

    let pipe = setting.path("camera");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = setting.command();
    command.arg("--camera").arg(&pipe).args(["--format", "yuyv", "--size", "160x120", "--json"]);
    let mut program = command.stdout(Stdio::piped()).spawn().unwrap();
    // Frames until nobody reads them any more.
    let camera = std::thread::spawn(move || {
        let mut pipe = File::options().write(true).open(pipe).unwrap();
        while pipe.write_all(&yuyv).is_ok() {}
    });
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_classes(&line, &expected);
    }
    let kill = Command::new("kill").arg(program.id().to_string()).status().unwrap();
    assert!(kill.success());
    let last = lines.map(Result::unwrap).last().unwrap();
    assert!(last.contains("\"skipped\":0"), "no last line but {last}");
    assert!(program.wait().unwrap().success());
    camera.join().unwrap();
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let setting = Setting::new();
    let (frames, empty) = (setting.path("frames"), setting.path("empty"));
    fs::write(&frames, b"no pictures").unwrap();
    fs::create_dir(&empty).unwrap();
    let (frames, empty) = (frames.to_str().unwrap(), empty.to_str().unwrap());
    let cases: &[(&[&str], i32, &str)] = &[
        (&[], 2, "required"),
        (&["--camera", frames, "--size", "641x480"], 2, "the width is even"),
        (&["--camera", frames, "a.png"], 2, "cannot be used with"),
        (&["--camera", "absent"], 1, "cannot open the camera absent"),
        (&["--camera", "/dev/null"], 1, "what it offers"),
        (&["--camera", frames], 1, "frame 0 of"),
        (&["--camera", frames, "--when", "unicorn"], 1, "it has airplane, automobile, bird"),
        (&["--camera", frames, "--when", "cat", "--gpio", "17"], 1, "needs a Raspberry Pi"),
        (&["--gpio", "17", "a.png"], 2, "--when"),
        (&[empty], 1, "jpg, jpeg, png"),
        (&["absent.png"], 1, "absent.png"),
        (&["a.png", "--isa", "mmx"], 1, "known: scalar"),
        (&["a.png", "--preprocess", "unit channels=grey"], 1, "takes 3 channels"),
    ];
    for (arguments, code, part) in cases {
        let output = setting.command().args(*arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", errors(&output));
        assert!(errors(&output).contains(part), "{arguments:?}: {}", errors(&output));
    }
}
