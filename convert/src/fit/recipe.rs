//! What is trained and how: all that a run depends on, besides the network and the data.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Augment, FitError, Head};
use crate::graph::{Graph, NodeId, Op};
use crate::train::{Optimizer, Schedule};

/// Which layers learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Strategy {
    /// The classifier; the base is frozen.
    Head,
    /// The classifier and the base from a layer on.
    Partial(Start),
    /// Everything.
    All,
}

/// Where a partial training begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The last third of the base's convolutions and dense layers.
    LastThird,
    /// So many of the base's last convolutions and dense layers.
    Last(usize),
    /// The layer of this name.
    From(String),
}

/// One stretch of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Which layers learn.
    pub strategy: Strategy,
    /// Times over the data.
    pub epochs: usize,
    /// Highest learning rate.
    pub rate: f32,
}

/// The update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Nesterov momentum of 0.9.
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// How the learning rate falls in the course of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Not at all.
    Constant,
    /// Along half a cosine to nothing.
    Cosine,
    /// To a tenth at the thirds of the phase.
    Step,
}

/// What batch norms of the base do where the base is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorms {
    /// [`BatchNorms::Train`] in a network that was never trained (every moving statistic is still
    /// 0 or 1), else [`BatchNorms::Freeze`], as Keras' guide to fine-tuning has it.
    Auto,
    /// They run on the batch's statistics, and learn.
    Train,
    /// They run on their moving statistics, and keep all their weights.
    Freeze,
}

/// What a frozen part computes its features in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32.
    Float,
    /// int8, by the engine's kernels: what the chip will compute.
    Int8,
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// One after the other; each starts from the best weights of the one before.
    pub phases: Vec<Phase>,
    /// A classifier to put on the base even if the network's own fits.
    pub replace_top: bool,
    /// Which classifier, where a new one is needed.
    pub head: Head,
    /// Share of the features that its dropout drops.
    pub dropout: f32,
    /// Pictures a step.
    pub batch: usize,
    /// The update rule.
    pub optimizer: Rule,
    /// How the learning rate falls.
    pub schedule: Decay,
    /// Epochs over which it rises first.
    pub warm_up: f32,
    /// Of the kernels; biases and batch norms do not decay.
    pub weight_decay: f32,
    /// Share of the target that all classes get.
    pub label_smoothing: f32,
    /// Factors of the classes' losses, by label.
    pub class_weights: Option<Vec<f32>>,
    /// How pictures are changed.
    pub augment: Augment,
    /// Epochs without a better loss or accuracy that end a phase.
    pub patience: Option<usize>,
    /// What batch norms of the base do.
    pub batch_norms: BatchNorms,
    /// What frozen parts compute in.
    pub features: Precision,
    /// Whether the last phase trains with the rounding of int8.
    #[serde(default)]
    pub quantization_aware: bool,
    /// Of everything random.
    pub seed: u64,
}

impl Recipe {
    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// [`FitError::Recipe`].
    pub fn check(&self, classes: usize) -> Result<(), FitError> {
        let share = |value: f32| (0.0..1.0).contains(&value);
        let positive = |value: f32| value.is_finite() && value > 0.0;
        let weights = self.class_weights.as_ref();
        let faults = [
            (self.phases.is_empty(), "there is no phase"),
            (self.phases.iter().any(|phase| phase.epochs == 0), "epochs must be at least 1"),
            (
                self.phases.iter().any(|phase| !positive(phase.rate)),
                "the learning rate must be above 0",
            ),
            (self.batch == 0, "the batch must be at least 1"),
            (!share(self.dropout), "dropout must be from 0 up to, not including, 1"),
            (
                !share(self.label_smoothing),
                "label smoothing must be from 0 up to, not including, 1",
            ),
            (
                !(self.weight_decay.is_finite() && self.weight_decay >= 0.0),
                "weight decay must not be negative",
            ),
            (!(self.warm_up.is_finite() && self.warm_up >= 0.0), "warm-up must not be negative"),
            (
                weights.is_some_and(|w| w.len() != classes || !w.iter().all(|&w| positive(w))),
                "class weights must be positive, one for each class",
            ),
        ];
        match faults.iter().find(|(wrong, _)| *wrong) {
            Some((_, fault)) => Err(FitError::Recipe((*fault).to_owned())),
            None => Ok(()),
        }
    }

    /// Whether the phase of this place trains with the rounding of int8.
    #[must_use]
    pub fn rounds_in(&self, phase: usize) -> bool {
        self.quantization_aware && phase + 1 == self.phases.len()
    }

    /// The optimizer, knowing nothing yet.
    #[must_use]
    pub fn optimizer(&self) -> Optimizer {
        match self.optimizer {
            Rule::Sgd => Optimizer::sgd(0.9, true, self.weight_decay),
            Rule::Adam => Optimizer::adam(0.9, 0.999, 1e-7),
            Rule::AdamW => Optimizer::adamw(0.9, 0.999, 1e-7, self.weight_decay),
        }
    }

    /// The schedule of a phase whose epochs have so many steps.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "saturates"
    )]
    pub fn schedule(&self, epochs: usize, steps: usize) -> Schedule {
        let warm_up = (self.warm_up * steps as f32).round() as usize;
        match self.schedule {
            Decay::Constant if warm_up == 0 => Schedule::Constant,
            Decay::Constant => Schedule::Step { warm_up, every: 0, factor: 1.0 },
            Decay::Cosine => Schedule::Cosine { warm_up, floor: 0.0 },
            Decay::Step => {
                Schedule::Step { warm_up, every: (epochs * steps).div_ceil(3), factor: 0.1 }
            }
        }
    }
}

