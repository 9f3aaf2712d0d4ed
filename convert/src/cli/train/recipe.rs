//! From the command line to a [`Recipe`].

use anyhow::bail;

use super::Args;
use crate::cli::Usage;
use crate::fit::{Advice, BatchNorms, Decay, Phase, Precision, Recipe, Rule, Start, Strategy};

/// All of the recipe but its first phase.
pub(super) fn recipe(args: &Args) -> anyhow::Result<Recipe> {
    let one_of = |what: &str, name: &str, known: &[&str]| {
        known.iter().position(|&other| other == name).ok_or_else(|| {
            Usage(format!("unknown {what} `{name}`; there are {}", known.join(", ")))
        })
    };
    let rules = [Rule::Sgd, Rule::Adam, Rule::AdamW];
    let decays = [Decay::Constant, Decay::Cosine, Decay::Step];
    let norms = [BatchNorms::Auto, BatchNorms::Train, BatchNorms::Freeze];
    let precisions = [Precision::Float, Precision::Int8];
    Ok(Recipe {
        phases: args.then.clone(),
        replace_top: args.no_top,
        head: args.head,
        dropout: args.dropout,
        batch: args.batch,
        optimizer: rules[one_of("optimizer", &args.optimizer, &["sgd", "adam", "adamw"])?],
        schedule: decays[one_of("schedule", &args.schedule, &["constant", "cosine", "step"])?],
        warm_up: args.warmup,
        weight_decay: args.weight_decay,
        label_smoothing: args.label_smoothing,
        class_weights: None,
        augment: args.augment,
        patience: args.patience,
        batch_norms: norms
            [one_of("batch norm rule", &args.batch_norm, &["auto", "train", "freeze"])?],
        features: precisions[one_of("feature precision", &args.features, &["float", "int8"])?],
        quantization_aware: args.qat,
        seed: args.seed,
    })
}

/// The phase that `--train` names, or the rule of thumb.
pub(super) fn first_phase(
    args: &Args,
    advice: Option<&Advice>,
    untrained: bool,
) -> anyhow::Result<Phase> {
    let strategy = match (args.train.as_str(), &args.from, args.last) {
        ("auto", None, None) => advice.map_or(Strategy::All, |advice| advice.strategy.clone()),
        ("partial" | "auto", Some(layer), _) => Strategy::Partial(Start::From(layer.clone())),
        ("partial" | "auto", None, Some(count)) => Strategy::Partial(Start::Last(count)),
        ("partial", None, None) => Strategy::Partial(Start::LastThird),
        ("head", None, None) => Strategy::Head,
        ("all", None, None) => Strategy::All,
        ("head" | "all", ..) => bail!(Usage("--from and --last go with --train partial".into())),
        (other, ..) => bail!(Usage(format!(
            "unknown strategy `{other}`; there are auto, head, partial and all"
        ))),
    };
    let (epochs, rate) = match strategy {
        Strategy::Head => (HEAD.epochs, HEAD.rate),
        _ if untrained => (30, 1e-3),
        _ => (10, 3e-5),
    };
    Ok(Phase { strategy, epochs: args.epochs.unwrap_or(epochs), rate: args.lr.unwrap_or(rate) })
}

/// Puts before the phases that were asked for those in which a new classifier learns alone, in float.
pub(super) fn complete(
    recipe: &mut Recipe,
    new_head: bool,
    untrained: bool,
    args: &Args,
) -> anyhow::Result<()> {
    let only_head = recipe.phases.first().is_some_and(|phase| phase.strategy == Strategy::Head);
    if new_head && !untrained && !args.no_head_first {
        match recipe.phases.first() {
            Some(head) if only_head && recipe.rounds_in(0) => recipe.phases.insert(0, head.clone()),
            _ if only_head => {}
            _ => recipe.phases.insert(0, HEAD),
        }
    }
    if recipe.rounds_in(0) && (untrained || new_head) {
        bail!(Usage(
            "--qat trains the last phase, and the ranges of a network that knows nothing yet mean nothing: \
             let it learn in float first, as in --train all --then all:lr=1e-5,epochs=5 --qat"
                .into()
        ));
    }
    Ok(())
}

/// A linear classifier on frozen features is cheap to train to its end.
pub(super) const HEAD: Phase = Phase { strategy: Strategy::Head, epochs: 60, rate: 3e-3 };

pub(super) fn yes_or_no(text: &str) -> anyhow::Result<bool> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => bail!(Usage(format!("--similar is yes or no, not `{text}`"))),
    }
}
