//! `mote flash`: a blob onto a board.

use std::path::PathBuf;

use anyhow::bail;
use mote_engine::Isa;
use serde::Serialize;

use super::Usage;
use super::output::{Output, grouped};
use super::source::{Feed, open_blob};
use crate::blob::{Blob, Runner};
use crate::files::write_atomic;
use crate::flash::{self, BOARDS, Board, Options, Program};
use crate::npy::Array;
use crate::picture::Picture;
use crate::preprocess::Preprocess;

/// Builds the firmware example of a board around a blob, runs it and compares the bits.
///
/// Emulated boards run here. A real one is written and started by probe-rs, or --image makes the
/// file for it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A blob (.mote).
    blob: PathBuf,
    /// Where it runs.
    #[arg(long, value_name = "NAME", long_help = board_help())]
    board: String,
    /// The picture to classify. Default: an input of zeros.
    #[arg(long, value_name = "P", conflicts_with = "input")]
    picture: Option<PathBuf>,
    /// Tensors to run instead, a batch along the first axis; all outputs are compared.
    #[arg(long, value_name = "X.npy")]
    input: Option<PathBuf>,
    /// Where the board's outputs go.
    #[arg(long, value_name = "Y.npy")]
    output: Option<PathBuf>,
    /// Counts the instructions of every layer too.
    #[arg(long)]
    layers: bool,
    /// How the picture becomes the input. Default: what the blob says.
    #[arg(long, value_name = "RULE")]
    preprocess: Option<Preprocess>,
    /// Writes the firmware there and runs nothing: .uf2 for a board that is a USB drive, else .elf.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "output", "layers"])]
    image: Option<PathBuf>,
    /// The firmware that takes pictures and models from `mote send` over a serial line.
    #[arg(long, conflicts_with_all = ["picture", "input", "output", "layers"])]
    serve: bool,
}

fn board_help() -> String {
    let names: Vec<String> =
        BOARDS.iter().map(|board| format!("  {:14} {}", board.name, board.chip)).collect();
    format!("Where it runs:\n{}", names.join("\n"))
}

