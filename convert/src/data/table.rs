//! Tables of labels: `labels.csv` with the columns `file`, `label` and/or `class`, and optionally
//! `split` and `name`. Other columns are ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{DataError, FileSample, Source};
use crate::files::read_bounded;

/// Opens a table; files are named relative to its folder.
pub(super) fn open(path: &Path, split: Option<&str>) -> Result<(Source, Vec<String>), DataError> {
    let rows = read(path)?;
    if rows.is_empty() {
        return Err(fault(path, 1, "no rows below the header"));
    }
    let classes = classes(path, &rows)?;
    let labels: BTreeMap<&str, usize> =
        classes.iter().enumerate().map(|(label, class)| (class.as_str(), label)).collect();
    let folder = path.parent().unwrap_or(Path::new(""));
    let chosen = rows.iter().filter(|row| split.is_none() || row.split.as_deref() == split);
    let files: Vec<_> = chosen
        .map(|row| FileSample {
            path: folder.join(&row.file),
            name: row.file.clone(),
            label: row.label.or_else(|| labels.get(row.class.as_deref()?).copied()),
        })
        .collect();
    match split {
        Some(split) if files.is_empty() => {
            Err(DataError::no_such_split(path, split, split_names(&rows)))
        }
        _ => Ok((Source::Files(files), classes)),
    }
}

/// The names in the column `split`.
pub(super) fn splits(path: &Path) -> Result<Vec<String>, DataError> {
    Ok(split_names(&read(path)?).into_iter().map(String::from).collect())
}

struct Row {
    line: u64,
    file: String,
    label: Option<usize>,
    class: Option<String>,
    split: Option<String>,
}

fn read(path: &Path) -> Result<Vec<Row>, DataError> {
    let bytes = read_bounded(path, MAX_TABLE_BYTES)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        fault(path, line, error.to_string())
    };
    let header = reader.headers().map_err(broken)?.clone();
    let column = |name: &str| header.iter().position(|found| found.eq_ignore_ascii_case(name));
    let (file, label, split) = (column("file"), column("label"), column("split"));
    // Beside a number, either column is the class's name; `name` is the one meant for it.
    let class = if label.is_some() { column("name").or(column("class")) } else { column("class") };
    let (Some(file), true) = (file, label.is_some() || class.is_some()) else {
        let found = header.iter().collect::<Vec<_>>().join(", ");
        let what = format!("expected the columns file and label or class, found: {found}");
        return Err(fault(path, 1, what));
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(1, csv::Position::line);
        let text = |column: Option<usize>| {
            column.and_then(|column| record.get(column)).filter(|text| !text.is_empty())
        };
        let missing = |name: &str| fault(path, line, format!("{name} is empty"));
        let file = text(Some(file)).ok_or_else(|| missing("file"))?;
        let label = match (label, text(label)) {
            (None, _) => None,
            (_, None) => return Err(missing("label")),
            (_, Some(text)) => {
                let number = text.parse().ok().filter(|&label: &usize| label <= MAX_LABEL);
                let what = || format!("label {text:?} is not a number from 0 to {MAX_LABEL}");
                Some(number.ok_or_else(|| fault(path, line, what()))?)
            }
        };
        let class = text(class).map(String::from);
        if label.is_none() && class.is_none() {
            return Err(missing("class"));
        }
        rows.push(Row {
            line,
            file: file.into(),
            label,
            class,
            split: text(split).map(Into::into),
        });
    }
    Ok(rows)
}

/// The names by label: as the table tells, else the class names sorted.
fn classes(path: &Path, rows: &[Row]) -> Result<Vec<String>, DataError> {
    let Some(last) = rows.iter().filter_map(|row| row.label).max() else {
        let names: BTreeSet<_> = rows.iter().filter_map(|row| row.class.clone()).collect();
        return Ok(names.into_iter().collect());
    };
    let mut named: Vec<Option<&Row>> = vec![None; last + 1];
    for row in rows {
        let (Some(label), Some(class)) = (row.label, &row.class) else { continue };
        let Row { line, class: before, .. } = named[label].get_or_insert(row);
        if before.as_ref() != Some(class) {
            let before = before.as_deref().unwrap_or_default();
            let what = format!("label {label} is {class:?} here and {before:?} in line {line}");
            return Err(fault(path, row.line, what));
        }
    }
    let name = |(label, row): (usize, &Option<&Row>)| {
        row.and_then(|row| row.class.clone()).unwrap_or_else(|| label.to_string())
    };
    Ok(named.iter().enumerate().map(name).collect())
}

