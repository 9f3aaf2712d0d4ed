//! What a training came to, in words.

use std::path::PathBuf;

use serde::Serialize;

use super::verdict;
use crate::cli::output::{grouped, percent};
use crate::fit::{Advice, End};

/// A finished training.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    #[serde(flatten)]
    pub(super) end: &'a End,
    pub(super) log: PathBuf,
    pub(super) strategy: String,
    pub(super) advice: &'a Option<Advice>,
    pub(super) classes: &'a [String],
    pub(super) preprocess: String,
    pub(super) training: usize,
    pub(super) validation_count: usize,
    pub(super) skipped: usize,
}

/// The rule of thumb, applied.
pub(super) fn advise(advice: &Advice) -> String {
    let much = if advice.much { "much" } else { "little" };
    let similar = if advice.similar { "similar" } else { "not similar" };
    let measured = advice.separation.map_or_else(String::new, |separation| {
        format!(" (its features separate the classes to {separation:.2} of 1)")
    });
    format!(
        "{} pictures a class is {much} data, {similar} to what the base knows{measured}: the rule of \
         thumb is --train {}",
        advice.pictures_a_class, advice.strategy
    )
}

/// The report for people.
pub(super) fn text(report: &Report<'_>) -> String {
    let end = report.end;
    let mut text = format!(
        "{}: {} of {} validation pictures right, loss {:.4}\n",
        end.output.display(),
        percent(end.validation.accuracy),
        grouped(report.validation_count as u64),
        end.validation.loss,
    );
    if let Some(test) = &end.test {
        text.push_str(&format!("test: {} right, loss {:.4}\n", percent(test.accuracy), test.loss));
    }
    text.push_str(&format!(
        "trained {} on {} pictures: {} of {} parameters, {:.1} s ({:.1} s of them features){}\n",
        report.strategy,
        grouped(report.training as u64),
        grouped(end.trainable_parameters as u64),
        grouped(end.parameters as u64),
        end.seconds,
        end.preparation_seconds,
        if end.stopped_early { ", stopped early" } else { "" },
    ));
    for sentence in verdict(end) {
        text.push_str(&format!("{sentence}\n"));
    }
    for (label, prediction, count) in end.validation.confused(3) {
        let name = |class: usize| &report.classes[class];
        text.push_str(&format!("{count:>6}x {} taken for {}\n", name(label), name(prediction)));
    }
    text.push_str(&format!("log: {}\n", report.log.display()));
    text
}
