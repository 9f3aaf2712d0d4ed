//! The HDF5 side: the network's JSON and the layers' weights.
//!
//! `hdf5-reader` is told how much it may allocate; everything else follows from the file's own length.

use core::fmt;
use std::collections::HashMap;

use hdf5_reader::dataset::Dataset;
use hdf5_reader::group::Group;
use hdf5_reader::{Attribute, Datatype, Hdf5File, OpenOptions};

use serde_json::Value;

use super::KerasError;
use super::numbered::{self, Numbered};
use crate::graph::MAX_ELEMENTS;

pub(super) struct Store {
    root: Group,
    weights: Group,
    /// Data sets by layer, as far as they were asked for.
    names: HashMap<String, Vec<String>>,
    /// Of Keras 3's own format: where each layer's data sets lie.
    numbered: Option<Numbered>,
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
        Ok(Self { root, weights, names: HashMap::new(), numbered: None, budget: limit as u64 })
    }

    /// The weights of a `.keras` archive, whose network `config` describes.
    pub(super) fn open_numbered(file: &[u8], config: &Value) -> Result<Self, KerasError> {
        let mut store = Self::open(file)?;
        store.numbered = Some(numbered::index(&store.root, config).map_err(damaged)?);
        Ok(store)
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
        let missing = || fault("is missing; save the full model again".to_owned());
        if let Some(numbered) = &self.numbered {
            let vars = numbered.get(&(group.map(str::to_owned), layer.to_owned()));
            let vars = vars.ok_or_else(missing)?;
            let (_, data_sets) = vars.member_names().map_err(|error| fault(error.to_string()))?;
            let place = roles.iter().find_map(|role| numbered::place(role, data_sets.len()));
            let place = place.filter(|&place| place < data_sets.len()).ok_or_else(missing)?;
            let data_set = vars.dataset(&place.to_string());
            let data_set = data_set.map_err(|error| fault(error.to_string()))?;
            return self.read(&data_set).map_err(fault);
        }
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
        let data_set = self.data_set(home, &name.ok_or_else(missing)?).map_err(fault)?;
        self.read(&data_set).map_err(fault)
    }

    /// Every layer's weights in Keras' order, of a file of weights only.
    pub(super) fn layers(&mut self) -> Result<Vec<(String, Vec<Tensor>)>, KerasError> {
        let mut layers = Vec::new();
        if let Ok(home) = self.root.group("layers") {
            let mut named: Vec<_> = numbered::named(&home).map_err(damaged)?.into_iter().collect();
            named.sort_by(|(one, _), (other, _)| one.cmp(other));
            for (layer, group) in named {
                let vars = group.group("vars").map_err(damaged)?;
                let (_, names) = vars.member_names().map_err(damaged)?;
                let data_sets = (0..names.len()).map(|place| vars.dataset(&place.to_string()));
                let data_sets = data_sets.collect::<Result<Vec<_>, _>>().map_err(damaged)?;
                layers.push((layer, data_sets));
            }
        } else {
            let (names, _) = self.weights.member_names().map_err(damaged)?;
            for layer in names {
                let names = self.weight_names(&layer).map_err(damaged)?;
                let data_sets = names.iter().map(|name| self.data_set(&layer, name));
                let data_sets = data_sets.collect::<Result<Vec<_>, _>>();
                layers.push((layer, data_sets.map_err(KerasError::Hdf5)?));
            }
        }
        // Normalization counts its samples.
        let is_float =
            |data_set: &&Dataset| matches!(data_set.dtype(), Datatype::FloatingPoint { .. });
        let read = |(layer, data_sets): (String, Vec<Dataset>)| {
            let tensors = data_sets.iter().filter(is_float).map(|data_set| self.read(data_set));
            match tensors.collect::<Result<Vec<_>, _>>() {
                Ok(tensors) => Ok((layer, tensors)),
                Err(what) => Err(KerasError::Weight { layer, weight: "any".to_owned(), what }),
            }
        };
        layers.into_iter().map(read).collect()
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

    fn data_set(&self, layer: &str, name: &str) -> Result<Dataset, String> {
        let path = format!("{layer}/{name}");
        let (group, last) = path.rsplit_once('/').unwrap_or(("", &path));
        let data_set = self.group(group).and_then(|group| group.dataset(last));
        data_set.map_err(|error| error.to_string())
    }

    fn read(&mut self, data_set: &Dataset) -> Result<Tensor, String> {
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
