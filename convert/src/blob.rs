//! Blobs on the host: files, what they say about themselves, and running them.

use core::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use mote_engine::format::{self, MAGIC, MetadataKey};
use mote_engine::{
    Isa, Kernels, Model, Observer, ParseError, Session, TensorView, Threads, ThreadsError,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::emit::AlignedBytes;
use crate::files::{FileError, read_bounded};
use crate::graph::ElementType;
use crate::npy::{Array, Values};
use crate::preprocess::Preprocess;

/// The largest blob that is read.
const MAX_BLOB_BYTES: u64 = u32::MAX as u64;

/// A blob in memory; [`model`](Self::model) was proved when it was read.
#[derive(Clone, Debug)]
pub struct Blob {
    bytes: AlignedBytes,
    // Copied out once: parsing proves the whole blob anew.
    tensors: Vec<TensorView>,
    names: Vec<String>,
    labels: Vec<String>,
    provenance: Provenance,
    preprocess: Option<Preprocess>,
}

/// Where a blob came from: the JSON of its metadata.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default)]
pub struct Provenance {
    /// File name of the source model.
    pub source: String,
    /// SHA-256 of the source model.
    pub source_sha256: String,
    /// Version of Mote that wrote it.
    pub tool: String,
    /// Machine that it was packed for.
    pub target: String,
    /// Type of the arrays that `mote run --input` takes.
    pub input_type: Element,
    /// Type of the arrays that `mote run --output` writes.
    pub output_type: Element,
}

/// Element type of a raw input or output array.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// As the engine stores it.
    #[default]
    Int8,
    /// 128 above what the engine stores.
    Uint8,
    /// The real numbers themselves.
    Float32,
}

/// One class of an output.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Class {
    /// Its name.
    pub label: String,
    /// Its number.
    pub class: usize,
    /// A probability after softmax.
    pub score: f32,
}

/// A blob that could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The engine refuses it.
    #[error("{}: {fault}", file.display())]
    Parse {
        /// Which.
        file: PathBuf,
        /// Why.
        fault: ParseError,
    },
    /// Kernels that this machine cannot run.
    #[error("this machine has no {}; run with --isa scalar", isa.name())]
    Isa {
        /// What it lacks.
        isa: Isa,
    },
    /// It came without a rule, and none was chosen.
    #[error("the blob does not say how pictures become its input; give --preprocess")]
    NoPreprocess,
    /// Too many threads.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
    /// An array of another size.
    #[error("the input array has shape {found:?}; each sample needs {expected} values")]
    InputLen {
        /// Values of a sample.
        expected: usize,
        /// Shape of the array.
        found: Vec<usize>,
    },
    /// An array of another type.
    #[error("the input array holds {found}; the blob takes {expected} or float32")]
    InputType {
        /// What the blob takes.
        expected: &'static str,
        /// What the array holds.
        found: &'static str,
    },
}

impl Blob {
    /// Whether `bytes` begin like a blob.
    #[must_use]
    pub fn recognizes(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Reads and proves a blob file.
    ///
    /// # Errors
    /// [`BlobError::File`], [`BlobError::Parse`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BlobError> {
        let path = path.as_ref();
        let bytes = read_bounded(path, MAX_BLOB_BYTES)?;
        Self::new(AlignedBytes::from(bytes.as_slice()))
            .map_err(|fault| BlobError::Parse { file: path.to_owned(), fault })
    }

    /// Proves a blob in memory.
    ///
    /// # Errors
    /// What the engine's parser says.
    pub fn new(bytes: AlignedBytes) -> Result<Self, ParseError> {
        let model = Model::parse(&bytes)?;
        let text = |key| model.blob().metadata(key);
        let provenance = text(MetadataKey::Provenance)
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let preprocess = text(MetadataKey::Preprocess).and_then(|line| line.parse().ok());
        let lines = |key| text(key).into_iter().flat_map(str::lines).map(str::to_owned).collect();
        let (names, labels) = (lines(MetadataKey::Names), lines(MetadataKey::Labels));
        let tensors = (0..model.tensor_count()).filter_map(|index| model.tensor(index)).collect();
        Ok(Self { bytes, tensors, names, labels, provenance, preprocess })
    }

