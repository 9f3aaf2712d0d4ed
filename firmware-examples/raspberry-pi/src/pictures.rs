//! Picture files and folders of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use mote_convert::picture::Picture;

use crate::Frame;

/// Files in the order in which they were named; those of a folder by name, its own folders with it.
pub(crate) struct Pictures(std::vec::IntoIter<PathBuf>);

impl Pictures {
    pub(crate) fn find(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                let before = files.len();
                collect(path, &mut files)?;
                if files.len() == before {
                    bail!(
                        "no picture in {}; {} are looked for",
                        path.display(),
                        Picture::EXTENSIONS.join(", ")
                    );
                }
            } else {
                files.push(path.clone());
            }
        }
        Ok(Self(files.into_iter()))
    }
}

impl Iterator for Pictures {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let path = self.0.next()?;
        let picture = Picture::open(&path).map_err(anyhow::Error::from);
        Some(Frame { name: path.display().to_string(), picture })
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let entries = fs::read_dir(folder).with_context(cannot)?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.with_context(cannot)?;
        paths.push((entry.path(), entry.file_type().with_context(cannot)?));
    }
    paths.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (path, kind) in paths {
        if kind.is_dir() {
            collect(&path, files)?;
        } else if Picture::is_named(&path) {
            files.push(path);
        }
    }
    Ok(())
}
