//! `mote report`: a training run as one page.

use core::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use mote_engine::Isa;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;
use serde_json::Value;

use super::Usage;
use super::output::{Output, grouped, percent};
use super::source::{Feed, Skipped, only, open_blob, open_model, training_set};
use super::train::verdict;
use super::verify::{self, Layer};
use crate::blob::{Blob, Runner};
use crate::chart::{confusion_matrix, learning_curves};
use crate::data::Dataset;
use crate::fetch;
use crate::files::write_atomic;
use crate::fit::{Begin, End, Epoch, Event, log_path, read_log};
use crate::memory_map::{self, MemoryMap, escape};
use crate::rank;

/// Writes one self-contained HTML page about a training run: curves, confusions, and with a blob
/// what quantization cost, layer by layer, and its memory.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The trained network, or its log (OUT.run.jsonl).
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The page to write.
    #[arg(short, long, value_name = "OUT.html")]
    output: PathBuf,
    /// The blob that `mote quantize` made of the network.
    #[arg(long, value_name = "BLOB")]
    blob: Option<PathBuf>,
    /// What `mote flash --json` printed.
    #[arg(long, value_name = "FILE.json")]
    flash: Option<PathBuf>,
    /// Where the run's data lies now. Default: where it lay then.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A run as it was logged.
#[derive(Debug, Serialize)]
struct Run {
    begin: Begin,
    epochs: Vec<Epoch>,
    end: Option<End>,
}

/// What the blob is like.
#[derive(Debug, Serialize)]
struct Quantized {
    blob: PathBuf,
    /// On the validation set.
    accuracy: f64,
    float_accuracy: Option<f64>,
    /// How often both say the same.
    top1_agreement: f64,
    blob_bytes: usize,
    weight_bytes: usize,
    arena_bytes: usize,
    layers: Vec<Layer>,
    #[serde(skip)]
    memory_map: String,
}

#[derive(Debug, Serialize)]
struct Report {
    output: PathBuf,
    #[serde(flatten)]
    run: Run,
    quantized: Option<Quantized>,
    flash: Option<Value>,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let log = if args.run.extension().is_some_and(|extension| extension == "jsonl") {
        args.run.clone()
    } else {
        log_path(&args.run)
    };
    let run = Run::of(&log, read_log(&log)?)?;
    let flash = args.flash.as_deref().map(read_json).transpose()?;
    let quantized = match &args.blob {
        Some(blob) => Some(measure(&log, &run, blob, args.data.as_deref(), *output)?),
        None => None,
    };
    let report = Report { output: args.output.clone(), run, quantized, flash };
    write_atomic(&args.output, page(&report).as_bytes())?;
    output.report(&report, |report| format!("{}\n", report.output.display()))
}

