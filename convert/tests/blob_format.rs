//! The hex dumps in docs/blob-format.md are blobs that Mote really writes. After a change of the
//! format `MOTE_BLESS=1 cargo test -p mote-convert --test blob_format` writes the new one.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use core::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use mote_convert::emit::{Metadata, emit};
use mote_convert::graph::IoType;
use mote_convert::lower::lower;
use mote_convert::quantized::{HalfOp, HalfWeights, Network, Node, Op, Weights};
use mote_convert::target::Target;
use mote_engine::{ElementType, Numerics};
use mote_kernels::{Clamp, ClampF16, F16, Shape};

#[test]
fn the_documented_dumps_are_real_blobs() {
    check("<!-- dump -->\n```text\n", &tiny_blob());
    check("<!-- f16 dump -->\n```text\n", &tiny_half_blob());
}

/// The dump after `start` on the page is that of `blob`.
fn check(start: &str, blob: &[u8]) {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/blob-format.md");
    let text = fs::read_to_string(&document).unwrap().replace("\r\n", "\n");
    let (before, rest) = text.split_once(start).expect("the page has the start of the dump");
    let (documented, after) = rest.split_once(END).expect("the page has the end of the dump");
    let dump = hex_dump(blob);
    if env::var_os("MOTE_BLESS").is_some() {
        fs::write(&document, format!("{before}{start}{dump}{END}{after}")).unwrap();
        return;
    }
    assert!(
        documented == dump,
        "docs/blob-format.md shows another blob; if the format was meant to change, run again \
         with MOTE_BLESS=1. What is written now:\n{dump}"
    );
}

const END: &str = "```\n<!-- end of dump -->";

/// Four values, a fully connected layer of two classes, softmax; every number is chosen by hand.
fn tiny_blob() -> Vec<u8> {
    let node = |name: &str, op, inputs: &[usize], channels, scale, zero_point| Node {
        name: name.to_owned(),
        op,
        inputs: inputs.to_vec(),
        shape: Shape::new(1, 1, channels),
        element: ElementType::I8,
        scale,
        zero_point,
    };
    let weights = Weights {
        values: vec![1, 2, 3, 4, -1, -2, -3, -4],
        scales: vec![0.25, 0.125],
        bias: vec![16, -16],
        depth: 4,
    };
    let dense = Op::FullyConnected { weights, clamp: Clamp::NONE };
    let softmax = Op::Softmax { beta: 1.0 };
    let network = Network {
        name: "tiny".to_owned(),
        nodes: vec![
            node("values", Op::Input, &[], 4, 0.5, -1),
            node("dense", dense, &[0], 2, 0.75, 3),
            node("softmax", softmax, &[1], 2, 1.0 / 256.0, -128),
        ],
        labels: None,
        io_type: IoType::default(),
    };
    let target = Target::from_name("scalar").unwrap();
    let program = lower(&network, target, Numerics::Tflite).unwrap();
    let labels = Some(vec!["no".to_owned(), "yes".to_owned()]);
    emit(&program, &Metadata { labels, ..Metadata::default() }).unwrap().to_vec()
}

/// The same four values and two classes in half precision, without softmax.
fn tiny_half_blob() -> Vec<u8> {
    let node = |name: &str, op, inputs: &[usize], channels| Node {
        name: name.to_owned(),
        op,
        inputs: inputs.to_vec(),
        shape: Shape::new(1, 1, channels),
        element: ElementType::F16,
        scale: 1.0,
        zero_point: 0,
    };
    let weights = HalfWeights {
        values: [0.25, 0.5, 0.75, 1.0, -0.125, -0.25, -0.375, -0.5].map(F16::from_f32).to_vec(),
        bias: vec![2.0, -1.0],
        depth: 4,
    };
    let clamp = ClampF16 { min: 0.0, max: 6.0 };
    let dense = Op::Half(HalfOp::FullyConnected { weights, clamp });
    let network = Network {
        name: "tiny".to_owned(),
        nodes: vec![node("values", Op::Input, &[], 4), node("dense", dense, &[0], 2)],
        labels: None,
        io_type: IoType::default(),
    };
    let target = Target::from_name("scalar").unwrap();
    let program = lower(&network, target, Numerics::Fp32).unwrap();
    emit(&program, &Metadata::default()).unwrap().to_vec()
}

/// As `hexdump -C` prints it, without its shortening of equal lines.
fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_shown = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let text: String =
            bytes.iter().map(|&b| if is_shown(b) { char::from(b) } else { '.' }).collect();
        writeln!(dump, "{:04x}  {:<47}  {text}", line * 16, hex.join(" ")).unwrap();
    }
    dump
}
