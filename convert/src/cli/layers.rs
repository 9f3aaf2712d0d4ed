//! `mote layers`: what can be named, frozen and cut.

use std::path::PathBuf;

use serde::Serialize;

use super::output::{Output, grouped, table};
use super::source::open_model;

/// Lists the layers of a model: index, name, class, output shape, parameters, trainable.
///
/// The names and indices are what other options mean by a layer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.keras, .h5, .onnx, .tflite, .safetensors).
    model: PathBuf,
    /// Only layers with weights that training would change.
    #[arg(long)]
    trainable: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    layers: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    index: usize,
    name: String,
    class: &'static str,
    output: Vec<usize>,
    parameters: u64,
    trainable_parameters: u64,
    trainable: bool,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let graph = open_model(&args.model)?;
    let rows = graph.layers().map(|layer| Row {
        index: layer.id().index(),
        name: layer.name().to_owned(),
        class: layer.node().op.kind(),
        output: layer.output_shape().dims(),
        parameters: layer.node().parameters() as u64,
        trainable_parameters: layer.node().trainable_parameters() as u64,
        trainable: layer.trainable(),
    });
    let layers = rows.filter(|row| !args.trainable || row.trainable_parameters > 0).collect();
    output.report(&Report { layers }, text)
}

fn text(report: &Report) -> String {
    let header = ["index", "layer", "class", "output", "parameters", "trainable"];
    let mut table = table(&header, 4);
    for row in &report.layers {
        table.add_row([
            row.index.to_string(),
            row.name.clone(),
            row.class.to_owned(),
            row.output.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
            grouped(row.parameters),
            trainable(row.parameters, row.trainable_parameters),
        ]);
    }
    format!("{table}\n")
}

/// `yes` and `no` for layers that have weights; a count where only a part is trained.
pub(super) fn trainable(parameters: u64, trainable_parameters: u64) -> String {
    match trainable_parameters {
        _ if parameters == 0 => "-".to_owned(),
        0 => "no".to_owned(),
        all if all == parameters => "yes".to_owned(),
        part => grouped(part),
    }
}
