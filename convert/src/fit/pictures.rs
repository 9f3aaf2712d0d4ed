//! The samples of one split on their way into a network.

use core::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::{Augment, Draw, FitError, Watch};
use crate::data::{Content, DataError, Dataset, Sample};
use crate::detect;
use crate::graph::{Graph, Shape};
use crate::npy::Values;
use crate::preprocess::Preprocess;

/// The samples that can be read. Decoded pictures are held in memory up to
/// [`Pictures::MAX_HELD_BYTES`]; beyond that, each is decoded again whenever it is needed.
#[derive(Debug)]
pub struct Pictures {
    dataset: Dataset,
    labels: Vec<usize>,
    held: Option<Vec<Sample>>,
    preprocess: Preprocess,
    shape: Shape,
    digest: String,
    unreadable: Vec<DataError>,
}

/// How a sample is to be changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Variant {
    /// Not at all.
    Plain,
    /// As in this epoch.
    Epoch(Augment, u64, u64),
    /// As in this one of the kept views.
    View(Augment, u64, usize),
}

impl Pictures {
    /// What may be held: a gibibyte.
    pub const MAX_HELD_BYTES: usize = 1 << 30;

    /// Decodes every sample once: those that cannot be read are left out and listed.
    ///
    /// # Errors
    /// [`FitError::NoLabel`], [`FitError::EmptyClass`] (which names the split by `what`),
    /// [`FitError::Classes`].
    pub fn open(
        dataset: &Dataset,
        preprocess: Preprocess,
        graph: &Graph,
        what: &'static str,
        watch: &dyn Watch,
    ) -> Result<Self, FitError> {
        let classes = dataset.classes().len();
        if classes < 2 {
            return Err(FitError::Classes { found: classes });
        }
        watch.stage("reading", dataset.len());
        let bytes = AtomicUsize::new(0);
        let read = |index: usize| {
            watch.tick(1);
            let sample = dataset.sample(index)?;
            let len = match &sample.content {
                Content::Picture(picture) => picture.rgb().len(),
                Content::Tensor(tensor) => tensor.values().len() * size_of::<f32>(),
            };
            let held = bytes.fetch_add(len, Ordering::Relaxed) + len <= Self::MAX_HELD_BYTES;
            Ok::<_, DataError>(held.then_some(sample))
        };
        let read: Vec<Result<Option<Sample>, DataError>> =
            (0..dataset.len()).into_par_iter().map(read).collect();
        let (mut places, mut held, mut unreadable) = (Vec::new(), Some(Vec::new()), Vec::new());
        for (index, outcome) in read.into_iter().enumerate() {
            match outcome {
                Ok(sample) => {
                    places.push(index);
                    held = held.zip(sample).map(|(mut held, sample)| {
                        held.push(sample);
                        held
                    });
                }
                Err(error) => unreadable.push(error),
            }
        }
        let dataset = dataset.keep(places);
        let mut labels = Vec::with_capacity(dataset.len());
        let mut counts = vec![0_usize; classes];
        for index in 0..dataset.len() {
            let label = dataset.label(index).filter(|&label| label < classes);
            let Some(label) = label else {
                return Err(FitError::NoLabel { sample: dataset.sample(index)?.name });
            };
            labels.push(label);
            counts[label] += 1;
        }
        if let Some(empty) = counts.iter().position(|&count| count == 0) {
            return Err(FitError::EmptyClass { class: dataset.classes()[empty].clone(), what });
        }
        let (shape, digest) = (graph.input_shape(), dataset.digest()?);
        Ok(Self { dataset, labels, held, preprocess, shape, digest, unreadable })
    }

    /// What could not be read.
    #[must_use]
    pub fn unreadable(&self) -> &[DataError] {
        &self.unreadable
    }

