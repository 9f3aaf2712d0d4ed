//! `mote quantize`: a model becomes a blob.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use mote_engine::{ElementType, Numerics};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use super::Usage;
use super::output::{Output, grouped};
use super::source::{Feed, Skipped, open_model, preprocess_of, training_set};
use crate::blob::{Blob, Element, Provenance};
use crate::data::{Content, Dataset};
use crate::detect;
use crate::emit::{Metadata, emit};
use crate::fetch;
use crate::files::{sha256_hex, write_atomic};
use crate::graph::Graph;
use crate::lower::lower;
use crate::passes;
use crate::preprocess::Preprocess;
use crate::quantize::{halve, post_training, quantize_mixed};
use crate::quantized::{Network, Node};
use crate::target::{TARGETS, Target};

/// Turns a model into a blob: int8 or half precision, planned, packed for a machine.
///
/// A quantized .tflite keeps its own integers, and what `mote train --qat` made the ranges that it
/// was trained with. In int8 a float model needs --calibration: some pictures of the kind that it
/// will see, labels are not needed. In half precision (--dtype f16) it needs none; the blob is about
/// half the size of the float weights.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.keras, .h5, .onnx, .tflite, .safetensors).
    model: PathBuf,
    /// The blob to write.
    #[arg(short, long, value_name = "OUT.mote")]
    output: PathBuf,
    /// How weights and activations are stored: `int8`, or `f16`, IEEE half precision with sums in
    /// single.
    #[arg(long, value_name = "int8|f16", default_value = "int8")]
    dtype: String,
    /// Layers that stay in half precision while the others become int8: `conv1,dense`.
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    keep_f16: Vec<String>,
    /// Pictures to find the activation ranges with; the same forms as `evaluate --data`.
    #[arg(long, value_name = "DIR")]
    calibration: Option<PathBuf>,
    /// Split of the calibration data, such as `train`.
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Only pictures of these classes: `cat,dog`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    classes: Vec<String>,
    /// How many calibration samples to use, spread evenly.
    #[arg(long, value_name = "N", default_value_t = 256)]
    samples: usize,
    /// Rounding contract: `tflite` equals TensorFlow Lite Micro, `fp32` equals XNNPACK and is
    /// cheaper with an FPU. Default: tflite for a quantized .tflite and for a chip without an FPU,
    /// else fp32.
    #[arg(long, value_name = "tflite|fp32")]
    numerics: Option<String>,
    /// Machine to pack the weights for. Default: this one. Any blob runs on any machine.
    #[arg(long, value_name = "NAME", long_help = target_help())]
    target: Option<String>,
    /// Class names, one a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// How pictures become the input: raw|unit|tf|torch|caffe|offset128, or a line such as
    /// `scaling=tf crop=1.0 channels=rgb`. Default: what the network tells.
    #[arg(long, value_name = "RULE")]
    preprocess: Option<Preprocess>,
}

fn target_help() -> String {
    let names: Vec<String> =
        TARGETS.iter().map(|target| format!("  {:15} {}", target.name, target.about)).collect();
    format!(
        "Machine to pack the weights for; any blob runs on any machine with the same result. \
         Default: this one.\n{}",
        names.join("\n")
    )
}

