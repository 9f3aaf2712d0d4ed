//! A run from the base to the trained network.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::checkpoint::{BEST, Checkpoint, NOW, START, State, Stored, weights_of, with_weights};
use super::phase::{Outcome, Run};
use super::run_log::{Begin, End, Event, Reached, log_path, write_log};
use super::{Advice, FitError, Pictures, Recipe, Watch};
use super::{checkpoint_path, with_head};
use crate::files::{FileError, sha256_hex};
use crate::graph::{Graph, GraphError, IoType, NodeId, Op};
use crate::model_file;

/// What is to be done.
#[derive(Debug)]
pub struct Job<'a> {
    /// The network with its classifier.
    pub network: &'a Prepared,
    /// What it learns from.
    pub train: &'a Pictures,
    /// What it is measured on after every epoch.
    pub validation: &'a Pictures,
    /// What the result is measured on, once.
    pub test: Option<&'a Pictures>,
    /// How it learns.
    pub recipe: &'a Recipe,
    /// The base, as the user named it.
    pub base_name: String,
    /// The data, as the user named it.
    pub data_name: String,
    /// The split that is trained on, if one was named.
    pub split: Option<String>,
    /// The split that is validated on, or the fraction that was held out.
    pub held_out: String,
    /// What the rule of thumb said.
    pub advice: Option<Advice>,
    /// The file to write; the log and the checkpoint lie beside it.
    pub output: PathBuf,
    /// Whether to go on from the checkpoint, if there is one.
    pub resume: bool,
    /// Where features are kept; `None` to keep none.
    pub cache: Option<PathBuf>,
}

/// A network that can be trained for the classes of the data.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The network.
    pub graph: Graph,
    /// Where its classifier begins.
    pub head: NodeId,
    /// Whether that is a new one.
    pub new_head: bool,
}

/// Puts a new classifier on the base, unless it has one for `classes`: as many scores, and no other
/// names for them.
///
/// # Errors
/// [`FitError::NoTop`], [`FitError::Graph`].
pub fn prepare(base: Graph, recipe: &Recipe, classes: &[String]) -> Result<Prepared, FitError> {
    let base = to_float(base)?;
    let cut = base.last_map();
    let outputs = base.output_shape().elements();
    let same_names = base.labels.as_ref().is_none_or(|labels| labels == classes);
    if outputs == classes.len() && same_names && !recipe.replace_top {
        let readers = base.readers();
        let below = cut.and_then(|cut| readers[cut.index()].first().copied());
        let weighted =
            || base.iter().rev().find(|(_, node)| node.parameters() > 0).map(|(id, _)| id);
        let head = below.or_else(weighted).unwrap_or(base.output());
        let mut graph = base;
        graph.labels = Some(classes.to_vec());
        return Ok(Prepared { graph, head, new_head: false });
    }
    let no_top = FitError::NoTop { outputs, classes: classes.len() };
    let cut = cut.ok_or(no_top)?;
    let Recipe { head, dropout, seed, .. } = *recipe;
    let (graph, head) = with_head(&base, cut, head, dropout, classes, seed)?;
    Ok(Prepared { graph, head, new_head: true })
}

/// A quantized network by its real numbers: training changes them, so the integers are void.
fn to_float(graph: Graph) -> Result<Graph, GraphError> {
    let (mut builder, nodes, output) = graph.into_builder();
    builder.io_type = IoType::default();
    for mut node in nodes {
        node.quantization = None;
        for (_, param) in node.op.weights_mut() {
            param.quantized = None;
        }
        builder.push(node)?;
    }
    builder.finish(output)
}

/// Whether every batch norm is as it was made: means of 0 and variances of 1. `false` for a network
/// without any.
#[must_use]
pub fn is_untrained(graph: &Graph) -> bool {
    let initial = |op: &Op| match op {
        Op::BatchNorm { mean, variance, .. } => {
            Some(mean.data.iter().all(|&m| m == 0.0) && variance.data.iter().all(|&v| v == 1.0))
        }
        _ => None,
    };
    let mut norms = graph.nodes().iter().filter_map(|node| initial(&node.op)).peekable();
    norms.peek().is_some() && norms.all(|initial| initial)
}

