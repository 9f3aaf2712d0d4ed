//! `mote summary`: the layer table.

use std::path::PathBuf;

use mote_engine::ElementType;
use serde::Serialize;

use super::layers::trainable;
use super::output::{Output, grouped, table};
use super::source::Source;
use crate::blob::Blob;
use crate::graph::{Graph, Param, QuantizedParam};

/// Shows the layers of a model or a blob: shapes, parameters, MACs, bytes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.keras, .h5, .onnx, .tflite, .safetensors) or a blob (.mote).
    #[arg(value_name = "MODEL|BLOB")]
    path: PathBuf,
}

#[derive(Debug, Serialize)]
struct Summary {
    name: String,
    format: &'static str,
    input: Vec<usize>,
    output: Vec<usize>,
    parameters: u64,
    trainable_parameters: u64,
    non_trainable_parameters: u64,
    macs: u64,
    /// Bytes of the blob; of a model the bytes of its parameters as f32.
    blob_bytes: Option<u64>,
    weight_bytes: u64,
    arena_bytes: Option<u64>,
    numerics: Option<&'static str>,
    target: Option<String>,
    preprocess: Option<String>,
    source: Option<String>,
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    r#type: &'static str,
    output: Vec<usize>,
    parameters: u64,
    trainable_parameters: u64,
    macs: u64,
    bytes: u64,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let summary = match Source::open(&args.path)? {
        Source::Model(graph) => of_model(&graph),
        Source::Blob(blob) => of_blob(&blob),
    };
    output.report(&summary, text)
}

fn of_model(graph: &Graph) -> Summary {
    let layers: Vec<Layer> = graph
        .iter()
        .map(|(id, node)| {
            let width = |param: &Param| match param.quantized {
                Some(QuantizedParam::I8 { .. }) => 1,
                _ => 4,
            };
            Layer {
                name: node.name.clone(),
                r#type: node.op.kind(),
                output: node.shape.dims(),
                parameters: node.parameters() as u64,
                trainable_parameters: node.trainable_parameters() as u64,
                macs: graph.macs(id),
                bytes: node.op.params().map(|param| (param.len() * width(param)) as u64).sum(),
            }
        })
        .collect();
    let parameters = layers.iter().map(|layer| layer.parameters).sum();
    let trainable_parameters = layers.iter().map(|layer| layer.trainable_parameters).sum();
    Summary {
        name: graph.name().to_owned(),
        format: match (graph.has_integers(), graph.is_quantized()) {
            (true, _) => "int8 model",
            (false, true) => "float model with int8 ranges",
            (false, false) => "float model",
        },
        input: graph.input_shape().dims(),
        output: graph.output_shape().dims(),
        parameters,
        trainable_parameters,
        non_trainable_parameters: parameters - trainable_parameters,
        macs: graph.total_macs(),
        blob_bytes: None,
        weight_bytes: layers.iter().map(|layer| layer.bytes).sum(),
        arena_bytes: None,
        numerics: None,
        target: None,
        preprocess: graph.preprocess.map(|preprocess| preprocess.to_string()),
        source: None,
        layers,
    }
}

fn of_blob(blob: &Blob) -> Summary {
    let model = blob.model();
    let dims = |index: usize| {
        model.tensor(index).map_or_else(Vec::new, |tensor| {
            let shape = tensor.shape;
            if shape.pixels() == 1 {
                vec![shape.channels]
            } else {
                vec![shape.height, shape.width, shape.channels]
            }
        })
    };
    let layers: Vec<Layer> = (0..model.op_count())
        .filter_map(|index| {
            let (op, kind) = (model.op(index)?, model.kind(index)?);
            let record = model.blob().ops().get(index)?;
            let (weights, biases) = op.parameters();
            let table_bytes = match kind.elements() {
                (ElementType::F16, _) => biases * size_of::<f32>(),
                _ => biases * model.channel_bytes(),
            };
            Some(Layer {
                name: blob.name(index + 1),
                r#type: kind.name(),
                output: dims(index + 1),
                parameters: (weights + biases) as u64,
                trainable_parameters: 0,
                macs: op.macs(),
                bytes: u64::from(record.weights_bytes) + table_bytes as u64,
            })
        })
        .collect();
    let parameters = layers.iter().map(|layer| layer.parameters).sum();
    let provenance = blob.provenance();
    Summary {
        name: provenance.source.clone(),
        format: "blob",
        input: dims(0),
        output: dims(model.op_count()),
        parameters,
        trainable_parameters: 0,
        non_trainable_parameters: parameters,
        macs: layers.iter().map(|layer| layer.macs).sum(),
        blob_bytes: Some(blob.bytes().len() as u64),
        weight_bytes: model.blob().weights().len() as u64,
        arena_bytes: Some(model.arena_bytes() as u64),
        numerics: Some(model.numerics().name()),
        target: Some(provenance.target.clone()),
        preprocess: blob.preprocess().map(ToString::to_string),
        source: Some(provenance.source.clone()),
        layers,
    }
}

fn text(summary: &Summary) -> String {
    let is_model = summary.blob_bytes.is_none();
    let mut header = vec!["layer", "type", "output", "parameters"];
    header.extend(is_model.then_some("trainable"));
    header.extend(["MACs", "bytes"]);
    let mut table = table(&header, 3);
    for layer in &summary.layers {
        let mut row = vec![
            layer.name.clone(),
            layer.r#type.to_owned(),
            dims_text(&layer.output),
            grouped(layer.parameters),
        ];
        row.extend(is_model.then(|| trainable(layer.parameters, layer.trainable_parameters)));
        row.extend([grouped(layer.macs), grouped(layer.bytes)]);
        table.add_row(row);
    }
    let mut text = format!(
        "{} ({}): {} -> {}\n{table}\n",
        summary.name,
        summary.format,
        dims_text(&summary.input),
        dims_text(&summary.output),
    );
    let mut line = |what: &str, value: String| text.push_str(&format!("{what:>24}  {value}\n"));
    line("total parameters", grouped(summary.parameters));
    if is_model {
        line("trainable parameters", grouped(summary.trainable_parameters));
        line("non-trainable parameters", grouped(summary.non_trainable_parameters));
    }
    line("MACs", grouped(summary.macs));
    line("weight bytes", grouped(summary.weight_bytes));
    if let (Some(blob), Some(arena)) = (summary.blob_bytes, summary.arena_bytes) {
        line("blob bytes (flash)", grouped(blob));
        line("arena bytes (RAM)", grouped(arena));
    }
    for (what, value) in [
        ("numerics", summary.numerics.map(str::to_owned)),
        ("packed for", summary.target.clone()),
        ("preprocessing", summary.preprocess.clone()),
    ] {
        if let Some(value) = value {
            line(what, value);
        }
    }
    text
}

fn dims_text(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}