    /// The number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples; never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The label of every sample.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The names of the classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        self.dataset.classes()
    }

    /// How pictures become tensors.
    #[must_use]
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// What the samples are known by; see [`Dataset::digest`].
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Up to `most` samples, spread evenly, as tensors.
    pub(super) fn spread(&self, most: usize) -> Result<Vec<Vec<f32>>, FitError> {
        let step = self.len().div_ceil(most).max(1);
        let places: Vec<usize> = (0..self.len()).step_by(step).collect();
        places.into_par_iter().map(|place| self.tensor(place, Variant::Plain)).collect()
    }

    /// What the input can be, where that is known: of pictures.
    pub(super) fn input_range(&self) -> Option<(f32, f32)> {
        let read;
        let sample = match &self.held {
            Some(held) => held.first(),
            None => {
                read = self.dataset.sample(0).ok();
                read.as_ref()
            }
        };
        matches!(sample?.content, Content::Picture(_)).then(|| detect::range(&self.preprocess))
    }

    /// The samples with these places, changed, one after the other: `[places, H, W, C]`.
    pub(super) fn tensors(&self, places: &[usize], variant: Variant) -> Result<Vec<f32>, FitError> {
        let rows: Result<Vec<Vec<f32>>, FitError> =
            places.into_par_iter().map(|&place| self.tensor(place, variant)).collect();
        Ok(rows?.concat())
    }

    fn tensor(&self, place: usize, variant: Variant) -> Result<Vec<f32>, FitError> {
        let read;
        let sample = match &self.held {
            Some(held) => &held[place],
            None => {
                read = self.dataset.sample(place)?;
                &read
            }
        };
        let extent = self.shape.extent();
        let side = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let size = (side(extent.height), side(extent.width));
        let tensor = match &sample.content {
            Content::Picture(picture) => {
                // Changes are made to what a picture shows, whatever its bytes are.
                let (rule, picture) = &self.preprocess.unsigned(picture);
                let draw = |seed, epoch| Draw { seed, epoch, index: place as u64 };
                let changed = match variant {
                    Variant::Plain => None,
                    Variant::Epoch(augment, ..) | Variant::View(augment, ..)
                        if augment.is_none() =>
                    {
                        None
                    }
                    Variant::Epoch(augment, seed, epoch) => {
                        Some(augment.apply(picture, rule, size, draw(seed, epoch)))
                    }
                    Variant::View(augment, seed, view) => {
                        Some(augment.view(picture, rule, size, view, draw(seed, 0)))
                    }
                };
                rule.tensor_f32(changed.as_ref().unwrap_or(picture), size.0, size.1)
            }
            Content::Tensor(tensor) => match tensor.values() {
                Values::F32(values) => values.clone(),
                _ => Vec::new(),
            },
        };
        let expected = self.shape.elements();
        if tensor.len() != expected {
            let (sample, found) = (sample.name.clone(), tensor.len());
            return Err(FitError::Input { sample, expected, found });
        }
        Ok(tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::write_atomic;
    use crate::graph::GraphBuilder;
    use crate::preprocess::{Pixels, Scaling};
    use crate::testing::TempDir;

    /// A picture of int8 bytes is the same picture to every augmentation.
    #[test]
    fn signed_pictures_are_changed_as_unsigned_ones() {
        let dir = TempDir::new("signed");
        let picture = |turn: u8| {
            let rgb: Vec<u8> = (0..10 * 8 * 3_u8).map(|i| i.wrapping_mul(7) ^ turn).collect();
            let mut png = Vec::new();
            let encoder = image::codecs::png::PngEncoder::new(&mut png);
            image::ImageEncoder::write_image(encoder, &rgb, 10, 8, image::ColorType::Rgb8.into())
                .unwrap();
            png
        };
        for (set, turn) in [("unsigned", 0), ("signed", 0x80)] {
            for class in ["a", "b"] {
                let folder = dir.path().join(set).join(class);
                std::fs::create_dir_all(&folder).unwrap();
                write_atomic(folder.join("0.png"), &picture(turn)).unwrap();
            }
        }
        let mut builder = GraphBuilder::new("g");
        let input = builder.input("in", Shape::Map { height: 8, width: 8, channels: 3 }).unwrap();
        let graph = builder.finish(input).unwrap();
        let tensors = |set: &str, pixels| {
            let data = Dataset::open(dir.path().join(set), None).unwrap();
            let rule = Preprocess { pixels, ..Preprocess::new(Scaling::Unit) };
            let pictures = Pictures::open(&data, rule, &graph, "training", &()).unwrap();
            let augment = "flip,crop,colour,cutout".parse().unwrap();
            [Variant::Plain, Variant::Epoch(augment, 1, 2), Variant::View(augment, 1, 1)]
                .map(|variant| pictures.tensors(&[0, 1], variant).unwrap())
        };
        assert_eq!(tensors("signed", Pixels::Signed), tensors("unsigned", Pixels::Unsigned));
    }
}
