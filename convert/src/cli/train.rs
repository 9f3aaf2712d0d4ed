//! `mote train`: transfer learning, and training from scratch.

mod recipe;
mod result;
mod screen;
mod sets;
mod verdict;

use std::path::PathBuf;

use super::Usage;
use super::output::Output;
use super::source::{open_model, preprocess_of};
use crate::fetch;
use crate::fit::{
    Advice, Augment, Head, Job, Phase, Pictures, cache_folder, fit, is_untrained, log_path, prepare,
};
use crate::preprocess::{Preprocess, Scaling};
use recipe::{complete, first_phase, recipe, yes_or_no};
use result::{Report, advise, text};
use screen::Screen;
use sets::{Sets, class_weights};
pub(super) use verdict::verdict;

/// Teaches a network the classes of your pictures.
///
/// Three strategies: `head` freezes the base and trains a new classifier on its features, which are
/// computed once and kept; `partial` also trains the base from a layer on; `all` trains everything.
/// `auto` chooses by the rule of thumb: little data that looks like what the base knows, head; much
/// that does not, all; else partial.
///
///   mote train --base mobilenet.h5 --data flowers/ -o flowers.safetensors
///   mote train --base mobilenet.h5 --data flowers/ --train head --then all:lr=1e-5,epochs=5 -o flowers.safetensors
///   mote train --base flowers.safetensors --data flowers/ --train all --qat -o flowers8.safetensors
///   mote new mobilenet-cifar -o m.safetensors
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
    /// Train the last phase with the rounding of int8, for a network that loses by `mote quantize`:
    /// what is validated is then what the blob will give. Batch norms are folded with their moving
    /// statistics first, the ranges of the activations found on training pictures; both stay as they
    /// are, and `mote quantize OUT.safetensors` needs no calibration. A new classifier and the phases
    /// before the last learn in float.
    #[arg(long)]
    qat: bool,
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
    recipe.phases.insert(0, first_phase(args, advice.as_ref(), untrained)?);
    recipe.check(train.classes().len()).map_err(|error| Usage(error.to_string()))?;
    let network = prepare(base, &recipe, train.classes())?;
    complete(&mut recipe, network.new_head, untrained, args)?;
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
    let strategies: Vec<String> = end.phases.iter().map(|phase| phase.strategy.clone()).collect();
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
