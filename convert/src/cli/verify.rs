//! `mote verify`: the float model against the blob, layer by layer.

use std::path::PathBuf;

use anyhow::{Context, bail};
use mote_engine::{Isa, Observer, Op};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use super::output::{Output, grouped, percent, table};
use super::source::{DataArgs, Feed, Skipped, isa, open_blob, open_model};
use crate::blob::{Blob, Runner};
use crate::data::Dataset;
use crate::graph::Graph;
use crate::interpret::Interpreter;
use crate::passes;
use crate::preprocess::Preprocess;
use crate::rank;

/// Compares a blob with the model that it was made from: error of every layer, agreement of the
/// answers.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model (.keras, .h5, .onnx, .tflite, .safetensors); a quantized one stands for its dequantized weights.
    model: PathBuf,
    /// The blob made from it.
    blob: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// How pictures become the input. Default: what the blob says.
    #[arg(long, value_name = "RULE")]
    preprocess: Option<Preprocess>,
    /// Kernels for the blob. Default: the fastest of this machine.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    isa: &'static str,
    /// Whether all other kernels give the same bits.
    same_bits: bool,
    pub(super) top1_agreement: f64,
    count: usize,
    skipped: usize,
    pub(super) layers: Vec<Layer>,
    /// Names of the layers with the lowest SQNR, worst first.
    worst: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) r#type: &'static str,
    /// Signal-to-quantization-noise ratio; `null` when there was no noise.
    pub(super) sqnr_db: Option<f64>,
}

/// Products of a channel's float values and its stored values, summed.
///
/// Quantizing may scale a channel and what reads it the other way, so each channel is compared up to
/// a gain: the one with the least error.
#[derive(Clone, Copy, Debug, Default)]
struct Energy {
    float: f64,
    stored: f64,
    both: f64,
}

impl Energy {
    fn noise(self) -> f64 {
        if self.stored > 0.0 {
            self.float - self.both * self.both / self.stored
        } else {
            self.float
        }
    }
}

#[derive(Debug)]
struct Tally {
    /// For each tensor its channels.
    layers: Vec<Vec<Energy>>,
    agreed: usize,
    count: usize,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let graph = passes::standard(open_model(&args.model)?)?;
    let blob = open_blob(&args.blob)?;
    let isa = isa(args.isa.as_deref())?;
    let dataset = args.data.open()?;
    let feed = Feed::for_blob(&blob, args.preprocess)?;
    output.report(&compare(&graph, &blob, &dataset, &feed, isa, *output)?, text)
}

/// Runs both on every sample.
pub(super) fn compare(
    graph: &Graph,
    blob: &Blob,
    dataset: &Dataset,
    feed: &Feed,
    isa: Isa,
    output: Output,
) -> anyhow::Result<Report> {
    let pairs = pair(graph, blob)?;
    let skipped = Skipped::default();
    let progress = output.progress(dataset.len(), "verifying");
    let tally = (0..dataset.len())
        .into_par_iter()
        .try_fold(
            || None,
            |state: Option<(Tally, Interpreter<'_>, Runner<'_>)>, index| {
                progress.inc(1);
                let (mut tally, mut interpreter, mut runner) = match state {
                    Some(state) => state,
                    None => {
                        let tally = Tally::new(blob);
                        (tally, Interpreter::new(graph), Runner::new(blob, isa)?)
                    }
                };
                let sample = skipped.keep(dataset.sample(index));
                if let Some(tensor) = sample.and_then(|sample| skipped.keep(feed.tensor(&sample))) {
                    tally.compare(blob, &pairs, &mut interpreter, &mut runner, &tensor)?;
                }
                anyhow::Ok(Some((tally, interpreter, runner)))
            },
        )
        .map(|state| anyhow::Ok(state?.map(|(tally, ..)| tally)))
        .try_reduce(
            || None,
            |a, b| {
                Ok(match (a, b) {
                    (Some(a), Some(b)) => Some(a.merge(&b)),
                    (a, b) => a.or(b),
                })
            },
        )?
        .filter(|tally| tally.count > 0)
        .context("no sample of the data could be used")?;
    progress.finish_and_clear();
    Ok(tally.report(blob, isa, skipped.count()))
}

/// For each tensor of the blob, the graph node of the same name.
fn pair(graph: &Graph, blob: &Blob) -> anyhow::Result<Vec<Option<usize>>> {
    let model = blob.model();
    let pairs: Vec<Option<usize>> = (0..model.tensor_count())
        .map(|index| graph.node_by_name(model.name(index)?).map(crate::graph::NodeId::index))
        .collect();
    let last = pairs.last().copied().flatten();
    let same_len =
        last.is_some_and(|node| graph.nodes()[node].shape.elements() == model.output().len());
    if !same_len || graph.input_shape().elements() != model.input().len() {
        bail!("the blob was not made from this model: their layers do not match");
    }
    Ok(pairs)
}