impl Strategy {
    /// The first node that learns; `head` is where the classifier begins.
    ///
    /// # Errors
    /// [`FitError::NoLayer`], [`FitError::Recipe`].
    pub fn start(&self, graph: &Graph, head: NodeId) -> Result<NodeId, FitError> {
        let start = match self {
            Self::Head => return Ok(head),
            Self::All => return Ok(graph.input()),
            Self::Partial(start) => start,
        };
        let layers: Vec<NodeId> = graph
            .iter()
            .take(head.index())
            .filter(|(_, node)| {
                matches!(node.op, Op::Conv { .. } | Op::DepthwiseConv { .. } | Op::Dense { .. })
            })
            .map(|(id, _)| id)
            .collect();
        let count = match start {
            Start::From(name) => {
                return graph.node_by_name(name).ok_or_else(|| no_layer(graph, name));
            }
            Start::Last(count) => *count,
            Start::LastThird => layers.len().div_ceil(3),
        };
        match layers.get(layers.len().saturating_sub(count)) {
            Some(&id) => Ok(id),
            None if count == 0 => Ok(head),
            None => Err(FitError::Recipe("the base has no layer that could be trained".into())),
        }
    }
}

fn no_layer(graph: &Graph, name: &str) -> FitError {
    FitError::NoLayer { name: name.into(), near: graph.near(name) }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::All => f.write_str("all"),
            Self::Partial(Start::LastThird) => f.write_str("partial"),
            Self::Partial(Start::Last(count)) => write!(f, "partial:last={count}"),
            Self::Partial(Start::From(name)) => write!(f, "partial:from={name}"),
        }
    }
}

impl From<Strategy> for String {
    fn from(strategy: Strategy) -> Self {
        strategy.to_string()
    }
}

impl TryFrom<String> for Strategy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, start) = text.split_once(':').unwrap_or((text, ""));
        let known = || {
            format!(
                "strategy `{text}` is not known; there are head, partial, partial:last=N, partial:from=LAYER and all"
            )
        };
        match (name, start.split_once('=')) {
            ("head", None) if start.is_empty() => Ok(Self::Head),
            ("all", None) if start.is_empty() => Ok(Self::All),
            ("partial", None) if start.is_empty() => Ok(Self::Partial(Start::LastThird)),
            ("partial", Some(("last", count))) => {
                Ok(Self::Partial(Start::Last(count.parse().map_err(|_| known())?)))
            }
            ("partial", Some(("from", layer))) => Ok(Self::Partial(Start::From(layer.into()))),
            _ => Err(known()),
        }
    }
}

/// A phase as text: `all:lr=1e-4,epochs=5` or `partial:last=3,lr=1e-4`; what is left out is 10
/// epochs at 3e-5.
impl FromStr for Phase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        let mut phase = Self { strategy: name.parse()?, epochs: 10, rate: 3e-5 };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let bad = || {
                format!(
                    "phase option `{option}` is not understood; there are lr=X, epochs=N, last=N and from=LAYER"
                )
            };
            match option.split_once('=').ok_or_else(bad)? {
                ("lr", value) => phase.rate = value.parse().map_err(|_| bad())?,
                ("epochs", value) => phase.epochs = value.parse().map_err(|_| bad())?,
                ("last" | "from", _) if name == "partial" => {
                    phase.strategy = format!("{name}:{option}").parse().map_err(|_| bad())?;
                }
                _ => return Err(bad()),
            }
        }
        Ok(phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::split::tests::residual;

    #[test]
    fn phases_are_text() {
        let phase: Phase = "all:lr=1e-3,epochs=5".parse().unwrap();
        assert_eq!(phase, Phase { strategy: Strategy::All, epochs: 5, rate: 1e-3 });
        let phase: Phase = "partial:last=3".parse().unwrap();
        assert_eq!((phase.strategy.to_string().as_str(), phase.epochs), ("partial:last=3", 10));
        for wrong in ["everything", "all:last=3", "all:lr=x", "all:speed=2", "head:lr"] {
            let error = wrong.parse::<Phase>().unwrap_err();
            assert!(error.contains("there are"), "{error}");
        }
        for text in ["head", "all", "partial", "partial:last=2", "partial:from=conv1"] {
            assert_eq!(text.parse::<Strategy>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn strategies_begin_where_they_say() {
        let graph = residual();
        let head = graph.node_by_name("gap").unwrap();
        let start = |text: &str| {
            let id = text.parse::<Strategy>().unwrap().start(&graph, head)?;
            Ok::<_, FitError>(graph.node(id).name.clone())
        };
        assert_eq!(start("head").unwrap(), "gap");
        assert_eq!(start("all").unwrap(), "in");
        assert_eq!(start("partial").unwrap(), "conv2");
        assert_eq!(start("partial:last=1").unwrap(), "conv3");
        assert_eq!(start("partial:last=99").unwrap(), "conv0");
        assert_eq!(start("partial:from=bn").unwrap(), "bn");
        let error = start("partial:from=convx").unwrap_err().to_string();
        assert!(error.contains("conv0") && error.contains("conv3"), "{error}");
    }
}
