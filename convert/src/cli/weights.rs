//! `mote weights`: names, shapes and statistics of a model's weights.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use super::Usage;
use super::output::{Output, table};
use super::source::open_model;
use crate::graph::Weight;
use crate::npy::Array;

/// Lists the weights of a model in Keras' order and shapes, or writes one as .npy.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.keras, .h5, .onnx, .tflite, .safetensors).
    model: PathBuf,
    /// Only the weights of this layer.
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Only this weight, such as `kernel`; needed for --npy when the layer has several.
    #[arg(long, value_name = "NAME")]
    weight: Option<String>,
    /// Write the weight there, as float32.
    #[arg(long, value_name = "OUT")]
    npy: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    weights: Vec<Row>,
    written: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Row {
    layer: String,
    name: String,
    shape: Vec<usize>,
    trainable: bool,
    min: f32,
    max: f32,
    mean: f64,
    std: f64,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let graph = open_model(&args.model)?;
    if let Some(layer) = &args.layer
        && graph.node_by_name(layer).is_none()
    {
        let known: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        bail!(Usage(format!("no layer `{layer}`; there are {}", known.join(", "))));
    }
    let mut rows = Vec::new();
    let mut arrays = Vec::new();
    for weight in graph.weights() {
        let other_layer = args.layer.as_ref().is_some_and(|layer| layer != weight.layer);
        let other_weight = args.weight.as_ref().is_some_and(|name| name != weight.role.name());
        if other_layer || other_weight {
            continue;
        }
        let values = weight.keras_data();
        rows.push(row(&weight, &values));
        arrays.push(Array::new(weight.keras_shape(), values.into_owned())?);
    }
    if let Some(path) = &args.npy {
        let [array] = arrays.as_slice() else {
            let names: Vec<String> =
                rows.iter().map(|row| format!("{}/{}", row.layer, row.name)).collect();
            bail!(Usage(format!(
                "--npy writes one weight, these are {}: {}; name one with --layer and --weight",
                rows.len(),
                names.join(", ")
            )));
        };
        array.write(path)?;
    }
    output.report(&Report { weights: rows, written: args.npy.clone() }, text)
}

fn row(weight: &Weight<'_>, values: &[f32]) -> Row {
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    Row {
        layer: weight.layer.to_owned(),
        name: weight.role.name().to_owned(),
        shape: weight.keras_shape(),
        trainable: weight.trainable,
        min: values.iter().copied().fold(f32::INFINITY, f32::min),
        max: values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        mean,
        std: variance.sqrt(),
    }
}

fn text(report: &Report) -> String {
    let mut table = table(&["layer", "weight", "shape", "min", "max", "mean", "std"], 3);
    for row in &report.weights {
        table.add_row([
            row.layer.clone(),
            row.name.clone(),
            row.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
            format!("{:.5}", row.min),
            format!("{:.5}", row.max),
            format!("{:.5}", row.mean),
            format!("{:.5}", row.std),
        ]);
    }
    let mut text = format!("{table}\n");
    if let Some(path) = &report.written {
        text.push_str(&format!("written: {}\n", path.display()));
    }
    text
}
