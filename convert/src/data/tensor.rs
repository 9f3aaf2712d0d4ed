//! `.npy` files: pictures, or tensors ready for the network's input.

use std::path::{Path, PathBuf};

use super::{Content, DataError, Source};
use crate::files::sha256_hex;
use crate::npy::{Array, Dtype, NpyError, Reader, Values};
use crate::picture::Picture;

/// An array whose first axis is the samples.
#[derive(Debug)]
pub(super) struct Tensor {
    path: PathBuf,
    reader: Reader,
    kind: Kind,
    labels: Option<Vec<usize>>,
}

#[derive(Debug)]
enum Kind {
    /// u8: height, width, channels (1 or 3).
    Pictures(u32, u32, usize),
    /// i8 or f32.
    Ready,
}

impl Tensor {
    pub(super) fn len(&self) -> usize {
        self.reader.len()
    }

    pub(super) fn name(&self, index: usize) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{file}[{index}]")
    }

    pub(super) fn label(&self, index: usize) -> Option<usize> {
        self.labels.as_ref().map(|labels| labels[index])
    }

    pub(super) fn content(&self, index: usize) -> Result<Content, DataError> {
        let row = self.reader.rows(index..index + 1).map_err(|source| npy(&self.path, source))?;
        let Kind::Pictures(height, width, channels) = self.kind else {
            return Ok(Content::Tensor(row));
        };
        let Values::U8(pixels) = row.into_values() else { return Err(self.no_picture()) };
        let rgb = match channels {
            1 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
            _ => pixels,
        };
        let picture = Picture::new(width, height, rgb).ok_or_else(|| self.no_picture())?;
        Ok(Content::Picture(picture))
    }

    /// Of the bytes of a sample.
    pub(super) fn digest(&self, index: usize) -> Result<String, DataError> {
        let row = self.reader.rows(index..index + 1).map_err(|source| npy(&self.path, source))?;
        Ok(match row.values() {
            Values::U8(values) => sha256_hex(values),
            Values::I8(values) => sha256_hex(bytemuck::cast_slice(values)),
            Values::F32(values) => sha256_hex(bytemuck::cast_slice(values)),
            _ => return Err(self.no_picture()),
        })
    }

    fn no_picture(&self) -> DataError {
        DataError::content(&self.path, format!("{:?} is no picture", self.reader.shape()))
    }
}

/// Opens an array, and its labels if they lie beside it.
pub(super) fn open(path: &Path) -> Result<(Source, Vec<String>), DataError> {
    let reader = Reader::open(path).map_err(|source| npy(path, source))?;
    let shape = reader.shape();
    let kind = match (reader.dtype(), shape) {
        (Dtype::I8 | Dtype::F32, [_, ..]) => Some(Kind::Ready),
        (Dtype::U8, &[_, height, width]) => pictures(height, width, 1),
        (Dtype::U8, &[_, height, width, channels @ (1 | 3)]) => pictures(height, width, channels),
        _ => None,
    };
    let Some(kind) = kind.filter(|_| !reader.is_empty()) else {
        let fault = format!(
            "{} {shape:?} is no data set; expected pictures (u8 [N, H, W] or [N, H, W, 1 or 3]) or \
             tensors (i8 or f32 [N, ...])",
            reader.dtype().descr()
        );
        return Err(DataError::content(path, fault));
    };
    let labels = labels_beside(path).map(|file| read_labels(&file, reader.len())).transpose()?;
    let classes = labels.iter().flatten().max().map_or(0, |&last| last + 1);
    let classes = (0..classes).map(|label| label.to_string()).collect();
    Ok((Source::Tensor(Tensor { path: path.into(), reader, kind, labels }), classes))
}

fn pictures(height: usize, width: usize, channels: usize) -> Option<Kind> {
    let side = |size: usize| u32::try_from(size).ok().filter(|&size| size != 0);
    Some(Kind::Pictures(side(height)?, side(width)?, channels))
}

/// `X.labels.npy` beside `X.npy`, else `labels.npy`.
fn labels_beside(path: &Path) -> Option<PathBuf> {
    let named = path.with_extension("labels.npy");
    let common = path.with_file_name("labels.npy");
    [named, common].into_iter().find(|file| file != path && file.is_file())
}

