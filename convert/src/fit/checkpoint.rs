//! The state of a run after an epoch: one file, whole or not there, from which the run goes on to
//! the same bits.
//!
//! Everything random follows from the seed and the epoch, so neither is kept twice. A file is a
//! safetensors file: weights under `now/`, `best/` and, from the second phase on, `start/`, the
//! optimizer's vectors under `optimizer/`, the rest as JSON in the metadata.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::run_log::Epoch;
use super::{FitError, Rounding};
use crate::files::{read_bounded, write_atomic};
use crate::graph::Graph;

/// Names and values, in the order of the graph.
pub(super) type Weights = Vec<(String, Vec<f32>)>;

/// A run after an epoch.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) state: State,
    /// Of the part that is trained.
    pub(super) now: Weights,
    pub(super) best: Weights,
    /// Of the whole network when the phase began, unless it is the first.
    pub(super) start: Option<Weights>,
    pub(super) optimizer: Weights,
}

/// What is not vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// What the recipe, the base and the data are known by.
    pub(super) run: String,
    pub(super) phase: usize,
    /// Epochs of the phase that are done.
    pub(super) epochs: usize,
    pub(super) best_loss: f64,
    pub(super) best_accuracy: f64,
    /// Of the weights under `best/`.
    pub(super) kept_loss: f64,
    /// Epochs since loss or accuracy was better than ever.
    pub(super) waited: usize,
    pub(super) history: Vec<Epoch>,
    /// Of the quantization-aware phase, once it has begun.
    pub(super) rounding: Option<Rounding>,
    /// Names under `optimizer/`, in their order.
    optimizer: Vec<String>,
}

impl State {
    pub(super) fn new(run: String) -> Self {
        Self {
            run,
            phase: 0,
            epochs: 0,
            best_loss: f64::MAX,
            best_accuracy: -1.0,
            kept_loss: f64::MAX,
            waited: 0,
            history: Vec::new(),
            rounding: None,
            optimizer: Vec::new(),
        }
    }
}

/// Every weight of a graph.
pub(super) fn weights_of(graph: &Graph) -> Weights {
    graph.weights().map(|weight| (weight.name(), weight.param.data.clone())).collect()
}

/// The graph with these weights, which must be its own.
pub(super) fn with_weights(graph: &Graph, weights: &Weights) -> Result<Graph, Fault> {
    let (mut builder, nodes, output) = graph.clone().into_builder();
    let mut given = weights.iter();
    for mut node in nodes {
        let name = node.name.clone();
        for (role, param) in node.op.weights_mut() {
            let name = format!("{name}/{}", role.name());
            match given.next() {
                Some((found, data)) if *found == name && data.len() == param.len() => {
                    param.data.clone_from(data);
                    param.quantized = None;
                }
                _ => return Err(Fault(format!("{name} is missing or has another size"))),
            }
        }
        builder.push(node).map_err(|error| Fault(error.to_string()))?;
    }
    builder.finish(output).map_err(|error| Fault(error.to_string()))
}

/// What is wrong with a checkpoint.
#[derive(Debug)]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn at(self, path: &Path) -> FitError {
        FitError::Checkpoint { path: path.into(), fault: self.0 }
    }
}

/// The checkpoint of a trained network that is not done: `x.safetensors` has
/// `x.checkpoint.safetensors`.
#[must_use]
pub fn checkpoint_path(output: &Path) -> PathBuf {
    output.with_extension("checkpoint.safetensors")
}

