//! What the frozen part of a network makes of the samples: computed once, and kept on disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::pictures::Variant;
use super::rounding::CALIBRATION;
use super::{Augment, FitError, Pictures, Precision, Watch};
use crate::blob::{Blob, Runner};
use crate::emit::{Metadata, emit};
use crate::files::{FileError, sha256_hex};
use crate::graph::Graph;
use crate::lower::lower;
use crate::model_file;
use crate::npy::{Array, Values};
use crate::passes;
use crate::quantize::{post_training, quantize};
use crate::quantized::Network;
use crate::target::Target;
use crate::train::Predictor;

use mote_engine::{Isa, Numerics};

/// Pictures that go through a frozen part at once.
const BATCH: usize = 32;
/// Features that fit in memory; larger ones are computed anew for every batch.
const MAX_FEATURE_BYTES: usize = 2 << 30;
/// What the cache on disk may hold; the files that were not used for longest go first.
const MAX_CACHE_BYTES: u64 = 4 << 30;

/// The frozen part of a network, or all of it, at work.
#[derive(Debug)]
pub(super) enum Prefix {
    /// There is none.
    Nothing,
    Float(Box<Predictor>),
    Int8(Box<Blob>),
}

impl Prefix {
    /// `graph` with its batch norms folded, or as the engine runs it; rounded, if it states its quantization.
    pub(super) fn new(
        graph: Graph,
        precision: Precision,
        train: &Pictures,
        watch: &dyn Watch,
    ) -> Result<Self, FitError> {
        if graph.is_quantized() {
            return Ok(Self::Float(Box::new(Predictor::rounded(graph))));
        }
        let graph = passes::standard(graph)?;
        if precision == Precision::Float {
            return Ok(Self::Float(Box::new(Predictor::new(graph))));
        }
        let samples = train.spread(CALIBRATION)?;
        watch.stage("quantizing", 1);
        let engine = |error: &dyn core::fmt::Display| FitError::Engine(error.to_string());
        let network = post_training(graph, &samples, train.input_range(), &[], &|_, _| ())
            .map_err(|e| engine(&e))?;
        Ok(Self::Int8(Box::new(blob(&network).map_err(|e| engine(&e))?)))
    }

    /// A whole network as it is to be measured: by the engine if it states its quantization.
    pub(super) fn whole(graph: &Graph) -> Result<Self, FitError> {
        if !graph.is_quantized() {
            return Ok(Self::Float(Box::new(Predictor::new(passes::standard(graph.clone())?))));
        }
        let engine = |error: &dyn core::fmt::Display| FitError::Rounding(error.to_string());
        let network = quantize(graph, None).map_err(|e| engine(&e))?;
        Ok(Self::Int8(Box::new(blob(&network).map_err(|e| engine(&e))?)))
    }

    /// `[n, inputs] -> [n, features]`.
    pub(super) fn run(&mut self, inputs: Vec<f32>) -> Result<Vec<f32>, FitError> {
        match self {
            Self::Nothing => Ok(inputs),
            Self::Float(predictor) => Ok(predictor.predict(&inputs)?.to_vec()),
            Self::Int8(blob) => {
                let (taken, given) = (blob.input().len(), blob.output().len());
                let mut features = vec![0.0; inputs.len() / taken * given];
                let rows = features.par_chunks_exact_mut(given);
                rows.zip(inputs.par_chunks_exact(taken)).try_for_each_init(
                    || Runner::new(blob, Isa::best()),
                    |runner, (row, input)| {
                        let runner =
                            runner.as_mut().map_err(|e| FitError::Engine(e.to_string()))?;
                        let output = runner.run(&blob.quantize_input(input));
                        let values = blob.output().reals(&output);
                        row.iter_mut().zip(values).for_each(|(to, value)| *to = value);
                        Ok::<(), FitError>(())
                    },
                )?;
                Ok(features)
            }
        }
    }

    /// What tells its features from those of any other prefix.
    fn digest(&self) -> Result<String, FitError> {
        Ok(match self {
            Self::Nothing => String::new(),
            Self::Float(predictor) => sha256_hex(&model_file::to_bytes(predictor.graph())?),
            Self::Int8(blob) => sha256_hex(blob.bytes()),
        })
    }

    fn width(&self) -> Option<usize> {
        match self {
            Self::Nothing => None,
            Self::Float(predictor) => Some(predictor.graph().output_shape().elements()),
            Self::Int8(blob) => Some(blob.output().len()),
        }
    }
}

fn blob(network: &Network) -> anyhow::Result<Blob> {
    let program = lower(network, Target::host(), Numerics::Fp32)?;
    Ok(Blob::new(emit(&program, &Metadata::default())?)?)
}

/// The inputs of the trained part, batch by batch.
#[derive(Debug)]
pub(super) struct Feed<'a> {
    pictures: &'a Pictures,
    augment: Augment,
    seed: u64,
    /// `[views, samples, width]`, if they are kept.
    features: Option<Vec<f32>>,
    width: usize,
}

