//! Small pictures of one size, packed one after the other in memory.

use std::path::Path;

use super::DataError;
use crate::picture::Picture;

/// What a packed data set holds: the size of its pictures and its classes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Width and height.
    pub(super) side: u32,
    /// 3, or 1 for grey.
    pub(super) channels: usize,
    /// The classes in the order of the labels.
    pub(super) classes: &'static [&'static str],
}

/// The pictures and their labels.
#[derive(Debug)]
pub(super) struct Stack {
    form: Form,
    split: String,
    /// `[N, side, side, channels]`.
    pub(super) pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Form {
    /// Bytes of a picture.
    pub(super) const fn len(&self) -> usize {
        (self.side * self.side) as usize * self.channels
    }
}

impl Stack {
    /// Pairs pixels with labels; `path` is the file that is blamed.
    pub(super) fn new(
        path: &Path,
        form: Form,
        split: &str,
        pixels: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let pictures = pixels.len() / form.len();
        if pictures != labels.len() {
            let fault = format!("{} labels for {pictures} pictures of {split}", labels.len());
            return Err(DataError::content(path, fault));
        }
        let last = form.classes.len() - 1;
        if let Some(wrong) = labels.iter().find(|&&label| usize::from(label) > last) {
            let fault = format!("label {wrong}; this data set has 0 to {last}");
            return Err(DataError::content(path, fault));
        }
        Ok(Self { form, split: split.into(), pixels, labels })
    }

    pub(super) fn classes(&self) -> Vec<String> {
        self.form.classes.iter().map(|&class| class.into()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn name(&self, index: usize) -> String {
        format!("{}/{index:05}", self.split)
    }

    pub(super) fn label(&self, index: usize) -> usize {
        self.labels[index].into()
    }

    /// The bytes of a picture.
    pub(super) fn bytes(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.form.len()..][..self.form.len()]
    }

    pub(super) fn picture(&self, index: usize) -> Picture {
        let bytes = self.bytes(index);
        let rgb = match self.form.channels {
            1 => bytes.iter().flat_map(|&grey| [grey; 3]).collect(),
            _ => bytes.into(),
        };
        Picture::new(self.form.side, self.form.side, rgb).expect("side x side pixels")
    }
}