    /// The bytes, on a 16-byte boundary.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The network, parsed and proved anew.
    ///
    /// # Panics
    /// Never: the same bytes were parsed before.
    #[must_use]
    pub fn model(&self) -> Model<'_> {
        Model::parse(&self.bytes).expect("proved by `new`")
    }

    /// The input, then the output of each operation.
    #[must_use]
    pub fn tensors(&self) -> &[TensorView] {
        &self.tensors
    }

    /// The network's input.
    #[must_use]
    pub fn input(&self) -> &TensorView {
        &self.tensors[0]
    }

    /// The network's output.
    #[must_use]
    pub fn output(&self) -> &TensorView {
        &self.tensors[self.tensors.len() - 1]
    }

    /// Class names; empty when the blob has none.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Where it came from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// How pictures become its input; `None` for a network that does not take pictures.
    #[must_use]
    pub fn preprocess(&self) -> Option<&Preprocess> {
        self.preprocess.as_ref()
    }

    /// How pictures become its input: as `chosen`, else as it says itself.
    ///
    /// # Errors
    /// [`BlobError::NoPreprocess`] when neither says it.
    pub fn preprocess_or(&self, chosen: Option<Preprocess>) -> Result<Preprocess, BlobError> {
        chosen.or(self.preprocess).ok_or(BlobError::NoPreprocess)
    }

    /// The operations and the contract that it uses, as features of the crate `mote-engine`, and the
    /// scalar code for what the kernels of `isa` leave to it; `None` stands for any machine.
    #[must_use]
    pub fn features(&self, isa: Option<Isa>) -> Vec<&'static str> {
        let model = self.model();
        let kinds = (0..model.op_count()).filter_map(|index| model.kind(index));
        let mut features: Vec<_> = kinds.map(|kind| kind.name()).collect();
        features.push(model.numerics().name());
        if isa.is_none_or(|isa| model.first_not_taken(isa).is_some()) {
            features.push("fallback");
        }
        features.sort_unstable();
        features.dedup();
        features
    }

    /// Name of class `index`: its label, else its number.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        self.labels.get(index).cloned().unwrap_or_else(|| index.to_string())
    }

    /// Name of tensor `index`: the source's, else its number.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        self.names.get(index).cloned().unwrap_or_else(|| format!("tensor {index}"))
    }

    /// The bytes that the input stores the real numbers `values` as.
    #[must_use]
    pub fn quantize_input(&self, values: &[f32]) -> Vec<i8> {
        let input = self.input();
        match input.element {
            format::ElementType::I8 => {
                values.iter().map(|&value| quantize(value, input.scale, input.zero_point)).collect()
            }
            format::ElementType::F16 => {
                let mut bytes = vec![0; input.element.bytes() * values.len()];
                input.store(values.iter().copied(), &mut bytes);
                bytes
            }
        }
    }

    /// The real numbers that the bytes of an `output` mean.
    #[must_use]
    pub fn output_reals(&self, output: &[i8]) -> Vec<f32> {
        self.output().reals(output).collect()
    }

    /// The `count` classes of an output that score highest, best first; equal ones in class order.
    #[must_use]
    pub fn top(&self, output: &[i8], count: usize) -> Vec<Class> {
        let scores = self.output_reals(output);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let class = |class: usize| Class { label: self.label(class), class, score: scores[class] };
        order.into_iter().take(count).map(class).collect()
    }

    /// The samples along the first axis of `array`, as the input stores them.
    ///
    /// # Errors
    /// [`BlobError::InputLen`], [`BlobError::InputType`].
    pub fn inputs(&self, array: &Array) -> Result<Vec<Vec<i8>>, BlobError> {
        let expected = self.input().len();
        let total: usize = array.values().len();
        let samples = array.shape().first().copied().unwrap_or(1);
        let fits = total == expected || samples.checked_mul(expected) == Some(total);
        if !fits {
            return Err(BlobError::InputLen { expected, found: array.shape().to_vec() });
        }
        let stored: Vec<i8> = match (array.values(), self.input_type()) {
            (Values::I8(values), Element::Int8) => values.clone(),
            (Values::U8(values), Element::Uint8) => values.iter().map(|&v| flip(v)).collect(),
            (Values::F32(values), _) => self.quantize_input(values),
            (other, element) => {
                return Err(BlobError::InputType {
                    expected: element.name(),
                    found: other.dtype().descr(),
                });
            }
        };
        Ok(stored.chunks_exact(self.input().bytes()).map(<[i8]>::to_vec).collect())
    }

    /// Type of the arrays that [`inputs`](Self::inputs) takes; halves come as float32.
    fn input_type(&self) -> Element {
        match self.input().element {
            format::ElementType::I8 => self.provenance.input_type,
            format::ElementType::F16 => Element::Float32,
        }
    }

    /// Outputs as an array `[samples, ..]` of the type that the source network gives; of halves as
    /// float32.
    ///
    /// # Panics
    /// If the outputs differ in length.
    #[must_use]
    pub fn outputs(&self, outputs: &[Vec<i8>]) -> Array {
        let shape = self.output().shape;
        let dims = if shape.pixels() == 1 {
            vec![outputs.len(), shape.channels]
        } else {
            vec![outputs.len(), shape.height, shape.width, shape.channels]
        };
        let stored = outputs.concat();
        let values = match (self.output().element, self.provenance.output_type) {
            (format::ElementType::F16, _) | (_, Element::Float32) => {
                Values::F32(self.output_reals(&stored))
            }
            (_, Element::Int8) => Values::I8(stored),
            (_, Element::Uint8) => Values::U8(stored.into_iter().map(unflip).collect()),
        };
        Array::new(dims, values).expect("every output has the output's length")
    }
}