#[derive(Debug, Serialize)]
struct Report {
    board: String,
    label: String,
    score: f32,
    parity: bool,
    /// Values in which board and host differ.
    differing_values: usize,
    inputs: usize,
    instructions: u64,
    flash_bytes: u32,
    engine_bytes: u32,
    arena_bytes: u32,
    stack_bytes: u32,
    text_bytes: u32,
    rodata_bytes: u32,
    data_bytes: u32,
    bss_bytes: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
    log: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Layer {
    layer: String,
    kind: &'static str,
    macs: u64,
    instructions: u64,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let board = flash::board(&args.board).map_err(|error| Usage(error.to_string()))?;
    let blob = open_blob(&args.blob)?;
    let inputs = inputs(args, &blob)?;
    if args.image.is_some() || args.serve || !board.is_emulated() {
        return firmware(args, board, &blob, &inputs, output);
    }
    let expected = expected(&blob, &inputs)?;
    let progress = |text: &str| output.note(text);
    let options = Options { progress: &progress, layers: args.layers, ..Options::default() };
    let slices: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
    let report = flash::flash(blob.bytes(), board, &slices, &options)?;
    if let Some(path) = &args.output {
        blob.outputs(&report.outputs).write(path)?;
    }
    let differing_values = expected
        .iter()
        .flatten()
        .zip(report.outputs.iter().flatten())
        .filter(|(host, board)| host != board)
        .count();
    let parity = expected == report.outputs;
    let report = Report {
        board: args.board.clone(),
        label: report.label,
        score: report.score,
        parity,
        differing_values,
        inputs: inputs.len(),
        instructions: report.instructions,
        flash_bytes: report.flash_bytes,
        engine_bytes: report.engine_bytes,
        arena_bytes: report.arena_bytes,
        stack_bytes: report.stack_bytes,
        text_bytes: report.text_bytes,
        rodata_bytes: report.rodata_bytes,
        data_bytes: report.data_bytes,
        bss_bytes: report.bss_bytes,
        layers: layers(&blob, &report.layers),
        log: report.log,
    };
    output.report(&report, text)?;
    anyhow::ensure!(parity, "the board's output differs from the host's; please report this");
    Ok(())
}

#[derive(Debug, Serialize)]
struct Firmware {
    board: &'static str,
    image: Option<PathBuf>,
    flash_bytes: u32,
    /// Flash without the blob: the engine, the board's own code, the logger, the picture.
    program_bytes: u32,
    /// Statics, the arena included.
    ram_bytes: u32,
}

/// The firmware into a file, or onto the board.
fn firmware(
    args: &Args,
    board: &Board,
    blob: &Blob,
    inputs: &[Vec<i8>],
    output: &Output,
) -> anyhow::Result<()> {
    if args.image.is_none() && board.is_emulated() {
        bail!(Usage(format!("{} is emulated: --serve needs --image FILE for QEMU", board.name)));
    }
    let [input] = inputs else {
        bail!(Usage(format!("{} is a real board: it runs one --picture", board.name)));
    };
    let progress = |text: &str| output.note(text);
    let options = Options { progress: &progress, ..Options::default() };
    let program = if args.serve { Program::Serve } else { Program::Classify };
    let image = flash::image(blob.bytes(), board, program, input, &options)?;
    if let Some(path) = &args.image {
        let uf2 = path.extension().is_some_and(|extension| extension == "uf2");
        let bytes = if uf2 { flash::uf2(&image, board)? } else { image.elf.clone() };
        write_atomic(path, &bytes)?;
    }
    let blob_bytes = u32::try_from(blob.bytes().len()).unwrap_or(u32::MAX);
    let report = Firmware {
        board: board.name,
        image: args.image.clone(),
        flash_bytes: image.flash_bytes,
        program_bytes: image.flash_bytes.saturating_sub(blob_bytes),
        ram_bytes: image.ram_bytes,
    };
    output.report(&report, |report| {
        format!(
            "{}: {} bytes of flash ({} without the blob), {} bytes of RAM without the stack\n",
            report.image.as_ref().map_or(report.board.into(), |path| path.display().to_string()),
            grouped(report.flash_bytes),
            grouped(report.program_bytes),
            grouped(report.ram_bytes),
        )
    })?;
    if args.image.is_none() {
        flash::run_on_probe(&image, board)?;
    }
    Ok(())
}

fn inputs(args: &Args, blob: &Blob) -> anyhow::Result<Vec<Vec<i8>>> {
    if let Some(path) = &args.input {
        return Ok(blob.inputs(&Array::read(path)?)?);
    }
    let Some(picture) = &args.picture else {
        let input = blob.input();
        return Ok(vec![vec![input.zero_point; input.bytes()]]);
    };
    let feed = Feed::for_blob(blob, args.preprocess)?;
    Ok(vec![blob.quantize_input(&feed.picture(&Picture::open(picture)?))])
}

/// What the host's scalar kernels, the specification, make of the inputs.
fn expected(blob: &Blob, inputs: &[Vec<i8>]) -> anyhow::Result<Vec<Vec<i8>>> {
    let mut runner = Runner::new(blob, Isa::Scalar)?;
    Ok(inputs.iter().map(|input| runner.run(input)).collect())
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{}: {} ({:.4}); {} of {} inputs with the same bits as the host\n",
        report.board,
        report.label,
        report.score,
        if report.parity { report.inputs } else { 0 },
        report.inputs,
    );
    let mut line = |what: &str, value: u64| {
        text.push_str(&format!("{what:>24}  {}\n", grouped(value)));
    };
    line("instructions", report.instructions);
    line("flash bytes", report.flash_bytes.into());
    line("of it without the blob", report.engine_bytes.into());
    line("arena bytes", report.arena_bytes.into());
    line("stack bytes", report.stack_bytes.into());
    for layer in &report.layers {
        let Layer { layer, kind, macs, instructions } = layer;
        text.push_str(&format!(
            "{:>24}  {:>11} instructions  {:>11} MACs  {layer}\n",
            kind,
            grouped(*instructions),
            grouped(*macs),
        ));
    }
    text
}

/// Counts with what they belong to.
fn layers(blob: &Blob, counts: &[u64]) -> Vec<Layer> {
    let model = blob.model();
    let layer = |(index, &instructions): (usize, &u64)| {
        Some(Layer {
            layer: blob.name(index + 1),
            kind: model.kind(index)?.name(),
            macs: model.op(index)?.macs(),
            instructions,
        })
    };
    counts.iter().enumerate().filter_map(layer).collect()
}
