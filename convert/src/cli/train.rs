//! `mote train`: transfer learning, and training from scratch.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde::Serialize;

use super::Usage;
use super::output::{Output, grouped, percent};
use super::source::{only, open_model, preprocess_of, training_set};
use crate::data::Dataset;
use crate::fetch;
use crate::fit::{
    Advice, Augment, BatchNorms, Decay, End, Epoch, Head, Job, Phase, Pictures, Precision, Recipe,
    Rule, Start, Strategy, Watch, cache_folder, fit, is_untrained, log_path, prepare,
};
use crate::preprocess::{Preprocess, Scaling};

/// Teaches a network the classes of your pictures.
///
/// Three strategies: `head` freezes the base and trains a new classifier on its features, which are
/// computed once and kept; `partial` also trains the base from a layer on; `all` trains everything.
/// `auto` chooses by the rule of thumb: little data that looks like what the base knows, head; much
/// that does not, all; else partial.
///
///   mote train --base mobilenet.h5 --data flowers/ -o flowers.safetensors
///   mote train --base mobilenet.h5 --data flowers/ --train head --then all:lr=1e-5,epochs=5 -o flowers.safetensors
///   mote new mobilenet-v1 --input 32x32x3 --classes 10 -o m.safetensors
///   mote train --base m.safetensors --data cifar10 --train all --augment flip,crop -o c.safetensors
///
/// Beside OUT.safetensors lie OUT.run.jsonl, the log that `mote report` reads, and while it runs
/// OUT.checkpoint.safetensors, from which --resume goes on to the same bits.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The network to start from (.keras, .h5, .onnx, .tflite, .safetensors).
    #[arg(long, value_name = "MODEL")]
    base: PathBuf,
    /// Replace the base's classifier even if it has the right number of classes.
    #[arg(long)]
    no_top: bool,
    /// Pictures: DIR/class/*.jpg, DIR/split/class/*.jpg, a folder with labels.csv, CIFAR-10 or
    /// MNIST files, a .npy with its labels, or the name `cifar10` or `mnist`.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Split to train on. Default: `train` where there are splits.
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Only these classes, which the network gets in this order: `cat,dog`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    classes: Vec<String>,
    /// Only this many training pictures, spread evenly over the classes.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The file to write.
    #[arg(short, long, value_name = "OUT.safetensors")]
    output: PathBuf,
    /// What to train: auto, head, partial or all.
    #[arg(long, value_name = "STRATEGY", default_value = "auto")]
    train: String,
    /// With partial: train from this layer on. Default: the last third.
    #[arg(long, value_name = "LAYER", conflicts_with = "last")]
    from: Option<String>,
    /// With partial: train so many of the base's last convolutions and dense layers.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// The new classifier: gap (global average pooling, dropout, dense), flatten (flattening,
    /// dropout, dense), or auto: gap from 64 channels on.
    #[arg(long, value_name = "HEAD", default_value = "auto")]
    head: Head,
    /// Share of the features that the new classifier drops in training.
    #[arg(long, value_name = "RATE", default_value_t = 0.2)]
    dropout: f32,
    /// Times over the data. Default: 60 for head, 10 for partial and all, 30 for a network that was
    /// never trained.
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Pictures a step.
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
    /// Highest learning rate. Default: 3e-3 for head, 1e-3 for a network that was never trained, else
    /// 3e-5.
    #[arg(long, value_name = "X")]
    lr: Option<f32>,
    /// sgd (Nesterov momentum 0.9), adam or adamw.
    #[arg(long, value_name = "NAME", default_value = "adamw")]
    optimizer: String,
    /// How the learning rate falls: constant, cosine, or step (a tenth at each third).
    #[arg(long, value_name = "NAME", default_value = "cosine")]
    schedule: String,
    /// Epochs over which the learning rate rises first.
    #[arg(long, value_name = "E", default_value_t = 0.0)]
    warmup: f32,
    /// Decay of the kernels; not of biases and batch norms. Adam has none.
    #[arg(long, value_name = "X", default_value_t = 1e-2)]
    weight_decay: f32,
    /// Share of the target that all classes get.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    label_smoothing: f32,
    /// Factors of the classes' losses: `auto` (a rare class counts more), or a file with a line
    /// `class,factor` each.
    #[arg(long, value_name = "auto|FILE")]
    class_weights: Option<String>,
    /// flip, crop, colour, cutout, comma-separated, or none. Where features are kept they are of 2
    /// views of a picture with flip alone, of 4 with more.
    #[arg(long, value_name = "LIST", default_value = "none")]
    augment: Augment,
    /// A fraction of the training pictures to hold out, or a split. Default: `val` or `validation`
    /// if there is one, else 0.1.
    #[arg(long, value_name = "FRACTION|SPLIT")]
    validation: Option<String>,
    /// End a phase after so many epochs in which neither the validation loss nor the validation
    /// accuracy was better than ever. Kept are always the weights of the highest accuracy.
    #[arg(long, value_name = "N")]
    patience: Option<usize>,
    /// With partial and all: do not train a new classifier alone first. By default it is, as with
    /// --train head, before the base learns at its low rate: what an untrained classifier would
    /// teach the base is noise.
    #[arg(long)]
    no_head_first: bool,
    /// Another phase after this one, from its best weights: `all:lr=1e-4,epochs=5`,
    /// `partial:last=3,lr=1e-4`. May be repeated.
    #[arg(long, value_name = "PHASE")]
    then: Vec<Phase>,
    /// What batch norms of the base do where it is trained: freeze (keep statistics and weights),
    /// train, or auto: train only in a network that was never trained.
    #[arg(long, value_name = "RULE", default_value = "auto")]
    batch_norm: String,
    /// What the frozen part computes in: float, or int8 as on the chip.
    #[arg(long, value_name = "float|int8", default_value = "float")]
    features: String,
    /// Whether the data looks like what the base knows, for the rule of thumb. Default: measured.
    #[arg(long, value_name = "yes|no")]
    similar: Option<String>,
    /// How pictures become the input: raw|unit|tf|torch|caffe|offset128, or a line such as
    /// `scaling=tf crop=1.0 channels=rgb`. Default: what the network tells.
    #[arg(long, value_name = "RULE")]
    preprocess: Option<Preprocess>,
    /// Of everything random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Go on from the checkpoint beside the output, if there is one.
    #[arg(long)]
    resume: bool,
    /// Keep no features on disk, and use none that are there.
    #[arg(long)]
    no_cache: bool,
    /// Threads. Default: all cores.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    end: &'a End,
    log: PathBuf,
    strategy: String,
    advice: &'a Option<Advice>,
    classes: &'a [String],
    preprocess: String,
    training: usize,
    validation_count: usize,
    skipped: usize,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let mut recipe = recipe(args)?;
    let base = open_model(&args.base)?;
    let data = fetch::data_set(&args.data, &mut |line| output.note(line))?;
    let sets = Sets::open(&data, args)?;
    let untrained = is_untrained(&base);
    let told = args.preprocess.or(base.preprocess);
    // A network that was never trained has nothing to tell.
    let preprocess = match told {
        None if untrained => Preprocess::for_channels(Scaling::Tf, base.input_shape().channels()),
        told => preprocess_of(&base, told, Some(&sets.train))?,
    };
    let screen = Screen::new(*output);
    let open = |set, what| {
        let pictures = Pictures::open(set, preprocess, &base, what, &screen)?;
        for error in pictures.unreadable() {
            output.note(format_args!("skipped: {error}"));
        }
        anyhow::Ok(pictures)
    };
    let train = open(&sets.train, "training")?;
    let validation = open(&sets.validation, "validation")?;
    let test = sets.test.as_ref().map(|set| open(set, "test")).transpose()?;
    recipe.class_weights =
        args.class_weights.as_ref().map(|what| class_weights(what, &train)).transpose()?;

    let advice = match base.last_map() {
        Some(cut) if !untrained => {
            let similar = args.similar.as_deref().map(yes_or_no).transpose()?;
            Some(Advice::measure(&base.builder_up_to(cut)?.finish(cut)?, &train, similar, &screen)?)
        }
        _ => None,
    };
    let first = first_phase(args, advice.as_ref(), untrained)?;
    let only_head = first.strategy == Strategy::Head;
    recipe.phases.insert(0, first);
    recipe.check(train.classes().len()).map_err(|error| Usage(error.to_string()))?;
    let network = prepare(base, &recipe, train.classes())?;
    if network.new_head && !only_head && !untrained && !args.no_head_first {
        recipe.phases.insert(0, HEAD);
    }
    screen.clear();
    if let Some(advice) = &advice {
        output.note(advise(advice));
    }
    let job = Job {
        network: &network,
        train: &train,
        validation: &validation,
        test: test.as_ref(),
        recipe: &recipe,
        base_name: args.base.display().to_string(),
        data_name: args.data.display().to_string(),
        split: args.split.clone(),
        held_out: sets.held_out,
        advice: advice.clone(),
        output: args.output.clone(),
        resume: args.resume,
        cache: if args.no_cache { None } else { Some(cache_folder()?) },
    };
    let end = fit(&job, &screen);
    screen.clear();
    let end = end?;
    let strategies: Vec<String> =
        recipe.phases.iter().map(|phase| phase.strategy.to_string()).collect();
    let report = Report {
        end: &end,
        log: log_path(&args.output),
        strategy: strategies.join(", then "),
        advice: &advice,
        classes: train.classes(),
        preprocess: preprocess.to_string(),
        training: train.len(),
        validation_count: validation.len(),
        skipped: train.unreadable().len() + validation.unreadable().len(),
    };
    output.report(&report, text)
}

