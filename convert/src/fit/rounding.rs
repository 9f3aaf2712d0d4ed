//! The phase that trains with the rounding of int8: what it starts from, and what rounding costs there.
//!
//! It starts from what quantization after training makes of the network: batch norms are folded with their moving
//! statistics, dropouts left out, channels equalized, the ranges of the activations calibrated on training pictures, the
//! weights rounded together and the biases corrected. Scales of activations stay as they are while weights and biases
//! learn (Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 4).

use core::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::FitError;
use super::checkpoint::State;
use super::phase::{Run, scores};
use super::pictures::Variant;
use crate::graph::Graph;
use crate::passes;
use crate::quantize::calibrated;
use crate::train::Predictor;

/// What rounding the network that a quantization-aware phase starts from costs; accuracies on the validation set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rounding {
    /// In float.
    pub float: f64,
    /// On int8, quantized after training.
    pub before: f64,
}

impl Run<'_> {
    /// The network as the phase trains it. At its beginning the phase's record is set to what this network reaches, so that
    /// no weights are kept that are worse than those it starts from.
    pub(super) fn rounded(&self, graph: Graph, state: &mut State) -> Result<Graph, FitError> {
        let (train, validation) = (self.job.train, self.job.validation);
        let samples = train.spread(CALIBRATION)?;
        let (total, shown) = (100, AtomicUsize::new(0));
        self.watch.stage("calibrating", total);
        let progress = |done: usize, all: usize| {
            let now = done * total / all.max(1);
            let before = shown.fetch_max(now, Ordering::Relaxed);
            self.watch.tick(now.saturating_sub(before));
        };
        let folded = passes::standard(graph)?;
        let rounded = calibrated(folded.clone(), &samples, train.input_range(), &progress)
            .map_err(|error| FitError::Rounding(error.to_string()))?;
        if state.epochs == 0 {
            state.rounding = Some(Rounding {
                float: self.evaluate(&folded, validation)?.accuracy,
                before: self.evaluate(&rounded, validation)?.accuracy,
            });
            // As the epochs will be judged.
            let mut predictor = Predictor::rounded(rounded.clone());
            let start = scores(validation, |places| {
                Ok(predictor.predict(&validation.tensors(places, Variant::Plain)?)?.to_vec())
            })?;
            state.best_accuracy = start.accuracy;
            (state.best_loss, state.kept_loss) = (start.loss, start.loss);
        }
        Ok(rounded)
    }
}

/// Pictures that ranges are found on.
pub(super) const CALIBRATION: usize = 256;