impl<'a> Feed<'a> {
    /// Computes the features of every view, or takes them from `cache`.
    pub(super) fn new(
        pictures: &'a Pictures,
        prefix: &mut Prefix,
        augment: Augment,
        seed: u64,
        cache: Option<&Path>,
        watch: &dyn Watch,
    ) -> Result<Self, FitError> {
        let mut feed = Self { pictures, augment, seed, features: None, width: 0 };
        let Some(width) = prefix.width() else { return Ok(feed) };
        feed.width = width;
        let rows = augment.views() * pictures.len();
        let bytes = rows.saturating_mul(width).saturating_mul(size_of::<f32>());
        if bytes > MAX_FEATURE_BYTES {
            return Ok(feed);
        }
        // Kept views depend on the seed only where they are drawn at random.
        let seed_part = if augment.views() > 2 { seed } else { 0 };
        let name = || {
            let key = [
                prefix.digest()?,
                pictures.digest().to_owned(),
                format!("{} {augment} {seed_part} 1", pictures.preprocess()),
            ];
            Ok::<_, FitError>(format!("{}.npy", sha256_hex(key.join("\n").as_bytes())))
        };
        let file = cache.map(|folder| Ok::<_, FitError>(folder.join(name()?))).transpose()?;
        if let Some(kept) = file.as_deref().and_then(|file| read_kept(file, &[rows, width])) {
            feed.features = Some(kept);
            return Ok(feed);
        }
        watch.stage("features", rows);
        let mut features = Vec::with_capacity(rows * width);
        let places: Vec<usize> = (0..pictures.len()).collect();
        for view in 0..augment.views() {
            for batch in places.chunks(BATCH) {
                let inputs = pictures.tensors(batch, Variant::View(augment, seed, view))?;
                features.extend(prefix.run(inputs)?);
                watch.tick(batch.len());
            }
        }
        feed.features = Some(match file {
            Some(file) => keep(&file, Array::new([rows, width], features)?)?,
            None => features,
        });
        Ok(feed)
    }

    /// The inputs of these samples: changed as in `epoch`, or plain.
    pub(super) fn batch(
        &self,
        places: &[usize],
        epoch: Option<u64>,
        prefix: &mut Prefix,
    ) -> Result<Vec<f32>, FitError> {
        let Some(features) = &self.features else {
            let variant = match epoch {
                Some(epoch) => Variant::Epoch(self.augment, self.seed, epoch),
                None => Variant::Plain,
            };
            return prefix.run(self.pictures.tensors(places, variant)?);
        };
        let views = self.augment.views();
        let row = |&place: &usize| {
            // Every view once in as many epochs, the samples out of step with each other.
            let turn = epoch.and_then(|epoch| usize::try_from(epoch).ok()).unwrap_or(0);
            let view = if epoch.is_some() { (turn + place) % views } else { 0 };
            let at = (view * self.pictures.len() + place) * self.width;
            &features[at..at + self.width]
        };
        Ok(places.iter().flat_map(row).copied().collect())
    }
}

/// Where features are kept.
///
/// # Errors
/// Those of [`fetch::cache_dir`](crate::fetch::cache_dir).
pub fn cache_folder() -> Result<PathBuf, crate::fetch::FetchError> {
    Ok(crate::fetch::cache_dir()?.join("features"))
}

/// A file of the cache, marked as used; `None` if it is not there or not whole.
fn read_kept(file: &Path, shape: &[usize]) -> Option<Vec<f32>> {
    let array = Array::read(file).ok().filter(|array| array.shape() == shape)?;
    if let Ok(open) = File::options().append(true).open(file) {
        // Only the order of eviction suffers if this fails.
        let _ = open.set_modified(SystemTime::now());
    }
    match array.into_values() {
        Values::F32(values) => Some(values),
        _ => None,
    }
}

/// Writes a file of the cache and makes room for it.
fn keep(file: &Path, array: Array) -> Result<Vec<f32>, FitError> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|e| FileError::new("make folder", folder, e))?;
        let bytes = (array.values().len() * size_of::<f32>()) as u64;
        evict(folder, MAX_CACHE_BYTES.saturating_sub(bytes))?;
    }
    array.write(file)?;
    match array.into_values() {
        Values::F32(values) => Ok(values),
        _ => Ok(Vec::new()),
    }
}

/// Removes the files that were not used for longest until the rest has at most `limit` bytes.
fn evict(folder: &Path, limit: u64) -> Result<(), FileError> {
    let error = |source| FileError::new("list", folder, source);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let metadata = entry.metadata().map_err(error)?;
        if entry.path().extension().is_some_and(|extension| extension == "npy") {
            files.push((metadata.modified().map_err(error)?, metadata.len(), entry.path()));
        }
    }
    files.sort_unstable();
    let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
    for (_, len, path) in files {
        if total <= limit {
            break;
        }
        fs::remove_file(&path).map_err(|source| FileError::new("remove", &path, source))?;
        total -= len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn the_cache_forgets_what_was_not_used_for_longest() {
        let dir = TempDir::new("features");
        let file = |name: &str| dir.path().join(format!("{name}.npy"));
        let array = |value: f32| Array::new([10, 1], vec![value; 10]).unwrap();
        for (age, name) in [(30, "a"), (20, "b"), (10, "c")] {
            keep(&file(name), array(1.0)).unwrap();
            let then = SystemTime::now() - core::time::Duration::from_secs(age);
            File::options().append(true).open(file(name)).unwrap().set_modified(then).unwrap();
        }
        assert_eq!(read_kept(&file("a"), &[10, 1]).unwrap(), [1.0; 10]);
        assert!(read_kept(&file("a"), &[10, 2]).is_none());
        let len = fs::metadata(file("a")).unwrap().len();
        evict(dir.path(), 2 * len).unwrap();
        assert_eq!([file("a"), file("b"), file("c")].map(|f| f.is_file()), [true, false, true]);
        fs::write(file("a"), b"half a fi").unwrap();
        assert!(read_kept(&file("a"), &[10, 1]).is_none());
    }
}
