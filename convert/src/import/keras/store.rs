//! The HDF5 side: the network's JSON and the layers' weights.
//!
//! `hdf5-reader` is told how much it may allocate; everything else follows from the file's own length.

use core::fmt;
use std::collections::HashMap;

use hdf5_reader::group::Group;
use hdf5_reader::{Attribute, Datatype, Hdf5File, OpenOptions};

use super::KerasError;
use crate::graph::MAX_ELEMENTS;

pub(super) struct Store {
    root: Group,
    weights: Group,
    /// Data sets by layer, as far as they were asked for.
    names: HashMap<String, Vec<String>>,
    /// Bytes that may still be read: data sets may share bytes, but not without end.
    budget: u64,
}

/// A tensor as Keras stores it.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f32>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl Store {
    pub(super) fn open(file: &[u8]) -> Result<Self, KerasError> {
        let limit = file.len().saturating_mul(EXPANSION).min(4 * MAX_ELEMENTS);
        let options = OpenOptions {
            chunk_cache_bytes: 0,
            max_chunk_bytes: limit,
            max_read_bytes: limit,
            max_object_header_bytes: file.len(),
            ..OpenOptions::default()
        };
        let file = Hdf5File::from_bytes_with_options(file, options).map_err(damaged)?;
        let root = file.root_group().map_err(damaged)?;
        let weights = root.group("model_weights");
        let weights = weights.or_else(|_| file.root_group()).map_err(damaged)?;
        Ok(Self { root, weights, names: HashMap::new(), budget: limit as u64 })
    }

    /// The network's JSON; `None` in a file of weights.
    pub(super) fn model_config(&self) -> Result<Option<String>, KerasError> {
        let attributes = self.root.attributes().map_err(damaged)?;
        let config = attributes.iter().find(|attribute| attribute.name == "model_config");
        config.map(|config| config.read_string().map_err(damaged)).transpose()
    }

    /// The weight of a layer, under the first of the names `roles` that is there; `group` is the outermost nested
    /// model that it lies in.
    pub(super) fn weight(
        &mut self,
        group: Option<&str>,
        layer: &str,
        roles: &[&str],
    ) -> Result<Tensor, KerasError> {
        let fault = |what: String| KerasError::Weight {
            layer: layer.to_owned(),
            weight: roles.join(" or "),
            what,
        };
        let home = group.unwrap_or(layer);
        if !self.names.contains_key(home) {
            let names = self.weight_names(home).map_err(|error| fault(error.to_string()))?;
            self.names.insert(home.to_owned(), names);
        }
        let is_it = |name: &str, role: &str| {
            let (path, last) = name.rsplit_once('/').unwrap_or(("", name));
            let owner = path.rsplit('/').next().unwrap_or(path);
            let last = last.split(':').next().unwrap_or(last);
            last == role && (group.is_none() || owner == layer)
        };
        let names = &self.names[home];
        let find = |role: &&str| names.iter().find(|name| is_it(name, role));
        let name = roles.iter().find_map(find).cloned();
        let Some(name) = name else {
            return Err(fault("is missing; save the full model again".to_owned()));
        };
        self.read(home, &name).map_err(fault)
    }

    fn weight_names(&self, layer: &str) -> hdf5_reader::error::Result<Vec<String>> {
        let attributes = self.group(layer)?.attributes()?;
        let find = |name: &str| attributes.iter().find(|attribute| attribute.name == name);
        if let Some(names) = find("weight_names") {
            return strings(names);
        }
        // Lists beyond 64 KiB are split into weight_names0, weight_names1, ...
        let mut names = Vec::new();
        for part in 0..attributes.len() {
            match find(&format!("weight_names{part}")) {
                Some(part) => names.append(&mut strings(part)?),
                None => break,
            }
        }
        Ok(names)
    }

    fn group(&self, path: &str) -> hdf5_reader::error::Result<Group> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let first = parts.next().unwrap_or_default();
        parts.try_fold(self.weights.group(first)?, |group, part| group.group(part))
    }

    fn read(&mut self, layer: &str, name: &str) -> Result<Tensor, String> {
        let path = format!("{layer}/{name}");
        let (group, last) = path.rsplit_once('/').unwrap_or(("", &path));
        let data_set = self.group(group).and_then(|group| group.dataset(last));
        let data_set = data_set.map_err(|error| error.to_string())?;
        let bytes = data_set.raw_byte_len().ok().and_then(|bytes| u64::try_from(bytes).ok());
        let left = bytes.and_then(|bytes| self.budget.checked_sub(bytes));
        self.budget = left.ok_or("is larger than the file can hold; the file is damaged")?;
        let shape = data_set.shape().iter().map(|&dim| usize::try_from(dim));
        let shape = shape.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let data = match data_set.dtype() {
            Datatype::FloatingPoint { size: 4, .. } => {
                data_set.read_array::<f32>().map(|array| array.into_iter().collect())
            }
            #[expect(clippy::cast_possible_truncation, reason = "Keras computes in f32")]
            Datatype::FloatingPoint { size: 8, .. } => data_set
                .read_array::<f64>()
                .map(|array| array.into_iter().map(|value| value as f32).collect()),
            other => {
                return Err(format!("is stored as {other:?}; float32 and float64 are supported"));
            }
        };
        Ok(Tensor { shape, data: data.map_err(|error| error.to_string())? })
    }
}

fn strings(attribute: &Attribute) -> hdf5_reader::error::Result<Vec<String>> {
    // An empty list is stored as no floats.
    match attribute.num_elements()? {
        0 => Ok(Vec::new()),
        _ => attribute.read_strings(),
    }
}

fn damaged(error: hdf5_reader::error::Error) -> KerasError {
    KerasError::Hdf5(error.to_string())
}

/// How much larger than the file its contents may be: weights hardly compress.
const EXPANSION: usize = 8;