fn read_labels(path: &Path, samples: usize) -> Result<Vec<usize>, DataError> {
    let array = Array::read(path).map_err(|source| npy(path, source))?;
    if array.shape() != [samples] {
        let fault = format!("shape {:?}; expected [{samples}], a label a sample", array.shape());
        return Err(DataError::content(path, fault));
    }
    let labels = array.values().to_indices();
    labels.filter(|labels| labels.iter().all(|&label| label <= MAX_LABEL)).ok_or_else(|| {
        DataError::content(path, format!("labels must be integers from 0 to {MAX_LABEL}"))
    })
}

fn npy(path: &Path, source: NpyError) -> DataError {
    DataError::Npy { path: path.into(), source }
}

/// More classes than any classifier has; bounds the list of their names.
const MAX_LABEL: usize = 65_535;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::testing::TempDir;

    #[test]
    fn u8_arrays_are_pictures() {
        let dir = TempDir::new("tensor");
        let path = dir.path().join("x.npy");
        let pixels: Vec<u8> = (0..24).collect();
        let picture = |shape: &[usize]| {
            Array::new(shape, pixels.clone()).unwrap().write(&path).unwrap();
            let sample = Dataset::open(&path, None).unwrap().sample(1).unwrap();
            assert_eq!((sample.name.as_str(), sample.label), ("x.npy[1]", None));
            let Content::Picture(picture) = sample.content else { panic!("not a picture") };
            picture
        };
        let colour = picture(&[2, 1, 4, 3]);
        assert_eq!((colour.height(), colour.width(), colour.rgb()), (1, 4, &pixels[12..]));
        for shape in [&[2, 3, 4][..], &[2, 3, 4, 1]] {
            let grey = picture(shape);
            assert_eq!((grey.height(), grey.width()), (3, 4));
            assert_eq!(grey.rgb()[..6], [12, 12, 12, 13, 13, 13]);
        }
    }

    #[test]
    fn i8_and_f32_arrays_are_tensors_with_their_labels() {
        let dir = TempDir::new("tensor");
        let path = dir.path().join("x.npy");
        Array::new([2, 2], vec![0.5_f32, 1.5, 2.5, 3.5]).unwrap().write(&path).unwrap();
        let labels = |name: &str, labels: Vec<i64>| {
            Array::new([labels.len()], labels).unwrap().write(dir.path().join(name)).unwrap();
        };
        labels("labels.npy", vec![1, 0]);
        let set = Dataset::open(&path, None).unwrap();
        assert_eq!(set.classes(), ["0", "1"]);
        let sample = set.sample(0).unwrap();
        assert_eq!(sample.label, Some(1));
        let expected = Array::new([1, 2], vec![0.5_f32, 1.5]).unwrap();
        assert_eq!(sample.content, Content::Tensor(expected));
        // The file's own labels come before the folder's.
        labels("x.labels.npy", vec![2, 2]);
        assert_eq!(Dataset::open(&path, None).unwrap().label(0), Some(2));
        for wrong in [vec![1, 2, 3], vec![0, -1], vec![0, 1 << 40]] {
            labels("x.labels.npy", wrong);
            let error = Dataset::open(&path, None).unwrap_err().to_string();
            assert!(error.contains("x.labels.npy"), "{error}");
        }
    }

    #[test]
    fn other_arrays_are_refused_with_what_is_expected() {
        let dir = TempDir::new("tensor");
        let path = dir.path().join("x.npy");
        for array in [
            Array::new([2, 2, 2, 4], vec![0_u8; 32]),
            Array::new([4], vec![0_u8; 4]),
            Array::new([2, 2], vec![0_i64; 4]),
            Array::new([0, 2], Vec::<f32>::new()),
            Array::new([], vec![1.0_f32]),
            Array::new([1, 0, 5, 3], Vec::<u8>::new()),
        ] {
            array.unwrap().write(&path).unwrap();
            let error = Dataset::open(&path, None).unwrap_err().to_string();
            assert!(error.contains("x.npy") && error.contains("[N, H, W]"), "{error}");
        }
        std::fs::write(&path, b"junk").unwrap();
        assert!(matches!(Dataset::open(&path, None), Err(DataError::Npy { .. })));
    }
}