#[derive(Debug, Serialize)]
struct Report {
    output: PathBuf,
    blob_bytes: u64,
    arena_bytes: u64,
    weight_bytes: u64,
    macs: u64,
    dtype: &'static str,
    numerics: &'static str,
    target: &'static str,
    preprocess: String,
    calibration_samples: usize,
    skipped: usize,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let target = match &args.target {
        None => Target::host(),
        Some(name) => Target::from_name(name).ok_or_else(|| {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            Usage(format!("unknown target `{name}`; known: {}", known.join(", ")))
        })?,
    };
    let numerics = args.numerics.as_deref().map(parse_numerics).transpose()?;
    let dtype = Dtype::new(args)?;
    let mut graph = open_model(&args.model)?;
    if let Some(path) = &args.labels {
        graph.labels = Some(read_labels(path, graph.output_shape().elements())?);
    }
    let integers = graph.has_integers() || (dtype == Dtype::Int8 && !target.has_floats());
    let numerics = numerics.unwrap_or(if integers { Numerics::Tflite } else { Numerics::Fp32 });
    let dataset = match &args.calibration {
        Some(path) => {
            let path = fetch::data_set(path, &mut |line| eprintln!("{line}"))?;
            let dataset = training_set(&path, args.split.as_deref(), &args.classes)?;
            Some(dataset.subset(args.samples, 0))
        }
        None if graph.is_quantized() || dtype == Dtype::F16 => None,
        None => bail!(Usage(
            "a float model needs pictures to find its activation ranges: give --calibration DIR, \
             or --dtype f16 for half precision"
                .to_owned()
        )),
    };
    let preprocess = preprocess_of(&graph, args.preprocess, dataset.as_ref())?;
    let graph = passes::standard(graph)?;
    let skipped = Skipped::default();
    let mut used = 0;
    let is_pictures = dataset
        .as_ref()
        .and_then(|dataset| dataset.sample(0).ok())
        .is_some_and(|sample| matches!(sample.content, Content::Picture(_)));
    let mut network = match &dataset {
        _ if dtype == Dtype::F16 => halve(&graph)?,
        Some(dataset) if !graph.is_quantized() => {
            let feed = Feed::new(preprocess, &graph)?;
            let samples = tensors(dataset, &feed, &skipped);
            used = samples.len();
            let range = is_pictures.then(|| detect::range(&preprocess));
            let progress = output.progress(0, "quantizing");
            let network =
                post_training(graph.clone(), &samples, range, &args.keep_f16, &|done, all| {
                    progress.set_length(all as u64);
                    progress.set_position(done as u64);
                })?;
            progress.finish_and_clear();
            network
        }
        _ => quantize_mixed(&graph, None, &args.keep_f16)?,
    };
    network.labels.clone_from(&graph.labels);
    let program = lower(&network, target, numerics)?;
    let metadata = Metadata {
        labels: network.labels.clone(),
        preprocess: Some(preprocess.to_string()),
        provenance: Some(serde_json::to_string(&provenance(args, &graph, &network, target)?)?),
    };
    let blob = Blob::new(emit(&program, &metadata)?)?;
    write_atomic(&args.output, blob.bytes())?;
    let model = blob.model();
    let report = Report {
        output: args.output.clone(),
        blob_bytes: blob.bytes().len() as u64,
        arena_bytes: model.arena_bytes() as u64,
        weight_bytes: model.blob().weights().len() as u64,
        macs: (0..model.op_count()).filter_map(|i| model.op(i)).map(|op| op.macs()).sum(),
        dtype: dtype.name(),
        numerics: numerics.name(),
        target: target.name,
        preprocess: preprocess.to_string(),
        calibration_samples: used,
        skipped: skipped.count(),
    };
    output.report(&report, text)
}

/// The input tensors of the samples that can be used.
fn tensors(dataset: &Dataset, feed: &Feed, skipped: &Skipped) -> Vec<Vec<f32>> {
    (0..dataset.len())
        .into_par_iter()
        .filter_map(|index| {
            let sample = skipped.keep(dataset.sample(index))?;
            skipped.keep(feed.tensor(&sample))
        })
        .collect()
}

/// What the whole blob, or most of it, is stored in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dtype {
    Int8,
    F16,
    Mixed,
}

impl Dtype {
    fn new(args: &Args) -> anyhow::Result<Self> {
        match (args.dtype.as_str(), args.keep_f16.is_empty()) {
            ("int8", true) => Ok(Self::Int8),
            ("int8", false) => Ok(Self::Mixed),
            ("f16", true) => Ok(Self::F16),
            ("f16", false) => {
                bail!(Usage("--keep-f16 names layers of an int8 blob; drop --dtype f16".to_owned()))
            }
            (other, _) => bail!(Usage(format!("unknown dtype `{other}`; there are int8 and f16"))),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::F16 => "f16",
            Self::Mixed => "int8 and f16",
        }
    }
}

fn parse_numerics(name: &str) -> anyhow::Result<Numerics> {
    Numerics::ALL.iter().copied().find(|numerics| numerics.name() == name).ok_or_else(|| {
        Usage(format!("unknown numerics `{name}`; there are tflite and fp32")).into()
    })
}

fn read_labels(path: &PathBuf, classes: usize) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let labels: Vec<String> = text.lines().map(str::to_owned).collect();
    if labels.len() != classes {
        bail!(
            "{}: {} labels, the network has {classes} classes; write one a line",
            path.display(),
            labels.len()
        );
    }
    Ok(labels)
}

fn provenance(
    args: &Args,
    graph: &Graph,
    network: &Network,
    target: Target,
) -> anyhow::Result<Provenance> {
    let element = |node: Option<&Node>, of_graph| match node.map(|node| node.element) {
        Some(ElementType::F16) => Element::Float32,
        _ => Element::from(of_graph),
    };
    let bytes =
        fs::read(&args.model).with_context(|| format!("reading {}", args.model.display()))?;
    Ok(Provenance {
        source: args
            .model
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        source_sha256: sha256_hex(&bytes),
        tool: format!("mote {}", env!("CARGO_PKG_VERSION")),
        target: target.name.to_owned(),
        input_type: element(network.nodes.first(), graph.io_type.input),
        output_type: element(network.nodes.last(), graph.io_type.output),
    })
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{}: {} bytes of flash ({} of weights), {} bytes of arena, {} MACs\n",
        report.output.display(),
        grouped(report.blob_bytes),
        grouped(report.weight_bytes),
        grouped(report.arena_bytes),
        grouped(report.macs),
    );
    text.push_str(&format!(
        "{}, numerics {}, packed for {}, preprocessing {}\n",
        report.dtype, report.numerics, report.target, report.preprocess
    ));
    if report.calibration_samples > 0 {
        text.push_str(&format!("calibrated on {} samples\n", report.calibration_samples));
    }
    text
}
