//! Training: reverse-mode differentiation as one more interpreter of [`Graph`].
//!
//! ```text
//! Graph --Trainer::new--> Trainer --step(Batch, Optimizer)--> Trainer --into_graph--> Graph
//! ```

mod error;
#[allow(dead_code, reason = "the steps that use it are on their way")]
mod optimizer;
mod schedule;

pub use error::TrainError;
pub use optimizer::Optimizer;
pub use schedule::Schedule;

use crate::graph::{Graph, Shape};
use crate::interpret;

/// Pictures with what they show.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// `[n, elements of the network's input]`, NHWC.
    pub inputs: &'a [f32],
    /// `[n, classes]`; rows sum to 1. Label smoothing and mixed pictures live here.
    pub targets: &'a [f32],
    /// `[n]`, factors of the pictures' losses; 1 when absent.
    pub sample_weights: Option<&'a [f32]>,
    /// Of the dropout layers; the same seed drops the same elements.
    pub seed: u64,
}

/// What a step saw before it changed the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Cross-entropy, the mean over the batch (the weighted sum over `n`, as in Keras).
    pub loss: f32,
    /// Pictures whose highest score is their highest target.
    pub correct: usize,
}

/// The loss of a batch and what every trainable weight says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// See [`StepReport`].
    pub report: StepReport,
    /// `layer/role` and the derivative of the loss by it, in the graph's layout and order.
    pub weights: Vec<(String, Vec<f32>)>,
}

/// Runs batches through any graph outside training, fast; such as the frozen base below a head.
#[derive(Debug)]
pub struct Predictor {
    graph: Graph,
    output: Vec<f32>,
}

impl Predictor {
    /// A predictor of this graph. Fold its batch norms first ([`passes::standard`](crate::passes::standard)): it is
    /// faster then.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        Self { graph, output: Vec::new() }
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// `[n, elements] -> [n, outputs]`.
    ///
    /// # Errors
    /// [`TrainError::Batch`].
    pub fn predict(&mut self, batch: &[f32]) -> Result<&[f32], TrainError> {
        predict(&self.graph, batch, &mut self.output)?;
        Ok(&self.output)
    }
}

fn predict(graph: &Graph, batch: &[f32], output: &mut Vec<f32>) -> Result<(), TrainError> {
    output.clear();
    for picture in batch.chunks(graph.input_shape().elements()) {
        let scores =
            interpret::run(graph, picture, |_, _| ()).map_err(|error| TrainError::Batch {
                what: "input elements",
                expected: error.expected,
                found: error.found,
            })?;
        output.extend(scores);
    }
    Ok(())
}

/// A graph with all that is needed to train it.
#[derive(Debug)]
pub struct Trainer {
    graph: Graph,
    output: Vec<f32>,
}

impl Trainer {
    /// A trainer of the nodes that are marked `trainable`.
    ///
    /// # Errors
    /// When the network cannot be trained: see [`TrainError`].
    pub fn new(graph: Graph) -> Result<Self, TrainError> {
        match graph.output_shape() {
            Shape::Vector(classes) if classes > 1 => {}
            shape => return Err(TrainError::Output { found: shape.to_string() }),
        }
        if graph.trainable_parameters() == 0 {
            return Err(TrainError::NothingTrainable);
        }
        Ok(Self { graph, output: Vec::new() })
    }

    /// The graph as trained so far.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The trained graph.
    #[must_use]
    pub fn into_graph(self) -> Graph {
        self.graph
    }

    /// What the network gives for a batch outside training, `[n, elements] -> [n, classes]`.
    ///
    /// # Errors
    /// [`TrainError::Batch`].
    pub fn predict(&mut self, batch: &[f32]) -> Result<&[f32], TrainError> {
        predict(&self.graph, batch, &mut self.output)?;
        Ok(&self.output)
    }

    /// Loss and gradients of a batch, changing nothing.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn gradients(&mut self, _batch: &Batch<'_>) -> Result<Gradients, TrainError> {
        Err(TrainError::NothingTrainable)
    }

    /// One step of `optimizer` over a batch.
    ///
    /// # Errors
    /// See [`TrainError`]; the weights are unchanged then.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        _optimizer: &mut Optimizer,
        _learning_rate: f32,
    ) -> Result<StepReport, TrainError> {
        self.gradients(batch).map(|gradients| gradients.report)
    }
}