/// All of the recipe but its first phase.
fn recipe(args: &Args) -> anyhow::Result<Recipe> {
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
        seed: args.seed,
    })
}

fn first_phase(args: &Args, advice: Option<&Advice>, untrained: bool) -> anyhow::Result<Phase> {
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

/// A linear classifier on frozen features is cheap to train to its end.
const HEAD: Phase = Phase { strategy: Strategy::Head, epochs: 60, rate: 3e-3 };

/// The training, validation and test pictures.
struct Sets {
    train: Dataset,
    validation: Dataset,
    test: Option<Dataset>,
    held_out: String,
}

impl Sets {
    fn open(data: &Path, args: &Args) -> anyhow::Result<Self> {
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
fn class_weights(what: &str, train: &Pictures) -> anyhow::Result<Vec<f32>> {
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
            format!("{what} line {}: expected `class,factor` with a class of the data", index + 1)
        })?;
        weights[label] = weight;
    }
    Ok(weights)
}

fn yes_or_no(text: &str) -> anyhow::Result<bool> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => bail!(Usage(format!("--similar is yes or no, not `{text}`"))),
    }
}

fn advise(advice: &Advice) -> String {
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

fn text(report: &Report<'_>) -> String {
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
    for (label, prediction, count) in end.validation.confused(3) {
        let name = |class: usize| &report.classes[class];
        text.push_str(&format!("{count:>6}x {} taken for {}\n", name(label), name(prediction)));
    }
    text.push_str(&format!("log: {}\n", report.log.display()));
    text
}

/// Bars where there is a terminal, else a line an epoch.
struct Screen {
    output: Output,
    bar: Mutex<ProgressBar>,
}

impl Screen {
    fn new(output: Output) -> Self {
        Self { output, bar: Mutex::new(ProgressBar::hidden()) }
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        if let Ok(mut bar) = self.bar.lock() {
            act(&mut bar);
        }
    }

    fn clear(&self) {
        self.with(|bar| bar.finish_and_clear());
    }
}

impl Watch for Screen {
    fn stage(&self, what: &'static str, total: usize) {
        self.with(|bar| {
            bar.finish_and_clear();
            *bar = self.output.progress(total, what);
        });
    }

    fn tick(&self, count: usize) {
        self.with(|bar| bar.inc(count as u64));
    }

    fn epoch(&self, epoch: &Epoch) {
        let line = format!(
            "{} epoch {}: loss {:.4}, accuracy {}, validation loss {:.4}, accuracy {}{}",
            epoch.strategy,
            epoch.epoch,
            epoch.loss,
            percent(epoch.accuracy),
            epoch.validation_loss,
            percent(epoch.validation_accuracy),
            if epoch.best { " *" } else { "" },
        );
        if io::stderr().is_terminal() {
            self.with(|bar| bar.println(line));
        } else {
            self.output.note(line);
        }
    }
}