impl Run {
    fn of(path: &Path, events: Vec<Event>) -> anyhow::Result<Self> {
        let (mut begin, mut epochs, mut end) = (None, Vec::new(), None);
        for event in events {
            match event {
                Event::Begin(event) => begin = Some(*event),
                Event::Epoch(epoch) => epochs.push(epoch),
                Event::End(event) => end = Some(*event),
            }
        }
        let begin = begin.with_context(|| format!("{} does not begin a run", path.display()))?;
        Ok(Self { begin, epochs, end })
    }
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// Compares the blob with the trained network on the run's validation set.
fn measure(
    log: &Path,
    run: &Run,
    blob_path: &Path,
    data: Option<&Path>,
    output: Output,
) -> anyhow::Result<Quantized> {
    let Some(end) = &run.end else { bail!("{} is not done yet", log.display()) };
    // The network lies beside its log, wherever both were moved.
    let model = end.output.file_name().map_or(end.output.clone(), |name| log.with_file_name(name));
    let graph = crate::passes::standard(open_model(&model)?)?;
    let blob = open_blob(blob_path)?;
    let named = data.map_or_else(|| PathBuf::from(&run.begin.data), Path::to_owned);
    let dataset = validation(&fetch::data_set(&named, &mut |line| output.note(line))?, run)?;
    let feed = Feed::for_blob(&blob, None)?;
    let skipped = Skipped::default();
    let accuracy = accuracy(&blob, &dataset, &feed, &skipped)?;
    let compared =
        verify::compare(&graph, &blob, &dataset.subset(VERIFIED, 0), &feed, Isa::best(), output)?;
    Ok(Quantized {
        blob: blob_path.to_owned(),
        accuracy,
        float_accuracy: run.end.as_ref().map(|end| end.validation.accuracy),
        top1_agreement: compared.top1_agreement,
        blob_bytes: blob.bytes().len(),
        weight_bytes: blob.model().blob().weights().len(),
        arena_bytes: blob.model().arena_bytes(),
        layers: compared.layers,
        memory_map: memory_map::svg(&MemoryMap::of(&blob)),
    })
}

/// Pictures that layers are compared on.
const VERIFIED: usize = 64;

fn validation(data: &Path, run: &Run) -> anyhow::Result<Dataset> {
    let held_out = &run.begin.held_out;
    Ok(match held_out.parse::<f64>() {
        Ok(fraction) => {
            let train = training_set(data, run.begin.split.as_deref(), &run.begin.classes)?;
            train.hold_out(fraction, run.begin.recipe.seed).1
        }
        Err(_) => only(Dataset::open(data, Some(held_out))?, &run.begin.classes)?,
    })
}

fn accuracy(blob: &Blob, data: &Dataset, feed: &Feed, skipped: &Skipped) -> anyhow::Result<f64> {
    let outcomes = (0..data.len())
        .into_par_iter()
        .map_init(
            || Runner::new(blob, Isa::best()),
            |runner, index| {
                let runner = runner.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?;
                let Some(sample) = skipped.keep(data.sample(index)) else { return Ok(None) };
                let output = runner.run(&blob.quantize_input(&feed.tensor(&sample)?));
                let scores = blob.output_reals(&output);
                Ok(Some(Some(rank::best(&scores)) == sample.label))
            },
        )
        .collect::<anyhow::Result<Vec<_>>>()?;
    let outcomes: Vec<bool> = outcomes.into_iter().flatten().collect();
    if outcomes.is_empty() {
        bail!(Usage("no validation picture could be read; give --data DIR".into()));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of samples")]
    let share = outcomes.iter().filter(|&&right| right).count() as f64 / outcomes.len() as f64;
    Ok(share)
}

fn page(report: &Report) -> String {
    let Run { begin, epochs, end } = &report.run;
    let mut body = String::new();
    let mut section = |title: &str, content: String| {
        let _ = write!(body, "<h2>{title}</h2>\n{content}");
    };
    let phases: Vec<String> = (begin.recipe.phases.iter())
        .enumerate()
        .map(|(place, phase)| {
            let rounding = if begin.recipe.rounds_in(place) { " with int8 rounding" } else { "" };
            format!("{}{rounding}, {} epochs at {}", phase.strategy, phase.epochs, phase.rate)
        })
        .collect();
    let mut facts = vec![
        ("Base", begin.base.clone()),
        ("Data", begin.data.clone()),
        (
            "Pictures",
            format!(
                "{} training, {} validation",
                grouped(begin.training as u64),
                grouped(begin.validation as u64)
            ),
        ),
        ("Trained", phases.join("; then ")),
        (
            "Classifier",
            if begin.new_head {
                format!("new, {}", begin.recipe.head.name())
            } else {
                "the base's own".into()
            },
        ),
        ("Augmentation", begin.recipe.augment.to_string()),
        ("Preprocessing", begin.preprocess.clone()),
        ("Seed", begin.recipe.seed.to_string()),
    ];
    if let Some(end) = end {
        facts.push(("Validation accuracy", percent(end.validation.accuracy)));
        if let Some(test) = &end.test {
            facts.push(("Test accuracy", percent(test.accuracy)));
        }
        facts.push((
            "Parameters",
            format!(
                "{}, of them trained {}",
                grouped(end.parameters as u64),
                grouped(end.trainable_parameters as u64)
            ),
        ));
        facts.push((
            "Time",
            format!(
                "{:.1} s, of them {:.1} s for data and features",
                end.seconds, end.preparation_seconds
            ),
        ));
    }
    section("What was trained", rows(&facts));
    section("Learning curves", learning_curves(epochs));
    if let Some(sentences) = end.as_ref().map(verdict).filter(|sentences| !sentences.is_empty()) {
        let list: String =
            sentences.iter().map(|sentence| format!("<li>{}</li>", escape(sentence))).collect();
        section("Phases", format!("<ul>{list}</ul>\n"));
    }
    if let Some(end) = end {
        let mut content = confusion_matrix(&end.validation, &begin.classes);
        let confused = end.validation.confused(10);
        if !confused.is_empty() {
            content.push_str("<ol>");
            for (label, prediction, count) in confused {
                let name = |class: usize| escape(begin.classes.get(class).map_or("?", |name| name));
                let _ = write!(
                    content,
                    "<li>{count} × {} taken for {}</li>",
                    name(label),
                    name(prediction)
                );
            }
            content.push_str("</ol>\n");
        }
        section("Confusions", content);
    }
    if let Some(int8) = &report.quantized {
        let float = int8.float_accuracy.map_or_else(String::new, percent);
        section(
            "On int8",
            rows(&[
                (
                    if begin.recipe.quantization_aware {
                        "Accuracy with rounding, in training"
                    } else {
                        "Float accuracy"
                    },
                    float,
                ),
                ("Int8 accuracy", percent(int8.accuracy)),
                ("Same answer", percent(int8.top1_agreement)),
                ("Blob", format!("{} bytes", grouped(int8.blob_bytes as u64))),
                ("Weights", format!("{} bytes", grouped(int8.weight_bytes as u64))),
                ("Arena", format!("{} bytes", grouped(int8.arena_bytes as u64))),
            ]),
        );
        let mut table = "<table><tr><th>layer</th><th>type</th><th>SQNR dB</th></tr>\n".to_owned();
        for layer in &int8.layers {
            let sqnr = layer.sqnr_db.map_or_else(|| "exact".into(), |db| format!("{db:.1}"));
            let _ = writeln!(
                table,
                "<tr><td>{}</td><td>{}</td><td>{sqnr}</td></tr>",
                escape(&layer.name),
                layer.r#type,
            );
        }
        table.push_str("</table>\n");
        section("Layer by layer", table);
        section("Memory", format!("<div class=\"wide\">{}</div>", int8.memory_map));
    }
    if let Some(flash) = &report.flash {
        let text = serde_json::to_string_pretty(flash).unwrap_or_default();
        section("On the chip", format!("<pre>{}</pre>", escape(&text)));
    }
    if !begin.skipped.is_empty() {
        let list: String =
            begin.skipped.iter().map(|s| format!("<li>{}</li>", escape(s))).collect();
        section("Pictures that could not be read", format!("<ul>{list}</ul>"));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}</body></html>\n",
        title = escape(&format!("{} on {}", begin.base, begin.data))
    )
}

const STYLE: &str = "body{font:14px/1.5 sans-serif;max-width:820px;margin:2em auto;padding:0 1em;color:#222}\
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em;border-bottom:1px solid #ddd}\
table{border-collapse:collapse}td,th{padding:2px 12px 2px 0;text-align:left;vertical-align:top}\
.wide{overflow-x:auto}svg{max-width:100%}.wide svg{max-width:none}pre{background:#f6f6f6;padding:1em;overflow-x:auto}";

fn rows(facts: &[(&str, String)]) -> String {
    let row = |(name, value): &(&str, String)| {
        format!("<tr><th>{name}</th><td>{}</td></tr>\n", escape(value))
    };
    format!("<table>{}</table>\n", facts.iter().map(row).collect::<String>())
}
