//! The hex dump in docs/blob-format.md is a blob that Mote really writes. After a change of the
//! format `MOTE_BLESS=1 cargo test -p mote-convert --test blob_format` writes the new one.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use core::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use mote_convert::emit::{Metadata, emit};
use mote_convert::graph::IoType;
use mote_convert::lower::lower;
use mote_convert::quantized::{Network, Node, Op, Weights};
use mote_convert::target::Target;
use mote_engine::{ElementType, Numerics};
use mote_kernels::{Clamp, Shape};

#[test]
fn the_documented_dump_is_a_real_blob() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/blob-format.md");
    let text = fs::read_to_string(&document).unwrap().replace("\r\n", "\n");
    let (before, rest) = text.split_once(START).expect("the page has the start of the dump");
    let (documented, after) = rest.split_once(END).expect("the page has the end of the dump");
    let dump = hex_dump(&tiny_blob());
    if env::var_os("MOTE_BLESS").is_some() {
        fs::write(&document, format!("{before}{START}{dump}{END}{after}")).unwrap();
        return;
    }
    assert!(
        documented == dump,
        "docs/blob-format.md shows another blob; if the format was meant to change, run again \
         with MOTE_BLESS=1. What is written now:\n{dump}"
    );
}

const START: &str = "<!-- dump -->\n```text\n";
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
