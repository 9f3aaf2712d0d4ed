//! Batches through a program: chunks in parallel, barriers between them.

use core::ops::Range;

use rayon::prelude::*;

use super::chunk::{Chunk, Packed, Shared};
use super::loss::Truth;
use super::norm::{Moments, Statistics};
use super::product::PANEL;
use super::program::{Program, Step, Work};
use super::windows::Part;
use super::{Batch, StepReport, TrainError};
use crate::graph::{Graph, Op, Quantization, WeightRole};
use crate::quantize::{rounded_weights, weight_units};

/// Chunks that a batch is cut into; fixed, so that sums over them are the same on any number of threads.
const CHUNKS: usize = 16;
/// Elements of a map up to which several pictures are predicted at once.
const GROUP_LEN: usize = 1 << 16;

/// A program with its buffers.
#[derive(Debug)]
pub(super) struct Engine {
    program: Program,
    parts: Vec<Range<usize>>,
    packed: Vec<Packed>,
    /// A step each: moving statistics, of training batch norms those of the batch once it has passed.
    norms: Vec<Statistics>,
    chunks: Vec<Chunk>,
    /// A node each where numbers are rounded, else none.
    quantization: Vec<Quantization>,
    /// Whether `packed` and `norms` are those of the graph.
    is_prepared: bool,
}

impl Engine {
    /// In f32.
    pub(super) fn new(graph: &Graph) -> Result<Self, TrainError> {
        Self::with(graph, Vec::new())
    }

    /// With weights and activations rounded to int8, as the nodes state their quantization.
    pub(super) fn rounded(graph: &Graph) -> Result<Self, TrainError> {
        let stated = graph.nodes().iter().map(|node| {
            node.quantization.ok_or_else(|| TrainError::NoQuantization { layer: node.name.clone() })
        });
        Self::with(graph, stated.collect::<Result<_, _>>()?)
    }

    fn with(graph: &Graph, quantization: Vec<Quantization>) -> Result<Self, TrainError> {
        let program = Program::new(graph, !quantization.is_empty())?;
        let steps = program.steps.len();
        Ok(Self {
            parts: program.parts(),
            program,
            packed: vec![Packed::default(); steps],
            norms: vec![Statistics::default(); steps],
            chunks: Vec::new(),
            quantization,
            is_prepared: false,
        })
    }

    /// The graph's weights have changed.
    pub(super) fn forget(&mut self) {
        self.is_prepared = false;
    }

    fn prepare(&mut self, graph: &Graph) {
        if self.is_prepared {
            return;
        }
        let quantization = &self.quantization[..];
        let steps = self.program.steps.par_iter();
        steps.zip(&mut self.packed).zip(&mut self.norms).for_each(|((step, packed), norm)| {
            prepare(graph, quantization, step, packed, norm);
        });
        self.is_prepared = true;
    }

    /// Runs a batch outside training.
    pub(super) fn predict(
        &mut self,
        graph: &Graph,
        batch: &[f32],
        output: &mut Vec<f32>,
    ) -> Result<(), TrainError> {
        let (inputs, outputs) = (graph.input_shape().elements(), graph.output_shape().elements());
        let pictures = count(batch, inputs)?;
        self.prepare(graph);
        output.resize(pictures * outputs, 0.0);
        let share = pictures.div_ceil(rayon::current_num_threads() * 4);
        self.chunks.resize_with(self.chunks.len().max(pictures.div_ceil(share)), Chunk::default);
        let shared = Shared {
            graph,
            program: &self.program,
            packed: &self.packed,
            norms: &self.norms,
            quantization: &self.quantization,
            seed: None,
        };
        let largest = self.program.steps.iter().map(|step| step.len).max().unwrap_or(1);
        let group = (GROUP_LEN / largest).clamp(1, 16);
        let shares = batch.par_chunks(share * inputs).zip(output.par_chunks_mut(share * outputs));
        shares.zip(&mut self.chunks).for_each(|((batch, output), chunk)| {
            let groups = batch.chunks(group * inputs).zip(output.chunks_mut(group * outputs));
            for (batch, output) in groups {
                chunk.start(shared.program, 0, batch);
                for index in 0..shared.program.steps.len() {
                    chunk.forward(shared, index);
                }
                output.copy_from_slice(&chunk.values[shared.program.output]);
            }
        });
        Ok(())
    }