impl Tally {
    fn new(blob: &Blob) -> Self {
        let channels = blob.tensors().iter().map(|tensor| tensor.shape.channels);
        let layers = channels.map(|channels| vec![Energy::default(); channels]).collect();
        Self { layers, agreed: 0, count: 0 }
    }

    fn compare(
        &mut self,
        blob: &Blob,
        pairs: &[Option<usize>],
        interpreter: &mut Interpreter<'_>,
        runner: &mut Runner<'_>,
        tensor: &[f32],
    ) -> anyhow::Result<()> {
        let mut float: Vec<Vec<f32>> = vec![Vec::new(); pairs.len()];
        let expected = interpreter.run(tensor, |id, values| {
            if let Some(place) = pairs.iter().position(|pair| *pair == Some(id.index())) {
                float[place] = values.to_vec();
            }
        })?;
        let mut tensors = Tensors(vec![Vec::new(); pairs.len()]);
        let input = blob.quantize_input(tensor);
        let found = runner.run_observed(&input, &mut tensors);
        tensors.0[0] = input;
        for (place, (expected, found)) in float.iter().zip(&tensors.0).enumerate() {
            let (view, energies) = (blob.tensors()[place], &mut self.layers[place]);
            if expected.len() != view.len() {
                continue;
            }
            let channels = energies.len();
            for (index, (&float, stored)) in expected.iter().zip(view.reals(found)).enumerate() {
                let (float, stored) = (f64::from(float), f64::from(stored));
                let energy = &mut energies[index % channels];
                energy.float += float * float;
                energy.stored += stored * stored;
                energy.both += float * stored;
            }
        }
        let found = blob.output_reals(&found);
        self.agreed += usize::from(rank::best(expected) == rank::best(&found));
        self.count += 1;
        Ok(())
    }

    fn merge(mut self, other: &Self) -> Self {
        self.agreed += other.agreed;
        self.count += other.count;
        for (mine, theirs) in self.layers.iter_mut().flatten().zip(other.layers.iter().flatten()) {
            mine.float += theirs.float;
            mine.stored += theirs.stored;
            mine.both += theirs.both;
        }
        self
    }

    fn report(&self, blob: &Blob, isa: Isa, skipped: usize) -> Report {
        const WORST: usize = 3;
        let model = blob.model();
        let layers: Vec<Layer> = self
            .layers
            .iter()
            .enumerate()
            .map(|(index, channels)| {
                let signal: f64 = channels.iter().map(|channel| channel.float).sum();
                (index, signal, channels.iter().map(|channel| channel.noise()).sum::<f64>())
            })
            .filter(|(_, signal, _)| *signal > 0.0)
            .map(|(index, signal, noise)| Layer {
                name: blob.name(index),
                r#type: index
                    .checked_sub(1)
                    .and_then(|op| model.kind(op))
                    .map_or("input", mote_engine::OpKind::name),
                // Less than what the sums themselves are rounded by is none.
                sqnr_db: (noise > signal * 1e-13).then(|| 10.0 * (signal / noise).log10()),
            })
            .collect();
        let mut order: Vec<&Layer> = layers.iter().filter(|l| l.sqnr_db.is_some()).collect();
        order.sort_by(|a, b| a.sqnr_db.unwrap_or(0.0).total_cmp(&b.sqnr_db.unwrap_or(0.0)));
        let worst = order.iter().take(WORST).map(|layer| layer.name.clone()).collect();
        #[allow(clippy::cast_precision_loss, reason = "sample counts are far below 2^52")]
        let top1_agreement = self.agreed as f64 / self.count as f64;
        let (count, same_bits) = (self.count, isa.is_exact());
        let isa = isa.name();
        Report { isa, same_bits, top1_agreement, count, skipped, layers, worst }
    }
}

/// Keeps every tensor.
struct Tensors(Vec<Vec<i8>>);

impl Observer for Tensors {
    fn after(&mut self, index: usize, _: &Op<'_>, output: &[i8]) {
        self.0[index + 1] = output.to_vec();
    }
}

fn text(report: &Report) -> String {
    let mut table = table(&["layer", "type", "SQNR dB"], 2);
    for layer in &report.layers {
        table.add_row([
            layer.name.clone(),
            layer.r#type.to_owned(),
            layer.sqnr_db.map_or_else(|| "exact".to_owned(), |db| format!("{db:.1}")),
        ]);
    }
    let bits = if report.same_bits {
        "the same bits as all others"
    } else {
        "bits of its own, within the bound for sums in halves of docs/numerics.md"
    };
    format!(
        "{table}\nkernels {}: {bits}\nworst layers: {}\ntop-1 agreement {} of {} samples\n",
        report.isa,
        report.worst.join(", "),
        percent(report.top1_agreement),
        grouped(report.count as u64),
    )
}
