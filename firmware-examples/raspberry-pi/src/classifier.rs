//! From a picture to the scores of its classes, and how long that takes.

use core::num::NonZeroUsize;
use core::time::Duration;
use std::time::Instant;

use anyhow::{Context, anyhow};
use mote_convert::blob::{Blob, Class, Runner};
use mote_convert::picture::Picture;
use mote_convert::preprocess::Preprocess;
use mote_convert::target;
use mote_engine::{Isa, Observer, Op, OpKind};
use serde::Serialize;

/// A blob ready to classify.
pub(crate) struct Classifier<'b> {
    blob: &'b Blob,
    runner: Runner<'b>,
    isa: Isa,
    preprocess: Preprocess,
    height: u32,
    width: u32,
    watch: Option<Watch>,
}

/// How it does so.
pub(crate) struct Options<'a> {
    /// The fastest one where none is named.
    pub(crate) isa: Option<&'a str>,
    /// As many as there are cores where that is not said.
    pub(crate) threads: Option<NonZeroUsize>,
    /// What the blob says where nothing else is said.
    pub(crate) preprocess: Option<Preprocess>,
    /// Whether to time every layer.
    pub(crate) layers: bool,
}

/// What a picture turned out to be.
pub(crate) struct Outcome {
    /// Best first.
    pub(crate) top: Vec<Class>,
    /// Of every class.
    pub(crate) scores: Vec<f32>,
    /// From pixels to the input.
    pub(crate) prepare: Duration,
    /// From the input to the output.
    pub(crate) run: Duration,
}

/// How long a layer took.
#[derive(Debug, Serialize)]
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) mean_us: f64,
    pub(crate) min_us: f64,
    pub(crate) macs: u64,
}

impl<'b> Classifier<'b> {
    pub(crate) fn new(
        blob: &'b Blob,
        &Options { isa, threads, preprocess, layers }: &Options<'_>,
    ) -> anyhow::Result<Self> {
        let threads = threads.or_else(|| std::thread::available_parallelism().ok());
        let threads = threads.unwrap_or(NonZeroUsize::MIN);
        let (isa, preprocess) = (target::isa(isa)?, blob.preprocess_or(preprocess)?);
        let shape = blob.input().shape;
        let channels = preprocess.channels.count();
        if channels != shape.channels {
            return Err(anyhow!(
                "the blob takes {} channels, `{preprocess}` gives {channels}",
                shape.channels
            ));
        }
        let watch = layers.then(|| Watch {
            started: Instant::now(),
            layers: vec![Times::default(); blob.model().op_count()],
        });
        Ok(Self {
            blob,
            runner: Runner::new(blob, isa)?.with_threads(threads)?,
            isa,
            preprocess,
            height: u32::try_from(shape.height).context("the blob's input is too high")?,
            width: u32::try_from(shape.width).context("the blob's input is too wide")?,
            watch,
        })
    }

    pub(crate) fn classify(&mut self, picture: &Picture, top: usize) -> Outcome {
        let start = Instant::now();
        let tensor = self.preprocess.tensor_f32(picture, self.height, self.width);
        let input = self.blob.quantize_input(&tensor);
        let prepared = Instant::now();
        let output = match &mut self.watch {
            Some(watch) => self.runner.run_observed(&input, watch),
            None => self.runner.run(&input),
        };
        let run = prepared.elapsed();
        Outcome {
            top: self.blob.top(&output, top),
            scores: self.blob.output_reals(&output),
            prepare: prepared - start,
            run,
        }
    }

    /// The kernels that it runs on.
    pub(crate) const fn isa(&self) -> Isa {
        self.isa
    }

    /// Every layer over all that was classified, where that was asked for.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let model = self.blob.model();
        let layer = |(index, times): (usize, &Times)| Layer {
            name: self.blob.name(index + 1),
            kind: model.kind(index).map_or("", OpKind::name),
            mean_us: times.mean().as_secs_f64() * 1e6,
            min_us: times.min.as_secs_f64() * 1e6,
            macs: model.op(index).map_or(0, |op| op.macs()),
        };
        let layers = self.watch.iter().flat_map(|watch| watch.layers.iter().enumerate());
        layers.map(layer).collect()
    }
}

/// Times every operation of every run; a camera may run for months.
struct Watch {
    started: Instant,
    layers: Vec<Times>,
}

#[derive(Clone, Default)]
struct Times {
    sum: Duration,
    min: Duration,
    count: u32,
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.min = if self.count == 0 { time } else { self.min.min(time) };
        self.sum += time;
        self.count = self.count.saturating_add(1);
    }

    fn mean(&self) -> Duration {
        self.sum / self.count.max(1)
    }
}

impl Observer for Watch {
    fn before(&mut self, _: usize, _: &Op<'_>) {
        self.started = Instant::now();
    }

    fn after(&mut self, index: usize, _: &Op<'_>, _: &[i8]) {
        let time = self.started.elapsed();
        if let Some(times) = self.layers.get_mut(index) {
            times.add(time);
        }
    }
}
