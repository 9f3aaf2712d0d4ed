//! What happened in a run: JSON lines beside the trained network.
//!
//! The first line is a [`Begin`], then one [`Epoch`] each, the last an [`End`]; each is an object
//! with its kind under `event`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Advice, Recipe, Rounding};
use crate::files::{FileError, read_bounded, write_atomic};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The run began.
    Begin(Box<Begin>),
    /// An epoch is over.
    Epoch(Epoch),
    /// The run is over.
    End(Box<End>),
}

/// What is trained on what, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// The base, as it was named.
    pub base: String,
    /// The data, as it was named.
    pub data: String,
    /// The split that is trained on, if one was named.
    pub split: Option<String>,
    /// The split that is validated on, or the fraction that was held out.
    pub held_out: String,
    /// The recipe.
    pub recipe: Recipe,
    /// How pictures become the input.
    pub preprocess: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Pictures that are trained on.
    pub training: usize,
    /// Pictures that are validated on.
    pub validation: usize,
    /// Pictures that could not be read.
    pub skipped: Vec<String>,
    /// Whether the network got a new classifier.
    pub new_head: bool,
    /// What the rule of thumb advises.
    pub advice: Option<Advice>,
}

/// An epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// The phase, from 0.
    pub phase: usize,
    /// What is trained in it.
    pub strategy: String,
    /// The epoch in the phase, from 1.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub rate: f32,
    /// Mean loss of the steps, smoothed, weighted and with dropout as they were.
    pub loss: f64,
    /// Accuracy over the steps, as the network was in each.
    pub accuracy: f64,
    /// Cross-entropy on the validation set.
    pub validation_loss: f64,
    /// Accuracy on the validation set.
    pub validation_accuracy: f64,
    /// Whether it is the best so far.
    pub best: bool,
    /// How long it took.
    pub seconds: f64,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The trained network.
    pub output: PathBuf,
    /// Of the weights that were kept, on the validation set.
    pub validation: Scores,
    /// Likewise on the test set, if there is one beside the validation set.
    pub test: Option<Scores>,
    /// What each phase reached, in their order.
    #[serde(default)]
    pub phases: Vec<Reached>,
    /// What a quantization-aware phase started from; `validation` is rounded then.
    #[serde(default)]
    pub rounding: Option<Rounding>,
    /// Whether a phase ended before its last epoch.
    pub stopped_early: bool,
    /// Values that the last phase trained.
    pub trainable_parameters: usize,
    /// Values of the network.
    pub parameters: usize,
    /// How long the run took, without what was resumed.
    pub seconds: f64,
    /// Of that, reading the data and computing features.
    pub preparation_seconds: f64,
}

/// The best of a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// What was trained in it.
    pub strategy: String,
    /// Highest accuracy on the validation set.
    pub validation: f64,
    /// Accuracy over the steps of the last epoch.
    pub training: f64,
}

impl Reached {
    /// The phases of these epochs.
    #[must_use]
    pub fn of(epochs: &[Epoch]) -> Vec<Self> {
        let phases = epochs.chunk_by(|a, b| a.phase == b.phase);
        let best = |phase: &[Epoch]| {
            phase.iter().map(|epoch| epoch.validation_accuracy).fold(0.0, f64::max)
        };
        phases
            .map(|phase| Self {
                strategy: phase[0].strategy.clone(),
                validation: best(phase),
                training: phase.last().map_or(0.0, |epoch| epoch.accuracy),
            })
            .collect()
    }
}

/// How well a network does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share that is right.
    pub accuracy: f64,
    /// Cross-entropy.
    pub loss: f64,
    /// `[label][prediction]`.
    pub confusion: Vec<Vec<u32>>,
}

impl Scores {
    /// The pairs that are confused most: label, prediction, how often.
    #[must_use]
    pub fn confused(&self, most: usize) -> Vec<(usize, usize, u32)> {
        let mut pairs: Vec<(usize, usize, u32)> = Vec::new();
        for (label, row) in self.confusion.iter().enumerate() {
            let wrong = row.iter().enumerate().filter(|&(other, &n)| other != label && n > 0);
            pairs.extend(wrong.map(|(prediction, &count)| (label, prediction, count)));
        }
        pairs.sort_by_key(|&(.., count)| core::cmp::Reverse(count));
        pairs.truncate(most);
        pairs
    }
}

/// The log of a trained network: `x.safetensors` has `x.run.jsonl`.
#[must_use]
pub fn log_path(output: &Path) -> PathBuf {
    output.with_extension("run.jsonl")
}

/// Writes a log, whole.
///
/// # Errors
/// [`FileError`].
pub fn write_log(path: &Path, events: &[Event]) -> Result<(), FileError> {
    let mut text = Vec::new();
    for event in events {
        let line = serde_json::to_vec(event).map_err(std::io::Error::other);
        text.extend(line.map_err(|source| FileError::new("write", path, source))?);
        text.push(b'\n');
    }
    write_atomic(path, &text)
}

/// Reads a log.
///
/// # Errors
/// [`FileError`] if it cannot be read, or a line is none of a log.
pub fn read_log(path: &Path) -> Result<Vec<Event>, FileError> {
    let bytes = read_bounded(path, MAX_LOG_BYTES)?;
    let lines = bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, l)| !l.is_empty());
    let event = |(index, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| {
            let fault = format!("line {} is none of a run's log: {error}", index + 1);
            FileError::new("read", path, std::io::Error::other(fault))
        })
    };
    lines.map(event).collect()
}

const MAX_LOG_BYTES: u64 = 64 << 20;
