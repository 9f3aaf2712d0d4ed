//! Folders of pictures: a folder a class, or a bare folder without labels.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{DataError, FileSample, Source};
use crate::files::FileError;
use crate::picture::Picture;

/// Opens `DIR/class/*.jpg`, `DIR/split/class/*.jpg` or `DIR/*.jpg`.
pub(super) fn open(path: &Path, split: Option<&str>) -> Result<(Source, Vec<String>), DataError> {
    let top = Listing::of(path)?;
    let Some(split) = split else { return open_listing(path, &top, None) };
    let found = split_folders(path, &top)?;
    if !found.iter().any(|name| name == split) {
        return Err(DataError::no_such_split(path, split, found));
    }
    // A class means the same label in every split, even in one that lacks some class.
    let mut classes = BTreeSet::new();
    for sibling in &found {
        classes.extend(Listing::of(&path.join(sibling))?.folders);
    }
    let path = path.join(split);
    open_listing(&path, &Listing::of(&path)?, Some(classes.into_iter().collect()))
}

/// The folders that are splits, that is, folders of class folders.
pub(super) fn splits(path: &Path) -> Result<Vec<String>, DataError> {
    split_folders(path, &Listing::of(path)?)
}

fn open_listing(
    path: &Path,
    listing: &Listing,
    classes: Option<Vec<String>>,
) -> Result<(Source, Vec<String>), DataError> {
    let mut files = Vec::new();
    match (listing.folders.as_slice(), listing.pictures.as_slice()) {
        ([], []) => return Err(DataError::NothingFound { path: path.into() }),
        ([], pictures) => {
            files.extend(pictures.iter().map(|name| FileSample {
                path: path.join(name),
                name: name.clone(),
                label: None,
            }));
            return Ok((Source::Files(files), Vec::new()));
        }
        (_, [picture, ..]) => {
            return Err(DataError::Mixed { path: path.into(), picture: picture.clone() });
        }
        (_, []) => {}
    }
    let classes = classes.unwrap_or_else(|| listing.folders.clone());
    for (label, class) in classes.iter().enumerate() {
        if !listing.folders.contains(class) {
            continue;
        }
        let folder = path.join(class);
        let inside = Listing::of(&folder)?;
        if inside.pictures.is_empty() {
            let found = split_folders(path, listing)?;
            return Err(if found.is_empty() {
                DataError::EmptyClass { path: folder }
            } else {
                DataError::SplitNeeded { path: path.into(), found }
            });
        }
        files.extend(inside.pictures.iter().map(|name| FileSample {
            path: folder.join(name),
            name: format!("{class}/{name}"),
            label: Some(label),
        }));
    }
    Ok((Source::Files(files), classes))
}

fn split_folders(path: &Path, listing: &Listing) -> Result<Vec<String>, DataError> {
    let mut found = Vec::new();
    for name in &listing.folders {
        let inside = Listing::of(&path.join(name))?;
        if inside.pictures.is_empty() && !inside.folders.is_empty() {
            found.push(name.clone());
        }
    }
    Ok(found)
}

/// What a folder holds, sorted by name; hidden files and files that are not pictures left out.
struct Listing {
    folders: Vec<String>,
    pictures: Vec<String>,
}

impl Listing {
    fn of(path: &Path) -> Result<Self, DataError> {
        let error = |source| FileError::new("list", path, source);
        let mut listing = Self { folders: Vec::new(), pictures: Vec::new() };
        for entry in fs::read_dir(path).map_err(error)? {
            let entry: PathBuf = entry.map_err(error)?.path();
            let Some(name) = entry.file_name().and_then(|name| name.to_str()) else {
                let fault = "the name is not UTF-8; rename it";
                return Err(DataError::content(&entry, fault));
            };
            if name.starts_with('.') {
                continue;
            }
            if entry.is_dir() {
                listing.folders.push(name.into());
            } else if Picture::is_named(&entry) {
                listing.pictures.push(name.into());
            }
        }
        listing.folders.sort_unstable();
        listing.pictures.sort_unstable();
        Ok(listing)
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{DataError, Dataset};
    use crate::files::write_atomic;
    use crate::testing::TempDir;

    /// Files whose content no test looks at.
    fn tree(files: &[&str]) -> TempDir {
        let dir = TempDir::new("folder");
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_atomic(&path, b"").unwrap();
        }
        dir
    }

    fn names(set: &Dataset) -> Vec<(String, Option<usize>)> {
        let crate::data::Source::Files(files) = &*set.source else { panic!("not files") };
        files.iter().map(|file| (file.name.clone(), file.label)).collect()
    }

    #[test]
    fn folders_are_classes_sorted_by_name() {
        let dir = tree(&["dog/2.jpg", "dog/10.JPEG", "cat/x.webp", "cat/note.txt", "cat/.hid.png"]);
        let set = Dataset::open(dir.path(), None).unwrap();
        assert_eq!(set.classes(), ["cat", "dog"]);
        let expected = [("cat/x.webp", 0), ("dog/10.JPEG", 1), ("dog/2.jpg", 1)];
        let expected = expected.map(|(name, label)| (name.to_owned(), Some(label)));
        assert_eq!(names(&set), expected);
    }

    #[test]
    fn splits_share_their_labels() {
        let dir = tree(&["train/a/1.png", "train/b/1.png", "train/c/1.png", "val/c/9.png"]);
        let val = Dataset::open(dir.path(), Some("val")).unwrap();
        assert_eq!(val.classes(), ["a", "b", "c"]);
        assert_eq!(names(&val), [("c/9.png".to_owned(), Some(2))]);
        let error = Dataset::open(dir.path(), None).unwrap_err();
        let DataError::SplitNeeded { found, .. } = error else { panic!("{error}") };
        assert_eq!(found, ["train", "val"]);
        let error = Dataset::open(dir.path(), Some("tset")).unwrap_err().to_string();
        assert!(error.contains("tset") && error.contains("train, val"), "{error}");
        assert_eq!(Dataset::open_for_calibration(dir.path(), None).unwrap().len(), 3);
        assert_eq!(Dataset::open_for_calibration(dir.path(), Some("val")).unwrap().len(), 1);
    }

    #[test]
    fn a_bare_folder_has_no_labels() {
        let dir = tree(&["b.png", "a.jpg", "readme.md"]);
        let set = Dataset::open(dir.path(), None).unwrap();
        assert!(set.classes().is_empty());
        assert_eq!(names(&set), [("a.jpg".to_owned(), None), ("b.png".to_owned(), None)]);
        assert_eq!(set.subset(1, 7).len(), 1);
        let error = Dataset::open(dir.path(), Some("val")).unwrap_err().to_string();
        assert!(error.contains("leave out --split"), "{error}");
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        let empty = tree(&["cat/1.png", "dog/note.txt"]);
        let error = Dataset::open(empty.path(), None).unwrap_err();
        assert!(matches!(&error, DataError::EmptyClass { path } if path.ends_with("dog")));
        let mixed = tree(&["cat/1.png", "stray.png"]);
        let error = Dataset::open(mixed.path(), None).unwrap_err();
        assert!(matches!(&error, DataError::Mixed { picture, .. } if picture == "stray.png"));
        let nothing = tree(&["readme.md"]);
        let error = Dataset::open(nothing.path(), None).unwrap_err();
        assert!(matches!(error, DataError::NothingFound { .. }));
    }
}