fn split_names(rows: &[Row]) -> BTreeSet<&str> {
    rows.iter().filter_map(|row| row.split.as_deref()).collect()
}

fn fault(path: &Path, line: u64, fault: impl Into<String>) -> DataError {
    DataError::Table { path: path.into(), line, fault: fault.into() }
}

/// A million rows.
const MAX_TABLE_BYTES: u64 = 128 << 20;
/// More classes than any classifier has; bounds the list of their names.
const MAX_LABEL: usize = 65_535;

#[cfg(test)]
mod tests {
    use crate::data::{DataError, Dataset, Source};
    use crate::files::write_atomic;
    use crate::testing::{TempDir, shared};

    fn open(table: &str, split: Option<&str>) -> Result<Dataset, DataError> {
        let dir = TempDir::new("table");
        write_atomic(dir.path().join("labels.csv"), table.as_bytes()).unwrap();
        Dataset::open(dir.path(), split)
    }

    fn rows(set: &Dataset) -> Vec<(&str, usize)> {
        let Source::Files(files) = &*set.source else { panic!("not files") };
        files.iter().map(|file| (file.name.as_str(), file.label.unwrap())).collect()
    }

    #[test]
    fn numbers_with_names_leave_gaps_numbered() {
        let table = "\u{feff}file,label,wnid,name\na.jpg,0,n1,tench\n\"b, c.jpg\",2,n2,shark\n";
        let set = open(table, None).unwrap();
        assert_eq!(set.classes(), ["tench", "1", "shark"]);
        assert_eq!(rows(&set), [("a.jpg", 0), ("b, c.jpg", 2)]);
    }

    #[test]
    fn names_alone_are_sorted_and_the_same_in_every_split() {
        let table = "Split,class,file\ntrain,dog,1.jpg\ntrain, cat ,2.jpg\nval,dog,3.jpg\n";
        let val = open(table, Some("val")).unwrap();
        assert_eq!(val.classes(), ["cat", "dog"]);
        assert_eq!(rows(&val), [("3.jpg", 1)]);
        assert_eq!(open(table, None).unwrap().len(), 3);
        let error = open(table, Some("test")).unwrap_err().to_string();
        assert!(error.contains("train, val"), "{error}");
        assert!(matches!(open("file,label\na,1\n", Some("x")), Err(DataError::NoSuchSplit { .. })));
    }

    #[test]
    fn faults_name_the_line() {
        for (table, line, words) in [
            ("", 1, "expected the columns"),
            ("file,labels\na,1\n", 1, "found: file, labels"),
            ("label\n1\n", 1, "expected the columns file"),
            ("file,label\n", 1, "no rows"),
            ("file,label\na,1\nb,-1\n", 3, "\"-1\" is not a number"),
            ("file,label\na,99999999999999999999\n", 2, "0 to 65535"),
            ("file,label\na,\n", 2, "label is empty"),
            ("file,label\n,1\n", 2, "file is empty"),
            ("file,class\na,\n", 2, "class is empty"),
            ("file,label\na,1,2,3\n", 2, "fields"),
            ("file,label,name\na,1,cat\nb,1,dog\n", 3, "\"cat\" in line 2"),
        ] {
            let error = open(table, None).unwrap_err();
            let text = error.to_string();
            let DataError::Table { line: found, .. } = error else { panic!("{text}") };
            assert_eq!(found, line, "{text}");
            assert!(text.contains("labels.csv") && text.contains(words), "{text}");
        }
        assert!(open("file,label\na,\"1\n\u{0}", None).is_err());
    }

    #[test]
    fn the_photo_sets_open() {
        if let Some(path) = shared("data/imagenet_dev500") {
            let set = Dataset::open(path, None).unwrap();
            assert_eq!((set.len(), set.classes().len()), (500, 999));
            assert_eq!(set.classes()[..2], ["tench", "1"]);
            let sample = set.sample(499).unwrap();
            assert_eq!(sample.label, Some(998));
        }
        for (name, classes, train, val) in [("flowers5", 5, 500, 200), ("catsdogs", 2, 600, 200)] {
            let Some(path) = shared("data/transfer").map(|path| path.join(name)) else { return };
            let split = |split| Dataset::open(&path, Some(split)).unwrap();
            assert_eq!((split("train").len(), split("val").len()), (train, val));
            assert_eq!(split("val").classes().len(), classes);
            assert_eq!(Dataset::open_for_calibration(&path, None).unwrap().len(), train);
        }
    }
}
