//! `mote evaluate`: accuracy over labelled data.

use std::path::PathBuf;

use anyhow::{Context, bail};
use mote_engine::{Isa, Numerics};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use super::Usage;
use super::output::{Output, grouped, percent, table};
use super::source::{DataArgs, Feed, Skipped, Source, isa, preprocess_of};
use crate::blob::{Blob, Runner};
use crate::data::Dataset;
use crate::emit::{Metadata, emit};
use crate::graph::Graph;
use crate::interpret::Interpreter;
use crate::lower::lower;
use crate::passes;
use crate::preprocess::Preprocess;
use crate::quantize::quantize;
use crate::rank;
use crate::target::Target;

/// Measures top-1 and top-5 accuracy and the confusions of a model or blob.
///
/// A float model runs in float; a quantized .tflite on its integers under the fp32 contract, as
/// LiteRT with XNNPACK runs it. For the tflite contract evaluate the blob.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.keras, .h5, .onnx, .tflite, .safetensors) or a blob (.mote).
    #[arg(value_name = "MODEL|BLOB")]
    path: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// How pictures become the input. Default: what the network tells.
    #[arg(long, value_name = "RULE")]
    preprocess: Option<Preprocess>,
    /// Class of the network that label 0 of the data means. Default: 1 for networks with a
    /// background class, else 0.
    #[arg(long, value_name = "N")]
    label_offset: Option<usize>,
    /// Kernels for a blob. Default: the fastest of this machine.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    top1: f64,
    top5: f64,
    count: usize,
    skipped: usize,
    preprocess: String,
    classes: Vec<String>,
    /// `confusion[label][prediction]`; only for up to 100 classes.
    confusion: Option<Vec<Vec<u32>>>,
    /// The most frequent mistakes.
    mistakes: Vec<Mistake>,
}

#[derive(Debug, Serialize)]
struct Mistake {
    label: String,
    prediction: String,
    count: usize,
}

/// What is evaluated.
enum Network {
    Float(Box<Graph>),
    Blob(Box<Blob>, Isa),
}

/// A network at work in one thread.
enum Worker<'n> {
    Float(Box<Interpreter<'n>>),
    Blob(&'n Blob, Box<Runner<'n>>),
}

impl Network {
    fn worker(&self) -> anyhow::Result<Worker<'_>> {
        Ok(match self {
            Self::Float(graph) => Worker::Float(Box::new(Interpreter::new(graph))),
            Self::Blob(blob, isa) => Worker::Blob(blob, Box::new(Runner::new(blob, *isa)?)),
        })
    }

    fn outputs(&self) -> usize {
        match self {
            Self::Float(graph) => graph.output_shape().elements(),
            Self::Blob(blob, _) => blob.output().len(),
        }
    }

    fn labels(&self) -> Option<Vec<String>> {
        match self {
            Self::Float(graph) => graph.labels.clone(),
            Self::Blob(blob, _) => (!blob.labels().is_empty()).then(|| blob.labels().to_vec()),
        }
    }
}

impl Worker<'_> {
    fn run(&mut self, tensor: &[f32]) -> anyhow::Result<Vec<f32>> {
        Ok(match self {
            Self::Float(interpreter) => interpreter.run(tensor, |_, _| {})?.to_vec(),
            Self::Blob(blob, runner) => {
                blob.output_reals(&runner.run(&blob.quantize_input(tensor)))
            }
        })
    }
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let isa = isa(args.isa.as_deref())?;
    let source = Source::open(&args.path)?;
    let dataset = args.data.open()?;
    let (network, feed) = match source {
        Source::Blob(blob) => {
            let feed = Feed::for_blob(&blob, args.preprocess)?;
            (Network::Blob(blob, isa), feed)
        }
        Source::Model(graph) => {
            let preprocess = preprocess_of(&graph, args.preprocess, Some(&dataset))?;
            let feed = Feed::new(preprocess, &graph)?;
            let graph = passes::standard(*graph)?;
            if graph.is_quantized() {
                let program = lower(&quantize(&graph, None)?, Target::host(), Numerics::Fp32)?;
                let metadata = Metadata { labels: graph.labels, ..Metadata::default() };
                let blob = Blob::new(emit(&program, &metadata)?)?;
                (Network::Blob(Box::new(blob), isa), feed)
            } else {
                (Network::Float(Box::new(graph)), feed)
            }
        }
    };
    let mapping = Mapping::new(&network, &dataset, args.label_offset)?;
    let skipped = Skipped::default();
    let progress = output.progress(dataset.len(), "evaluating");
    let ranks = (0..dataset.len())
        .into_par_iter()
        .map_init(
            || network.worker(),
            |worker, index| {
                progress.inc(1);
                let Some(sample) = skipped.keep(dataset.sample(index)) else { return Ok(None) };
                let Some(label) = sample.label else { bail!("{}: no label", sample.name) };
                let Some(tensor) = skipped.keep(feed.tensor(&sample)) else { return Ok(None) };
                let worker = worker.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))?;
                let class = mapping.class(label).with_context(|| {
                    format!("{}: label {label} is not a class of the network", sample.name)
                })?;
                Ok(Some(Outcome::new(class, &worker.run(&tensor)?)))
            },
        )
        .collect::<anyhow::Result<Vec<_>>>()?;
    progress.finish_and_clear();
    let outcomes: Vec<Outcome> = ranks.into_iter().flatten().collect();
    if outcomes.is_empty() {
        bail!("no sample of {} could be used", args.data.data.display());
    }
    let report = summarize(&outcomes, &mapping, &feed, skipped.count());
    output.report(&report, text)
}