impl Checkpoint {
    pub(super) fn write(&self, path: &Path) -> Result<(), FitError> {
        let state = State {
            optimizer: self.optimizer.iter().map(|(name, _)| name.clone()).collect(),
            ..self.state.clone()
        };
        let empty = Vec::new();
        let groups = [
            (NOW, &self.now),
            (BEST, &self.best),
            (START, self.start.as_ref().unwrap_or(&empty)),
            (OPTIMIZER, &self.optimizer),
        ];
        let fault = |error: &dyn core::fmt::Display| Fault(error.to_string()).at(path);
        let mut tensors = Vec::new();
        for (group, weights) in groups {
            for (name, values) in weights {
                let bytes = bytemuck::cast_slice(values);
                let view = TensorView::new(Dtype::F32, vec![values.len()], bytes);
                tensors.push((format!("{group}{name}"), view.map_err(|e| fault(&e))?));
            }
        }
        let json = serde_json::to_string(&state).map_err(|e| fault(&e))?;
        let metadata = core::iter::once((STATE.to_owned(), json)).collect();
        let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| fault(&e))?;
        Ok(write_atomic(path, &bytes)?)
    }

    /// Reads a checkpoint; `now` and `trained` are the names of the weights that it must have.
    pub(super) fn read(path: &Path) -> Result<Stored, FitError> {
        let bytes = read_bounded(path, MAX_BYTES)?;
        let fault = |error: &dyn core::fmt::Display| Fault(error.to_string()).at(path);
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| fault(&e))?;
        let json = metadata.metadata().as_ref().and_then(|map| map.get(STATE));
        let json = json.ok_or_else(|| fault(&"it is no checkpoint"))?;
        let state: State = serde_json::from_str(json).map_err(|e| fault(&e))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| fault(&e))?;
        let mut values = HashMap::new();
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(fault(&format_args!("{name} is not f32")));
            }
            let floats: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
            values.insert(name.to_owned(), floats);
        }
        Ok(Stored { state, values })
    }
}

/// A checkpoint as it was read.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) state: State,
    values: HashMap<String, Vec<f32>>,
}

impl Stored {
    /// The weights of `graph` that were kept under `group`.
    pub(super) fn weights(&mut self, group: &str, graph: &Graph) -> Result<Weights, Fault> {
        let names: Vec<String> = graph.weights().map(|weight| weight.name()).collect();
        self.take(group, names)
    }

    /// What the optimizer remembers.
    pub(super) fn optimizer(&mut self) -> Result<Weights, Fault> {
        let names = core::mem::take(&mut self.state.optimizer);
        self.take(OPTIMIZER, names)
    }

    fn take(&mut self, group: &str, names: Vec<String>) -> Result<Weights, Fault> {
        let one = |name: String| match self.values.remove(&format!("{group}{name}")) {
            Some(values) => Ok((name, values)),
            None => Err(Fault(format!("{group}{name} is missing"))),
        };
        names.into_iter().map(one).collect()
    }
}

pub(super) const NOW: &str = "now/";
pub(super) const BEST: &str = "best/";
pub(super) const START: &str = "start/";
const OPTIMIZER: &str = "optimizer/";
const STATE: &str = "state";
/// Five times the largest network.
const MAX_BYTES: u64 = 8 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::split::tests::residual;
    use crate::testing::TempDir;

    #[test]
    fn a_checkpoint_comes_back_and_others_are_refused() {
        let dir = TempDir::new("checkpoint");
        let path = checkpoint_path(&dir.path().join("x.safetensors"));
        assert!(path.ends_with("x.checkpoint.safetensors"));
        let graph = residual();
        let now = weights_of(&graph);
        let halved: Weights = now
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(|v| v / 2.0).collect()))
            .collect();
        let optimizer = vec![("iterations".to_owned(), vec![0.0, 7.0])];
        let state = State { epochs: 3, ..State::new("run".into()) };
        let checkpoint = Checkpoint {
            state,
            now: now.clone(),
            best: halved.clone(),
            start: None,
            optimizer: optimizer.clone(),
        };
        checkpoint.write(&path).unwrap();
        let mut stored = Checkpoint::read(&path).unwrap();
        assert_eq!(stored.state.epochs, 3);
        assert_eq!(stored.weights(NOW, &graph).unwrap(), now);
        assert_eq!(stored.optimizer().unwrap(), optimizer);
        let best = stored.weights(BEST, &graph).unwrap();
        assert_eq!(weights_of(&with_weights(&graph, &best).unwrap()), halved);
        assert!(stored.weights(START, &graph).is_err());
        assert!(with_weights(&graph, &best[1..].to_vec()).is_err());

        let bytes = std::fs::read(&path).unwrap();
        for broken in [&bytes[..bytes.len() / 2], b"", &[0xff; 64]] {
            std::fs::write(&path, broken).unwrap();
            let error = Checkpoint::read(&path).unwrap_err().to_string();
            assert!(error.contains("without --resume"), "{error}");
        }
    }
}
