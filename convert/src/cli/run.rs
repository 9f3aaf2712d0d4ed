//! `mote run`: pictures to labels, or raw tensors in and out.

use core::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::bail;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use super::Usage;
use super::output::Output;
use super::source::{Feed, isa, open_blob};
use crate::blob::{Blob, Class, Runner};
use crate::npy::Array;
use crate::picture::Picture;
use crate::preprocess::Preprocess;
use mote_engine::Isa;

/// Classifies pictures with a blob, or runs raw tensors through it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A blob (.mote).
    blob: PathBuf,
    /// Pictures (jpg, png, bmp, webp).
    #[arg(value_name = "PICTURE", required_unless_present = "input", conflicts_with = "input")]
    pictures: Vec<PathBuf>,
    /// How many classes to show of each picture.
    #[arg(long, value_name = "K", default_value_t = 3)]
    top: usize,
    /// Kernels to run on, such as scalar or avx2. Default: the fastest of this machine.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
    /// Threads that share the work of a picture; the scores do not depend on their number.
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN, conflicts_with = "input")]
    threads: NonZeroUsize,
    /// Tensors to run instead of pictures, a batch along the first axis.
    #[arg(long, value_name = "X.npy", requires = "output")]
    input: Option<PathBuf>,
    /// Where the outputs of --input go.
    #[arg(long, value_name = "Y.npy", requires = "input")]
    output: Option<PathBuf>,
    /// How pictures become the input. Default: what the blob says.
    #[arg(long, value_name = "RULE")]
    preprocess: Option<Preprocess>,
}

#[derive(Debug, Serialize)]
struct Report {
    isa: &'static str,
    predictions: Vec<Prediction>,
}

#[derive(Debug, Serialize)]
struct Prediction {
    picture: PathBuf,
    label: String,
    class: usize,
    score: f32,
    top: Vec<Class>,
}

#[derive(Debug, Serialize)]
struct Batch {
    isa: &'static str,
    samples: usize,
    output: PathBuf,
    shape: Vec<usize>,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let blob = open_blob(&args.blob)?;
    let isa = isa(args.isa.as_deref())?;
    if let (Some(input), Some(path)) = (&args.input, &args.output) {
        return run_tensors(&blob, isa, input, path, output);
    }
    if args.top == 0 {
        bail!(Usage("--top must be at least 1".to_owned()));
    }
    let feed = Feed::for_blob(&blob, args.preprocess)?;
    let mut runner = Runner::new(&blob, isa)?.with_threads(args.threads)?;
    let mut predictions = Vec::new();
    for path in &args.pictures {
        let input = blob.quantize_input(&feed.picture(&Picture::open(path)?));
        let top = blob.top(&runner.run(&input), args.top);
        let best = &top[0];
        predictions.push(Prediction {
            picture: path.clone(),
            label: best.label.clone(),
            class: best.class,
            score: best.score,
            top,
        });
    }
    output.report(&Report { isa: isa.name(), predictions }, |report| {
        let mut text = String::new();
        for prediction in &report.predictions {
            text.push_str(&format!("{}\n", prediction.picture.display()));
            for class in &prediction.top {
                text.push_str(&format!("  {:8.4}  {}\n", class.score, class.label));
            }
        }
        text
    })
}

fn run_tensors(
    blob: &Blob,
    isa: Isa,
    input: &PathBuf,
    path: &PathBuf,
    output: &Output,
) -> anyhow::Result<()> {
    let inputs = blob.inputs(&Array::read(input)?)?;
    let progress = output.progress(inputs.len(), "running");
    let outputs = inputs
        .par_iter()
        .map_init(
            || Runner::new(blob, isa),
            |runner, input| {
                progress.inc(1);
                match runner {
                    Ok(runner) => Ok(runner.run(input)),
                    Err(error) => bail!("{error}"),
                }
            },
        )
        .collect::<anyhow::Result<Vec<_>>>()?;
    progress.finish_and_clear();
    let array = blob.outputs(&outputs);
    array.write(path)?;
    let batch = Batch {
        isa: isa.name(),
        samples: outputs.len(),
        output: path.clone(),
        shape: array.shape().to_vec(),
    };
    output.report(&batch, |batch| {
        format!(
            "{}: {} outputs of shape {:?}\n",
            batch.output.display(),
            batch.samples,
            batch.shape
        )
    })
}
