//! Post-training quantization from start to end: what to do in which order.

use core::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use super::aware::settle;
use super::{
    Calibration, ChannelStatistics, Covariances, Histograms, QuantizeError, Ranges, correct_bias,
    equalize, quantize_mixed, round_weights, state_quantization,
};
use crate::graph::{Graph, NodeId};
use crate::interpret::Interpreter;
use crate::quantized::Network;

/// Samples that the biases are corrected on; more change nothing that can be measured.
const CORRECTION: usize = 128;

/// Quantizes a float `graph` that went through the [passes](crate::passes): equalizes its channels,
/// chooses the ranges of its activations, rounds its weights and corrects its biases, all on `samples`, tensors as the
/// network takes them. `input_range` is what the input can be, where that is known, as it is of
/// pixels. The layers named in `halves` stay in half precision. `progress` is told how much of how much is done.
///
/// # Errors
/// [`QuantizeError`] naming the layer, and what running the network says.
pub fn post_training(
    graph: Graph,
    samples: &[Vec<f32>],
    input_range: Option<(f32, f32)>,
    halves: &[String],
    progress: &(dyn Fn(usize, usize) + Sync),
) -> anyhow::Result<Network> {
    Ok(Made::of(graph, samples, input_range, halves, progress)?.network)
}

/// The float network that [`post_training`] makes integers of, for quantization-aware training: its channels equalized, the
/// quantization of every activation stated, every weight moved just so far that its nearest step is the one it was rounded
/// to together with the others, the biases corrected.
///
/// # Errors
/// Those of [`post_training`].
pub fn calibrated(
    graph: Graph,
    samples: &[Vec<f32>],
    input_range: Option<(f32, f32)>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> anyhow::Result<Graph> {
    let Made { graph, ranges, network } = Made::of(graph, samples, input_range, &[], progress)?;
    Ok(settle(state_quantization(graph, &ranges)?, &network)?)
}

/// All that quantization after training finds.
struct Made {
    /// Equalized.
    graph: Graph,
    ranges: Ranges,
    network: Network,
}

impl Made {
    fn of(
        graph: Graph,
        samples: &[Vec<f32>],
        input_range: Option<(f32, f32)>,
        halves: &[String],
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> anyhow::Result<Self> {
        let corrected = &samples[..samples.len().min(CORRECTION)];
        let total = PASSES * samples.len() + graph.nodes().len();
        let done = AtomicUsize::new(0);
        let tick = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);

        let pass = Pass { samples, tick: &tick };
        let graph = pass.equalized(graph)?;
        let (widest, covariances) = pass.over(
            &graph,
            || (Calibration::new(&graph), Covariances::new(&graph)),
            |(calibration, covariances), id, values| {
                covariances.observe(&graph, id, values);
                calibration.observe(&graph, id, values)
            },
            |(calibration, covariances), other| {
                calibration.merge(&other.0);
                covariances.merge(&other.1);
            },
        )?;
        let ranges = pass.ranges(&graph, &widest.finish()?, input_range)?;
        let mut network = quantize_mixed(&graph, Some(&ranges), halves)?;
        round_weights(&mut network, &graph, &covariances);
        let before = PASSES * samples.len();
        correct_bias(&mut network, &graph, corrected, &|layer, _| progress(before + layer, total))?;
        super::check_accumulators(&network)?;
        Ok(Self { graph, ranges, network })
    }
}

/// Runs over the samples before weights are rounded.
const PASSES: usize = 3;

/// Parts that the samples are cut into, to be looked at side by side.
pub(super) const SHARES: usize = 4;

/// Samples to run a network on.
struct Pass<'a> {
    samples: &'a [Vec<f32>],
    tick: &'a (dyn Fn() + Sync),
}

impl Pass<'_> {
    fn equalized(&self, graph: Graph) -> anyhow::Result<Graph> {
        let statistics = self.over(
            &graph,
            || ChannelStatistics::new(&graph),
            |statistics, id, values| {
                statistics.observe(id, values);
                Ok(())
            },
            ChannelStatistics::merge,
        )?;
        Ok(equalize(graph, &statistics)?)
    }

    /// Within the `widest` ranges, those that clip for the smallest error.
    fn ranges(
        &self,
        graph: &Graph,
        widest: &Ranges,
        input_range: Option<(f32, f32)>,
    ) -> anyhow::Result<Ranges> {
        let histograms = self.over(
            graph,
            || Histograms::new(widest),
            |histograms, id, values| {
                histograms.observe(id, values);
                Ok(())
            },
            Histograms::merge,
        )?;
        let mut ranges = histograms.best_ranges(graph);
        if let Some((min, max)) = input_range {
            ranges.set(graph.input(), min, max);
        }
        Ok(ranges)
    }

    /// What `observe` gathers from every layer on every sample.
    fn over<T: Send>(
        &self,
        graph: &Graph,
        empty: impl Fn() -> T + Sync + Send,
        observe: impl Fn(&mut T, NodeId, &[f32]) -> Result<(), QuantizeError> + Sync,
        merge: impl Fn(&mut T, &T),
    ) -> anyhow::Result<T> {
        // Float sums depend on their order: the shares are the same on every machine, so the blob is too.
        let shares: Vec<T> = self
            .samples
            .par_chunks(self.samples.len().div_ceil(SHARES).max(1))
            .map(|share| {
                let mut seen = empty();
                let mut interpreter = Interpreter::new(graph);
                for sample in share {
                    let mut fault = Ok(());
                    interpreter.run(sample, |id, values| {
                        if fault.is_ok() {
                            fault = observe(&mut seen, id, values);
                        }
                    })?;
                    fault?;
                    (self.tick)();
                }
                anyhow::Ok(seen)
            })
            .collect::<anyhow::Result<_>>()?;
        let mut total = empty();
        shares.iter().for_each(|share| merge(&mut total, share));
        Ok(total)
    }
}
