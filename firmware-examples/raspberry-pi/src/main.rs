//! `mote-pi`: a blob on a Raspberry Pi, classifying pictures, folders and what a camera sees.

mod alarm;
mod camera;
mod classifier;
mod pictures;
mod pixels;
mod report;

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use alarm::Alarm;
use anyhow::{Context, bail};
use camera::Camera;
use clap::Parser;
use classifier::{Classifier, Options};
use mote_convert::blob::Blob;
use mote_convert::picture::Picture;
use mote_convert::preprocess::Preprocess;
use pictures::Pictures;
use report::Report;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Classifies pictures, folders of pictures, or what a camera sees, with a blob.
///
/// Prints the best classes of every picture and how many pictures a second it does. What cannot be decoded is named on
/// stderr and left out. Exit codes: 0 fine, 1 something failed or was left out, 2 bad usage.
#[derive(Debug, Parser)]
#[command(name = "mote-pi", version, arg_required_else_help = true)]
struct Args {
    /// A blob (.mote), such as `mote quantize --target pi4` writes.
    blob: PathBuf,
    /// Pictures (jpg, png, bmp, webp) and folders of them.
    #[arg(
        value_name = "PICTURE|FOLDER",
        required_unless_present = "camera",
        conflicts_with = "camera"
    )]
    pictures: Vec<PathBuf>,
    #[command(flatten)]
    camera: camera::Args,
    /// Stop after so many pictures.
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// How many classes to show.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Show at the end how long every layer took.
    #[arg(long)]
    layers: bool,
    #[command(flatten)]
    alarm: alarm::Args,
    /// Kernels to run on, such as scalar or neon. Default: the fastest of this machine.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
    /// Threads that share the work of a picture. Default: one a core.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// How pictures become the input. Default: what the blob says.
    #[arg(long, value_name = "RULE")]
    preprocess: Option<Preprocess>,
    /// Print a JSON object a line: one for every picture, one at the end.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // A reader that has seen enough, such as `head`.
        Err(error) if broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Where pictures come from.
enum Source {
    Pictures(Pictures),
    Camera(Box<Camera>),
}

/// A picture, or why there is none.
struct Frame {
    name: String,
    picture: anyhow::Result<Picture>,
}

impl Source {
    fn open(args: &Args) -> anyhow::Result<Self> {
        Ok(match &args.camera.camera {
            Some(path) => Self::Camera(Box::new(Camera::open(path, &args.camera)?)),
            None => Self::Pictures(Pictures::find(&args.pictures)?),
        })
    }

    /// The next frame; none after the last. An error is the end as well.
    fn next(&mut self) -> anyhow::Result<Option<Frame>> {
        match self {
            Self::Pictures(pictures) => Ok(pictures.next()),
            Self::Camera(camera) => camera.next(),
        }
    }
}

/// Whether every picture could be classified.
fn run(args: &Args) -> anyhow::Result<bool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The first ends the loop in order, so that the pin goes back to what it was; a second one ends a
        // program that still waits for its camera.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot catch signals")?;
    }
    let blob = Blob::open(&args.blob)?;
    let options = Options {
        isa: args.isa.as_deref(),
        threads: args.threads,
        preprocess: args.preprocess,
        layers: args.layers,
    };
    let mut classifier = Classifier::new(&blob, &options)?;
    let mut alarm = Alarm::new(&args.alarm, &blob)?;
    let mut source = Source::open(args)?;
    let mut report = Report::new(args.json, args.camera.camera.is_some());
    while !stop.load(Ordering::Relaxed) && args.frames.is_none_or(|limit| report.seen() < limit) {
        let Some(Frame { name, picture }) = source.next()? else { break };
        match picture {
            Ok(picture) => {
                let outcome = classifier.classify(&picture, args.top.into());
                let seen = alarm.as_mut().map(|alarm| alarm.look(&outcome.scores));
                report.picture(&name, &outcome, seen)?;
            }
            Err(error) => report.skip(&name, &error)?,
        }
    }
    if report.seen() == 0 {
        bail!("there was no picture");
    }
    report.end(&classifier)?;
    Ok(report.skipped() == 0)
}