/// Trains, and writes the network; returns what is also the last line of the log.
///
/// After every epoch the log and a checkpoint are written; the latter goes when all is done.
///
/// # Errors
/// [`FitError`]; what was written so far stays.
pub fn fit(job: &Job<'_>, watch: &dyn Watch) -> Result<End, FitError> {
    let began = Instant::now();
    job.recipe.check(job.train.classes().len())?;
    let checkpoint = checkpoint_path(&job.output);
    let name = run_name(job)?;
    let mut stored = match job.resume && checkpoint.is_file() {
        true => Some(read_checkpoint(&checkpoint, &name)?),
        false => None,
    };
    let mut state = stored.as_ref().map_or_else(|| State::new(name), |s| s.state.clone());
    let mut graph = job.network.graph.clone();
    let first = state.phase;
    if first > 0
        && let Some(stored) = &mut stored
    {
        let start = stored.weights(START, &graph).map_err(|fault| fault.at(&checkpoint))?;
        graph = with_weights(&graph, &start).map_err(|fault| fault.at(&checkpoint))?;
    }
    let events = vec![Event::Begin(Box::new(begin(job)))];
    let mut run = Run {
        job,
        watch,
        events,
        checkpoint: checkpoint.clone(),
        log: log_path(&job.output),
        preparation: Default::default(),
    };
    let (mut stopped_early, mut trainable) = (false, 0);
    for phase in first..job.recipe.phases.len() {
        if phase > first {
            state.phase = phase;
            state.epochs = 0;
            state.waited = 0;
        }
        let stored = stored.take().filter(|_| phase == first);
        let outcome: Outcome = run.phase(graph, &mut state, stored)?;
        stopped_early |= outcome.stopped_early;
        trainable = outcome.graph.trainable_parameters();
        graph = outcome.graph;
    }
    let validation = run.evaluate(&graph, job.validation)?;
    let test = job.test.map(|test| run.evaluate(&graph, test)).transpose()?;
    let parameters = graph.parameters();
    model_file::write(&job.output, &with_provenance(graph, job)?)?;
    let end = End {
        output: job.output.clone(),
        validation,
        test,
        phases: Reached::of(&state.history),
        rounding: state.rounding,
        stopped_early,
        trainable_parameters: trainable,
        parameters,
        seconds: began.elapsed().as_secs_f64(),
        preparation_seconds: run.preparation.as_secs_f64(),
    };
    run.events.extend(state.history.iter().cloned().map(Event::Epoch));
    run.events.push(Event::End(Box::new(end.clone())));
    write_log(&run.log, &run.events)?;
    match fs::remove_file(&checkpoint) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::new("remove", checkpoint, error).into())
        }
        _ => Ok(end),
    }
}

fn begin(job: &Job<'_>) -> Begin {
    let skipped = job.train.unreadable().iter().chain(job.validation.unreadable());
    Begin {
        base: job.base_name.clone(),
        data: job.data_name.clone(),
        split: job.split.clone(),
        held_out: job.held_out.clone(),
        recipe: job.recipe.clone(),
        preprocess: job.train.preprocess().to_string(),
        classes: job.train.classes().to_vec(),
        training: job.train.len(),
        validation: job.validation.len(),
        skipped: skipped.map(ToString::to_string).collect(),
        new_head: job.network.new_head,
        advice: job.advice.clone(),
    }
}

/// What a checkpoint must have in common with a run to belong to it.
fn run_name(job: &Job<'_>) -> Result<String, FitError> {
    let json = |error: serde_json::Error| FitError::Recipe(error.to_string());
    let parts = [
        serde_json::to_string(job.recipe).map_err(json)?,
        sha256_hex(&model_file::to_bytes(&job.network.graph)?),
        job.train.digest().to_owned(),
        job.validation.digest().to_owned(),
        job.train.preprocess().to_string(),
    ];
    Ok(parts.map(|part| sha256_hex(part.as_bytes())).join(" "))
}

fn read_checkpoint(path: &Path, name: &str) -> Result<Stored, FitError> {
    const PARTS: [&str; 5] =
        ["the recipe", "the base", "the training data", "the validation data", "the preprocessing"];
    let stored = Checkpoint::read(path)?;
    let mut pairs = stored.state.run.split(' ').zip(name.split(' ')).zip(PARTS);
    match pairs.find(|((theirs, ours), _)| theirs != ours) {
        Some((_, what)) => Err(FitError::OtherCheckpoint { path: path.into(), what }),
        None => Ok(stored),
    }
}

/// The network with where it came from written into it.
fn with_provenance(mut graph: Graph, job: &Job<'_>) -> Result<Graph, FitError> {
    let recipe = serde_json::to_string(job.recipe);
    let facts = [
        ("base", job.base_name.clone()),
        ("base_sha256", sha256_hex(&model_file::to_bytes(&job.network.graph)?)),
        ("data", job.data_name.clone()),
        ("data_sha256", job.train.digest().to_owned()),
        ("recipe", recipe.map_err(|error| FitError::Recipe(error.to_string()))?),
        ("tool", format!("mote {}", env!("CARGO_PKG_VERSION"))),
    ];
    graph.provenance.extend(facts.map(|(key, value)| (key.to_owned(), value)));
    graph.preprocess = Some(*job.train.preprocess());
    Ok(graph)
}

/// The weights that a phase goes on with, and those to keep if it gets no better.
pub(super) fn restore(
    stored: Option<Stored>,
    suffix: Graph,
    path: &Path,
) -> Result<(Graph, super::checkpoint::Weights, super::checkpoint::Weights), FitError> {
    let Some(mut stored) = stored else {
        let best = weights_of(&suffix);
        return Ok((suffix, best, Vec::new()));
    };
    let mut read = || {
        let now = stored.weights(NOW, &suffix)?;
        let best = stored.weights(BEST, &suffix)?;
        Ok((with_weights(&suffix, &now)?, best, stored.optimizer()?))
    };
    read().map_err(|fault: super::checkpoint::Fault| fault.at(path))
}