/// From the labels of the data to the classes of the network.
struct Mapping {
    classes: Vec<usize>,
    names: Vec<String>,
}

impl Mapping {
    fn new(network: &Network, dataset: &Dataset, offset: Option<usize>) -> anyhow::Result<Self> {
        let outputs = network.outputs();
        let labels = network.labels();
        let data_classes = dataset.classes();
        let by_name = || -> Option<Vec<usize>> {
            let labels = labels.as_ref()?;
            data_classes.iter().map(|name| labels.iter().position(|label| label == name)).collect()
        };
        let has_background = outputs == 1001
            || labels.as_ref().is_some_and(|l| l.first().is_some_and(|l| l == "background"));
        let offset = match offset {
            Some(offset) => Some(offset),
            None if has_background => Some(1),
            None => None,
        };
        let classes = match (offset, by_name()) {
            (None, Some(classes)) => classes,
            (offset, _) => (0..data_classes.len()).map(|c| c + offset.unwrap_or(0)).collect(),
        };
        if classes.is_empty() || classes.iter().any(|&class| class >= outputs) {
            bail!(Usage(format!(
                "the data has {} classes, the network {outputs}; check --data, --label-offset",
                data_classes.len()
            )));
        }
        let names = labels.unwrap_or_else(|| {
            let mut names: Vec<String> = (0..outputs).map(|class| class.to_string()).collect();
            for (&class, name) in classes.iter().zip(data_classes) {
                names[class].clone_from(name);
            }
            names
        });
        Ok(Self { classes, names })
    }

    fn class(&self, label: usize) -> Option<usize> {
        self.classes.get(label).copied()
    }
}

struct Outcome {
    class: usize,
    prediction: usize,
    /// Classes that rank before the right one.
    rank: usize,
}

impl Outcome {
    fn new(class: usize, output: &[f32]) -> Self {
        let rank = (0..output.len()).filter(|&other| rank::before(output, other, class)).count();
        let prediction = rank::best(output);
        Self { class, prediction, rank }
    }
}

fn summarize(outcomes: &[Outcome], mapping: &Mapping, feed: &Feed, skipped: usize) -> Report {
    const MATRIX_CLASSES: usize = 100;
    const MISTAKES: usize = 10;
    #[allow(clippy::cast_precision_loss, reason = "sample counts are far below 2^52")]
    let share = |count: usize| count as f64 / outcomes.len() as f64;
    let within = |k: usize| outcomes.iter().filter(|outcome| outcome.rank < k).count();
    let outputs = mapping.names.len();
    let confusion = (outputs <= MATRIX_CLASSES).then(|| {
        let mut matrix = vec![vec![0_u32; outputs]; outputs];
        for outcome in outcomes {
            matrix[outcome.class][outcome.prediction] += 1;
        }
        matrix
    });
    let mut mistakes = std::collections::BTreeMap::<(usize, usize), usize>::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.rank > 0) {
        *mistakes.entry((outcome.class, outcome.prediction)).or_default() += 1;
    }
    let mut mistakes: Vec<_> = mistakes.into_iter().collect();
    mistakes.sort_by_key(|&(_, count)| core::cmp::Reverse(count));
    Report {
        top1: share(within(1)),
        top5: share(within(5)),
        count: outcomes.len(),
        skipped,
        preprocess: feed.preprocess.to_string(),
        classes: mapping.names.clone(),
        confusion,
        mistakes: mistakes
            .into_iter()
            .take(MISTAKES)
            .map(|((class, prediction), count)| Mistake {
                label: mapping.names[class].clone(),
                prediction: mapping.names[prediction].clone(),
                count,
            })
            .collect(),
    }
}

fn text(report: &Report) -> String {
    const SHOWN_CLASSES: usize = 20;
    let mut text = format!(
        "top-1 {}, top-5 {} of {} samples (preprocessing {})\n",
        percent(report.top1),
        percent(report.top5),
        grouped(report.count as u64),
        report.preprocess,
    );
    if report.skipped > 0 {
        text.push_str(&format!("{} samples could not be used\n", report.skipped));
    }
    if let Some(confusion) = report.confusion.as_ref().filter(|c| c.len() <= SHOWN_CLASSES) {
        let mut header = vec!["label \\ prediction"];
        header.extend(report.classes.iter().map(String::as_str));
        let mut table = table(&header, 1);
        for (name, row) in report.classes.iter().zip(confusion) {
            let mut cells = vec![name.clone()];
            cells.extend(row.iter().map(ToString::to_string));
            table.add_row(cells);
        }
        text.push_str(&format!("{table}\n"));
    }
    for mistake in &report.mistakes {
        text.push_str(&format!(
            "{:>6}x {} taken for {}\n",
            mistake.count, mistake.label, mistake.prediction
        ));
    }
    text
}
