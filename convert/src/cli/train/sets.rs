//! The pictures of a training and what their classes count.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use super::Args;
use crate::cli::Usage;
use crate::cli::source::{only, training_set};
use crate::data::Dataset;
use crate::fit::Pictures;

/// The training, validation and test pictures.
pub(super) struct Sets {
    pub(super) train: Dataset,
    pub(super) validation: Dataset,
    pub(super) test: Option<Dataset>,
    pub(super) held_out: String,
}

impl Sets {
    pub(super) fn open(data: &Path, args: &Args) -> anyhow::Result<Self> {
        const FRACTION: f64 = 0.1;
        let splits = Dataset::splits(data)?;
        let has = |name: &str| splits.iter().any(|split| split == name);
        let train = training_set(data, args.split.as_deref(), &args.classes)?;
        let named = ["val", "valid", "validation"].into_iter().find(|name| has(name));
        let held_out = match &args.validation {
            Some(name) => name.clone(),
            None => named.map_or_else(|| FRACTION.to_string(), String::from),
        };
        let (train, validation) = match held_out.parse::<f64>() {
            Ok(fraction) if fraction > 0.0 && fraction < 1.0 => train.hold_out(fraction, args.seed),
            Ok(_) => bail!(Usage("--validation must be between 0 and 1, or a split".into())),
            Err(_) => (train, only(Dataset::open(data, Some(&held_out))?, &args.classes)?),
        };
        let train = match args.limit {
            Some(limit) => train.subset(limit, args.seed),
            None => train,
        };
        let test = (has("test") && held_out != "test")
            .then(|| only(Dataset::open(data, Some("test"))?, &args.classes))
            .transpose()?;
        Ok(Self { train, validation, test, held_out })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples")]
/// Factors of the classes' losses, as `--class-weights` says.
pub(super) fn class_weights(what: &str, train: &Pictures) -> anyhow::Result<Vec<f32>> {
    let classes = train.classes();
    if what == "auto" {
        let mut counts = vec![0_usize; classes.len()];
        train.labels().iter().for_each(|&label| counts[label] += 1);
        let even = train.len() as f32 / classes.len() as f32;
        return Ok(counts.iter().map(|&count| even / count as f32).collect());
    }
    let text = fs::read_to_string(what).with_context(|| format!("reading {what}"))?;
    let mut weights = vec![1.0; classes.len()];
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let entry = line.rsplit_once(',').and_then(|(class, weight)| {
            let label = classes.iter().position(|name| name == class.trim())?;
            Some((label, weight.trim().parse::<f32>().ok()?))
        });
        let (label, weight) = entry.with_context(|| {
            format!(
                "{what} line {}: expected `class,factor` with a class of the data: {}",
                index + 1,
                classes.join(", ")
            )
        })?;
        weights[label] = weight;
    }
    Ok(weights)
}
