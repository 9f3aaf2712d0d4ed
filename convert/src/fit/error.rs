//! Why a training did not come to its end.

use std::path::PathBuf;

use thiserror::Error;

use crate::data::DataError;
use crate::files::FileError;
use crate::graph::GraphError;
use crate::model_file::ModelFileError;
use crate::npy::NpyError;
use crate::train::TrainError;

/// A training that cannot be done, or went wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FitError {
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The network could not be rebuilt.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The network cannot be trained, or a step went wrong.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The frozen part cannot be quantized, or not be run then.
    #[error("int8 features: {0}; train on --features float instead")]
    Engine(String),
    /// The network cannot be quantized, so not be trained as if it were.
    #[error("quantization-aware training: {0}; train without --qat")]
    Rounding(String),
    /// The trained network could not be written.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// A cache file could not be used.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A class that nothing can be learned of.
    #[error("class `{class}` has no {what} picture that can be read; add some or remove the class")]
    EmptyClass {
        /// Its name.
        class: String,
        /// `training` or `validation`.
        what: &'static str,
    },
    /// A sample without a class.
    #[error("{sample} has no label; training needs class folders or a labels.csv")]
    NoLabel {
        /// Its name.
        sample: String,
    },
    /// One class or none.
    #[error("the data has {found} classes; training needs at least two")]
    Classes {
        /// How many there are.
        found: usize,
    },
    /// A tensor of another length than the network's input.
    #[error("{sample}: {found} values, the network takes {expected} (f32)")]
    Input {
        /// The sample.
        sample: String,
        /// What the network takes.
        expected: usize,
        /// What there was.
        found: usize,
    },
    /// No classifier could be told from a base.
    #[error(
        "the network has no classifier that could be replaced (a global pool or flattening, then \
         dense layers); it gives {outputs} scores and the data has {classes} classes"
    )]
    NoTop {
        /// What the network gives.
        outputs: usize,
        /// What the data has.
        classes: usize,
    },
    /// No layer of that name.
    #[error("the network has no layer `{name}`{}; `mote summary` lists them", or_near(near))]
    NoLayer {
        /// The name that was asked for.
        name: String,
        /// Names that come near.
        near: Vec<String>,
    },
    /// A checkpoint of something else.
    #[error(
        "{} belongs to another training: {what}; start over without --resume, or repeat the options \
         that it began with", path.display()
    )]
    OtherCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A checkpoint that cannot be read.
    #[error("{} is damaged: {fault}; start over without --resume", path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// A recipe that makes no sense.
    #[error("{0}")]
    Recipe(String),
}

fn or_near(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; did you mean {}", names.join(", ")) }
}
