//! Training: reverse-mode differentiation as one more interpreter of [`Graph`].
//!
//! ```text
//! Graph --Trainer::new--> Trainer --step(Batch, Optimizer)--> Trainer --into_graph--> Graph
//! ```

mod chunk;
mod depthwise;
mod engine;
mod error;
mod loss;
mod norm;
mod optimizer;
mod pool;
mod product;
mod program;
mod schedule;
mod windows;

pub use error::TrainError;
pub use optimizer::Optimizer;
pub use schedule::Schedule;

use crate::graph::{Graph, Op, Shape};
use engine::Engine;
use optimizer::Parameter;

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
    engine: Result<Engine, TrainError>,
    output: Vec<f32>,
}

impl Predictor {
    /// A predictor of this graph. Fold its batch norms first ([`passes::standard`](crate::passes::standard)): it is
    /// faster then.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        Self { engine: Engine::new(&graph), graph, output: Vec::new() }
    }

    /// A predictor that rounds weights and activations to int8, as the graph states its quantization: what
    /// [`quantize`](crate::quantize::quantize()) makes of it, to the last step or one beside.
    #[must_use]
    pub fn rounded(graph: Graph) -> Self {
        Self { engine: Engine::rounded(&graph), graph, output: Vec::new() }
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// `[n, elements] -> [n, outputs]`.
    ///
    /// # Errors
    /// [`TrainError::Batch`], or [`TrainError::Unsupported`] for a layer that cannot run here.
    pub fn predict(&mut self, batch: &[f32]) -> Result<&[f32], TrainError> {
        let engine = self.engine.as_mut().map_err(|error| error.clone())?;
        engine.predict(&self.graph, batch, &mut self.output)?;
        Ok(&self.output)
    }
}

/// A graph with all that is needed to train it.
///
/// A node that is not `trainable` keeps every weight to the bit; a batch norm among them runs on its moving statistics,
/// as in Keras. Nothing is computed backward below the first trainable weight.
#[derive(Debug)]
pub struct Trainer {
    graph: Graph,
    engine: Engine,
    output: Vec<f32>,
    steps: usize,
}

impl Trainer {
    /// A trainer of the nodes that are marked `trainable`.
    ///
    /// # Errors
    /// When the network cannot be trained: see [`TrainError`].
    pub fn new(graph: Graph) -> Result<Self, TrainError> {
        Self::check(&graph)?;
        Ok(Self { engine: Engine::new(&graph)?, graph, output: Vec::new(), steps: 0 })
    }

    /// A trainer that rounds weights and activations as [`quantize`](crate::quantize::quantize()) would, so that the
    /// network learns to live with it; slopes pass straight through the rounding, and nowhere where it clips. `graph`
    /// states its quantization, as [`calibrated`](crate::quantize::calibrated) ones do; that stays as it is.
    /// A weight is counted in the largest of its channel, a bias in what that makes of the largest input, so that the
    /// learning rate means the same number of int8 steps in every channel, however weak.
    /// Afterwards `quantize(trainer.graph(), None)` is what was trained.
    ///
    /// # Errors
    /// As [`new`](Self::new), for batch norms that were not folded, and for nodes without a quantization.
    pub fn quantization_aware(graph: Graph) -> Result<Self, TrainError> {
        Self::check(&graph)?;
        for node in graph.nodes() {
            if let Op::BatchNorm { .. } = node.op {
                return Err(TrainError::Unsupported {
                    layer: node.name.clone(),
                    kind: node.op.kind(),
                    reason: "int8 has no batch norms; fold them with passes::standard first",
                });
            }
        }
        Ok(Self { engine: Engine::rounded(&graph)?, graph, output: Vec::new(), steps: 0 })
    }

    fn check(graph: &Graph) -> Result<(), TrainError> {
        match graph.output_shape() {
            Shape::Vector(classes) if classes > 1 => {}
            shape => return Err(TrainError::Output { found: shape.to_string() }),
        }
        if graph.trainable_parameters() == 0 {
            return Err(TrainError::NothingTrainable);
        }
        Ok(())
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
        self.engine.predict(&self.graph, batch, &mut self.output)?;
        Ok(&self.output)
    }

    /// Loss and gradients of a batch, changing nothing.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn gradients(&mut self, batch: &Batch<'_>) -> Result<Gradients, TrainError> {
        let (report, gradients) = self.differentiate(batch)?;
        let weights = self.graph.weights().filter(|weight| weight.trainable);
        let weights = weights.map(|weight| weight.name()).zip(gradients).collect();
        Ok(Gradients { report, weights })
    }

    /// One step of `optimizer` over a batch.
    ///
    /// # Errors
    /// See [`TrainError`]. The weights are unchanged then, unless one of them left the range of f32.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        optimizer: &mut Optimizer,
        learning_rate: f32,
    ) -> Result<StepReport, TrainError> {
        let (report, gradients) = self.differentiate(batch)?;
        let units = self.engine.units(&self.graph);
        let weights = self.graph.trainable_weights_mut().zip(&gradients).zip(units);
        let mut parameters: Vec<Parameter<'_>> = weights
            .map(|(((layer, role, param), gradient), units)| {
                // A quantized source's integers are no longer the weights.
                param.quantized = None;
                let name = format!("{layer}/{}", role.name());
                Parameter { name, role, values: &mut param.data, gradient, units }
            })
            .collect();
        optimizer.apply(&mut parameters, learning_rate)?;
        self.engine.update_moving(&mut self.graph);
        self.engine.forget();
        let step = self.steps;
        self.steps += 1;
        for weight in self.graph.weights() {
            let values = weight.param.data.iter();
            if let Some(&value) = values.into_iter().find(|value| !value.is_finite()) {
                let layer = weight.layer.to_owned();
                return Err(TrainError::NotFinite { what: "a weight", layer, step, value });
            }
        }
        Ok(report)
    }

    /// Loss and gradients, all finite.
    fn differentiate(
        &mut self,
        batch: &Batch<'_>,
    ) -> Result<(StepReport, Vec<Vec<f32>>), TrainError> {
        let (report, gradients) = self.engine.gradients(&self.graph, batch)?;
        let step = self.steps;
        let weights = self.graph.weights().filter(|weight| weight.trainable);
        for (weight, gradient) in weights.zip(&gradients) {
            if let Some(&value) = gradient.iter().find(|value| !value.is_finite()) {
                let layer = weight.layer.to_owned();
                return Err(TrainError::NotFinite { what: "a gradient", layer, step, value });
            }
        }
        if !report.loss.is_finite() {
            let layer = self.graph.node(self.graph.output()).name.clone();
            let value = report.loss;
            return Err(TrainError::NotFinite { what: "the loss", layer, step, value });
        }
        Ok((report, gradients))
    }
}

#[cfg(test)]
mod tests;
