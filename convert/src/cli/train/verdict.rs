//! Whether it was worth it to train more than the classifier, and to train with rounding.

use crate::cli::output::percent;
use crate::fit::{End, Reached};

/// Sentences about what the phases of a run reached; none where there is nothing to compare.
pub(in crate::cli) fn verdict(end: &End) -> Vec<String> {
    let mut sentences = Vec::new();
    let float = end.phases.len() - usize::from(end.rounding.is_some()).min(end.phases.len());
    let (head, more): (Vec<&Reached>, Vec<&Reached>) =
        end.phases[..float].iter().partition(|phase| phase.strategy == "head");
    let best = |phases: &[&Reached]| {
        let better = |a: &&Reached, b: &&Reached| a.validation.total_cmp(&b.validation);
        phases.iter().copied().max_by(better).cloned()
    };
    if let (Some(head), Some(more)) = (best(&head), best(&more)) {
        sentences.push(compare(&head, &more));
    }
    if let Some(rounding) = end.rounding {
        let after = end.validation.accuracy;
        sentences.push(format!(
            "on int8: {} in float, {} rounded, {} after training with rounding",
            percent(rounding.float),
            percent(rounding.before),
            percent(after)
        ));
    }
    sentences
}

fn compare(head: &Reached, more: &Reached) -> String {
    const OVERFIT: f64 = 0.1;
    let (name, reached, alone) =
        (&more.strategy, percent(more.validation), percent(head.validation));
    if more.validation > head.validation {
        return format!("{name} reached {reached}, the classifier alone {alone}");
    }
    let why = if more.training - more.validation > OVERFIT {
        "it came to know the training pictures, not the classes; more pictures or --augment would help, or leave it at --train head"
    } else {
        "it did not fit the training pictures better than new ones; a higher --lr or more --epochs would help, or leave it at --train head"
    };
    format!(
        "{name} reached {reached}, no more than the classifier alone, {alone}: {why} ({} of the training pictures right)",
        percent(more.training)
    )
}