    /// Runs a batch in training and back: the loss, and the gradients of [`Graph::trainable_weights_mut`] in order.
    pub(super) fn gradients(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
    ) -> Result<(StepReport, Vec<Vec<f32>>), TrainError> {
        let (inputs, classes) = (graph.input_shape().elements(), graph.output_shape().elements());
        let pictures = count(batch.inputs, inputs)?;
        fits("targets", pictures * classes, batch.targets.len())?;
        fits("sample weights", pictures, batch.sample_weights.map_or(pictures, <[f32]>::len))?;
        self.prepare(graph);
        let size = pictures.div_ceil(CHUNKS);
        self.chunks.resize_with(self.chunks.len().max(CHUNKS), Chunk::default);
        let mut chunks = core::mem::take(&mut self.chunks);
        let used = &mut chunks[..pictures.div_ceil(size)];
        let report = self.forward(graph, batch, size, used);
        let norms = self.backward(graph, batch, used);
        let gradients = self.collect(graph, used, &norms);
        self.chunks = chunks;
        Ok((report, gradients))
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a mean loss")]
    fn forward(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        size: usize,
        chunks: &mut [Chunk],
    ) -> StepReport {
        let Self { program, parts, packed, norms, quantization, .. } = self;
        let (inputs, classes) = (graph.input_shape().elements(), graph.output_shape().elements());
        let pictures = batch.inputs.len() / inputs;
        let seed = Some(batch.seed);
        let last = parts.len() - 1;
        for (place, part) in parts.iter().enumerate() {
            let norms_now = &*norms;
            let shared = Shared { graph, program, packed, norms: norms_now, quantization, seed };
            chunks.par_iter_mut().enumerate().for_each(|(index, chunk)| {
                let first = index * size;
                let end = (first + size).min(pictures);
                if place == 0 {
                    chunk.start(program, first, &batch.inputs[first * inputs..end * inputs]);
                }
                for step in part.clone() {
                    chunk.forward(shared, step);
                }
                if place < last {
                    let norm = &program.steps[part.end];
                    let channels = channels(graph, norm);
                    chunk.moments = Moments::new(&chunk.values[norm.inputs[0]], channels);
                    return;
                }
                let truth = Truth {
                    targets: &batch.targets[first * classes..end * classes],
                    weights: batch.sample_weights.map(|weights| &weights[first..end]),
                    classes,
                    batch: pictures,
                    beta: program.beta,
                };
                let mut slopes = chunk.buffer((end - first) * classes);
                (chunk.loss, chunk.correct) =
                    truth.cross_entropy(&chunk.values[program.scores], &mut slopes);
                chunk.slopes[program.scores] = slopes;
            });
            if place < last {
                let norm = &program.steps[part.end];
                let moments: Vec<&Moments> = chunks.iter().map(|chunk| &chunk.moments).collect();
                norms[part.end] =
                    Statistics::merge(&moments, channels(graph, norm), epsilon(graph, norm));
                self.is_prepared = false;
            }
        }
        let loss: f64 = chunks.iter().map(|chunk| chunk.loss).sum();
        StepReport {
            loss: (loss / pictures as f64) as f32,
            correct: chunks.iter().map(|chunk| chunk.correct).sum(),
        }
    }

    /// The gradients of the training batch norms' gamma and beta, a step each.
    fn backward(
        &self,
        graph: &Graph,
        batch: &Batch<'_>,
        chunks: &mut [Chunk],
    ) -> Vec<[Vec<f32>; 2]> {
        let Self { program, packed, norms, quantization, .. } = self;
        let seed = Some(batch.seed);
        let shared = Shared { graph, program, packed, norms, quantization, seed };
        let mut gradients = vec![<[Vec<f32>; 2]>::default(); program.steps.len()];
        // The batch norm whose sums are known, with what they make of its slopes.
        let mut pending: Option<(usize, [Vec<f32>; 2])> = None;
        for part in self.parts.iter().rev() {
            let is_norm = program.steps.get(part.start).is_some_and(Step::is_barrier);
            let first = part.start + usize::from(is_norm);
            chunks.par_iter_mut().for_each(|chunk| {
                if let Some((index, factors)) = &pending {
                    chunk.backward(shared, *index, Some(factors));
                }
                for index in (first..part.end).rev() {
                    if program.steps[index].has_gradient() {
                        chunk.backward(shared, index, None);
                    }
                }
                if is_norm && program.steps[part.start].has_gradient() {
                    chunk.norm_sums(shared, part.start);
                }
            });
            pending = None;
            if is_norm && program.steps[part.start].has_gradient() {
                let statistics = &norms[part.start];
                let factors = norm_factors(chunks, part.start, program, statistics);
                let (gamma, beta, factors) = factors;
                gradients[part.start] = [gamma, beta];
                pending = Some((part.start, factors));
            }
        }
        gradients
    }

    /// What the optimizer counts every trainable weight in; `None` where nothing is rounded.
    pub(super) fn units(&self, graph: &Graph) -> Vec<Option<Vec<f32>>> {
        let weights = graph.iter().flat_map(|(id, node)| {
            let input = node.inputs.first().and_then(|id| self.quantization.get(id.index()));
            let trainable = graph.weights_of(id).filter(|weight| weight.trainable);
            trainable.map(move |weight| weight_units(graph, id, weight.role, *input?))
        });
        weights.collect()
    }

    /// Sums over the chunks, in the graph's layout.
    fn collect(&self, graph: &Graph, chunks: &[Chunk], norms: &[[Vec<f32>; 2]]) -> Vec<Vec<f32>> {
        let steps = self.program.steps.par_iter().enumerate().filter(|(_, step)| step.trains);
        let gradients = steps.map(|(index, step)| {
            let sum = |which: usize| {
                let mut total = chunks[0].gradients[index][which].clone();
                for chunk in &chunks[1..] {
                    let more = &chunk.gradients[index][which];
                    total.iter_mut().zip(more).for_each(|(total, more)| *total += more);
                }
                total
            };
            match &graph.node(step.node).op {
                Op::Conv { filter: weights, bias, .. } | Op::Dense { weights, bias, .. } => {
                    let panels = sum(0);
                    let depth = weights.len() / weights.shape[0];
                    let at = |index: usize| {
                        let (output, tap) = (index / depth, index % depth);
                        panels[(output / PANEL * depth + tap) * PANEL + output % PANEL]
                    };
                    let weights = (0..weights.len()).map(at).collect();
                    [Some(weights), bias.as_ref().map(|_| sum(1))]
                }
                Op::DepthwiseConv { bias, .. } => [Some(sum(0)), bias.as_ref().map(|_| sum(1))],
                Op::BatchNorm { gamma, beta, .. } => {
                    let [slopes, offsets] = &norms[index];
                    [gamma.as_ref().map(|_| slopes.clone()), beta.as_ref().map(|_| offsets.clone())]
                }
                _ => [None, None],
            }
        });
        gradients.flatten_iter().flatten_iter().collect()
    }

    /// Moves the moving statistics of every training batch norm towards those of the last batch.
    pub(super) fn update_moving(&self, graph: &mut Graph) {
        for (step, statistics) in self.program.steps.iter().zip(&self.norms) {
            if !step.is_barrier() {
                continue;
            }
            let Op::BatchNorm { momentum, .. } = graph.node(step.node).op else { continue };
            for (role, param) in graph.weights_mut(step.node) {
                let batch = match role {
                    WeightRole::MovingMean => &statistics.mean,
                    WeightRole::MovingVariance => &statistics.variance,
                    _ => continue,
                };
                for (moving, batch) in param.data.iter_mut().zip(batch) {
                    *moving = *moving * momentum + batch * (1.0 - momentum);
                }
            }
        }
    }
}

fn prepare(
    graph: &Graph,
    quantization: &[Quantization],
    step: &Step,
    packed: &mut Packed,
    norm: &mut Statistics,
) {
    // Of what the weights meet.
    let input = graph.node(step.node).inputs.first().and_then(|id| quantization.get(id.index()));
    let rounded = input.and_then(|input| rounded_weights(graph, step.node, *input));
    match (&step.work, &graph.node(step.node).op) {
        (
            Work::Conv { backward, channels, outputs, .. },
            Op::Conv { filter: weights, .. } | Op::Dense { weights, .. },
        ) => {
            let (channels, outputs) = (*channels, *outputs);
            let weights = rounded.as_ref().unwrap_or(&weights.data);
            let depth = weights.len() / outputs;
            packed.forward.pack(depth, outputs, |at, output| weights[output * depth + at]);
            packed.backward.resize_with(backward.parts.len(), Default::default);
            let parts: &[Part] = if step.passes { &backward.parts } else { &[] };
            for (part, panels) in parts.iter().zip(&mut packed.backward) {
                panels.pack(part.taps.len() * outputs, channels, |at, channel| {
                    let (tap, output) = (part.taps[at / outputs].0, at % outputs);
                    weights[output * depth + tap * channels + channel]
                });
            }
        }
        (Work::Depthwise { .. }, Op::DepthwiseConv { filter, .. }) => {
            packed.depthwise.clone_from(rounded.as_ref().unwrap_or(&filter.data));
        }
        (_, Op::BatchNorm { mean, variance, epsilon, .. }) => {
            *norm = Statistics::new(mean.data.clone(), variance.data.clone(), *epsilon);
        }
        _ => {}
    }
}

/// Gradients of gamma and beta, and what [`norm::backward`](super::norm::backward) subtracts.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "f64 sums")]
fn norm_factors(
    chunks: &[Chunk],
    index: usize,
    program: &Program,
    statistics: &Statistics,
) -> (Vec<f32>, Vec<f32>, [Vec<f32>; 2]) {
    let channels = statistics.mean.len();
    let step = &program.steps[index];
    let pixels: usize = chunks.iter().map(|chunk| chunk.pictures * step.len / channels).sum();
    let (mut gamma, mut beta, mut a, mut b) = (vec![], vec![], vec![], vec![]);
    for channel in 0..channels {
        let slopes: f64 = chunks.iter().map(|chunk| chunk.sums.0[channel]).sum();
        let products: f64 = chunks.iter().map(|chunk| chunk.sums.1[channel]).sum();
        let inverse = f64::from(statistics.inverse[channel]);
        gamma.push((products * inverse) as f32);
        beta.push(slopes as f32);
        a.push((slopes / pixels as f64) as f32);
        b.push((products * inverse * inverse / pixels as f64) as f32);
    }
    (gamma, beta, [a, b])
}

fn channels(graph: &Graph, step: &Step) -> usize {
    graph.node(step.node).shape.channels()
}

fn epsilon(graph: &Graph, step: &Step) -> f32 {
    match graph.node(step.node).op {
        Op::BatchNorm { epsilon, .. } => epsilon,
        _ => 0.0,
    }
}

/// Pictures in a batch.
fn count(batch: &[f32], inputs: usize) -> Result<usize, TrainError> {
    let pictures = batch.len().div_ceil(inputs).max(1);
    fits("input elements", pictures * inputs, batch.len())?;
    Ok(pictures)
}

fn fits(what: &'static str, expected: usize, found: usize) -> Result<(), TrainError> {
    if expected == found { Ok(()) } else { Err(TrainError::Batch { what, expected, found }) }
}