impl From<ElementType> for Element {
    fn from(element: ElementType) -> Self {
        match element {
            ElementType::U8(_) => Self::Uint8,
            ElementType::F32 | ElementType::I8(_) => Self::Int8,
        }
    }
}

impl Element {
    /// NumPy's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Float32 => "float32",
        }
    }
}

/// The stored value nearest to `value`, ties away from zero, saturated.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "`as` saturates, and so does the clamp")]
pub fn quantize(value: f32, scale: f32, zero_point: i8) -> i8 {
    let steps = (value / scale).round() as i32;
    steps.saturating_add(i32::from(zero_point)).clamp(-128, 127) as i8
}

const fn flip(value: u8) -> i8 {
    (value ^ 0x80).cast_signed()
}

const fn unflip(value: i8) -> u8 {
    value.cast_unsigned() ^ 0x80
}

/// A blob with kernels and an arena, ready to run again and again.
#[derive(Debug)]
pub struct Runner<'b> {
    model: Model<'b>,
    kernels: Kernels,
    arena: AlignedBytes,
    threads: Option<Threads>,
}

impl<'b> Runner<'b> {
    /// # Errors
    /// [`BlobError::Isa`] on a machine without `isa`.
    pub fn new(blob: &'b Blob, isa: Isa) -> Result<Self, BlobError> {
        let kernels = Kernels::for_isa(isa).ok_or(BlobError::Isa { isa })?;
        let model = blob.model();
        let arena = AlignedBytes::zeroed(model.arena_bytes());
        Ok(Self { model, kernels, arena, threads: None })
    }

    /// Shares the work of a run among so many threads; the bits are the same for any number.
    ///
    /// # Errors
    /// [`BlobError::Threads`] when the system gives no more.
    pub fn with_threads(mut self, count: NonZeroUsize) -> Result<Self, BlobError> {
        self.threads = if count == NonZeroUsize::MIN { None } else { Some(Threads::new(count)?) };
        Ok(self)
    }

    /// Runs on one input of the network's length.
    ///
    /// # Panics
    /// On an input of another length.
    pub fn run(&mut self, input: &[i8]) -> Vec<i8> {
        self.run_observed(input, &mut ())
    }

    /// [`run`](Self::run) under the eyes of `observer`.
    ///
    /// # Panics
    /// On an input of another length.
    pub fn run_observed(&mut self, input: &[i8], observer: &mut impl Observer) -> Vec<i8> {
        let mut session = Session::new(self.model, self.kernels, self.arena.as_i8_mut())
            .expect("the arena was made for the model");
        if let Some(threads) = &mut self.threads {
            session = session.with_threads(threads);
        }
        session.input_mut().copy_from_slice(input);
        session.run_observed(observer).to_vec()
    }
}
