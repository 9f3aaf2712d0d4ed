//! `mote new`: a network by name.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use super::Usage;
use super::output::{Output, grouped};
use crate::graph::{Pooling, Shape};
use crate::import::{self, Weights};
use crate::model_file;
use crate::networks::{Network, NetworkError, Options, Top, load_layers, load_weights};

/// Makes a network by name, with initial weights or with those of another model.
///
/// `mote new mobilenet-cifar --alpha 0.25 -o model.safetensors` writes one to train;
/// `mote summary model.safetensors` shows its layers. The same seed gives the same file.
///
/// With --weights the layers take the weights of their namesakes in a model of any format (.keras,
/// .h5, .onnx, .tflite, .safetensors) or in a Keras file of weights (.weights.h5); where no name is
/// common with a model, one after the other, which all have to fit.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The architecture.
    #[arg(value_name = "NETWORK", long_help = networks_help())]
    network: String,
    /// The model file to write.
    #[arg(short, long, value_name = "OUT.safetensors")]
    output: PathBuf,
    /// Height, width and channels of the input. Default: 32x32x3 for a network for 32x32 pictures,
    /// else 224x224x3.
    #[arg(long, value_name = "HxWxC", value_parser = parse_input)]
    input: Option<Shape>,
    /// Classes of the classifier. Default: 10 for a network for 32x32 pictures, else 1000.
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Leave the classifier out; the output is the last feature map, its mean or its maximum.
    #[arg(long, value_name = "none|avg|max", conflicts_with = "classes")]
    no_top: Option<Pooling>,
    /// Factor on the channels of a MobileNet, such as 0.25. Default: 1.
    #[arg(long)]
    alpha: Option<f32>,
    /// Share of the features that training drops before the classifier. Default: the
    /// architecture's own.
    #[arg(long, value_name = "RATE")]
    dropout: Option<f32>,
    /// Decides the initial weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A model whose weights to take, layer by layer.
    #[arg(long, value_name = "MODEL")]
    weights: Option<PathBuf>,
}

fn networks_help() -> String {
    let names = Network::NAMES.map(|(name, about)| format!("  {name:14} {about}"));
    format!("The architecture:\n{}", names.join("\n"))
}

fn parse_input(text: &str) -> Result<Shape, String> {
    let dims: Option<Vec<usize>> = text.split('x').map(|dim| dim.parse().ok()).collect();
    match dims.as_deref().map(Shape::from_dims) {
        Some(Ok(shape @ Shape::Map { .. })) => Ok(shape),
        _ => Err("give height, width and channels, such as 32x32x3".to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct Report {
    output: PathBuf,
    network: String,
    parameters: u64,
    trainable_parameters: u64,
    macs: u64,
    preprocess: Option<String>,
    /// Layers that took weights from --weights.
    loaded: Option<usize>,
    /// Whether they were matched by their order, for want of common names.
    in_order: bool,
    /// Layers that --weights does not have; they have initial weights.
    missing: Vec<String>,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let network = Network::from_name(&args.network, args.alpha).map_err(usage)?;
    let mut options = Options { dropout: args.dropout, seed: Some(args.seed), ..network.options() };
    if let Some(input) = args.input {
        let extent = input.extent();
        (options.height, options.width, options.channels) =
            (extent.height, extent.width, input.channels());
    }
    if let Some(top) = args.no_top.map(Top::Features).or(args.classes.map(Top::Classes)) {
        options.top = top;
    }
    let mut graph = network.build(&options).map_err(usage)?;
    let mut loaded = None;
    if let Some(path) = &args.weights {
        loaded = Some(match import::open_weights(path)? {
            Weights::Network(source) if source.is_quantized() => {
                bail!(Usage(format!("{} is quantized; give a float model", path.display())))
            }
            Weights::Network(source) => load_weights(&mut graph, &source)?,
            Weights::Layers(layers) => load_layers(&mut graph, &layers)?,
        });
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        graph.provenance.insert("weights".to_owned(), name.unwrap_or_default());
    }
    model_file::write(&args.output, &graph)?;
    let report = Report {
        output: args.output.clone(),
        network: network.to_string(),
        parameters: graph.parameters() as u64,
        trainable_parameters: graph.trainable_parameters() as u64,
        macs: graph.total_macs(),
        preprocess: graph.preprocess.map(|preprocess| preprocess.to_string()),
        loaded: loaded.as_ref().map(|loaded| loaded.loaded.len()),
        in_order: loaded.as_ref().is_some_and(|loaded| loaded.in_order),
        missing: loaded.map(|loaded| loaded.missing).unwrap_or_default(),
    };
    output.report(&report, text)
}

fn usage(error: NetworkError) -> Usage {
    Usage(error.to_string())
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{}: {}, {} parameters ({} trainable), {} MACs\n",
        report.output.display(),
        report.network,
        grouped(report.parameters),
        grouped(report.trainable_parameters),
        grouped(report.macs),
    );
    if let Some(preprocess) = &report.preprocess {
        text.push_str(&format!("preprocessing {preprocess}\n"));
    }
    if let Some(loaded) = report.loaded {
        let how = if report.in_order { "in order, no name being common" } else { "by name" };
        text.push_str(&format!("{loaded} layers took weights, {how}\n"));
    }
    if !report.missing.is_empty() {
        let missing = report.missing.join(", ");
        text.push_str(&format!("with initial weights, since the source lacks them: {missing}\n"));
    }
    text
}
