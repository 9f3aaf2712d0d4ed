//! What the slopes of a step's output say about its weights and inputs.

use pulp::Arch;

use super::elementwise::{drop_out, ends, mask, norm_scale};
use super::gathered::{correlate, multiply, multiply_depthwise, pictures, spread_channels};
use super::{Chunk, Shared};
use crate::graph::Op;
use crate::train::norm::{self, Statistics};
use crate::train::product::Panels;
use crate::train::program::Work;
use crate::train::{depthwise, pool};

impl Chunk {
    /// Runs one step backward: from its output's slopes to its weights' gradients and its inputs' slopes.
    pub(in crate::train) fn backward(
        &mut self,
        shared: Shared<'_>,
        index: usize,
        norm: Option<&[Vec<f32>; 2]>,
    ) {
        let step = &shared.program.steps[index];
        let mut dy = core::mem::take(&mut self.slopes[step.output]);
        if norm.is_none() {
            mask(&mut dy, &self.values[step.output], step.clamp);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        if step.trains {
            self.weight_gradients(shared, index, &dy, &mut scratch);
        }
        if step.passes {
            self.pass_on(shared, index, dy, norm, &mut scratch);
        } else {
            self.recycle(dy);
        }
        self.scratch = scratch;
    }

    /// The sums over this chunk that a batch norm's gradients need.
    pub(in crate::train) fn norm_sums(&mut self, shared: Shared<'_>, index: usize) {
        let step = &shared.program.steps[index];
        mask(&mut self.slopes[step.output], &self.values[step.output], step.clamp);
        let (x, dy) = (&self.values[step.inputs[0]], &self.slopes[step.output]);
        self.sums = norm::gradient_sums(x, dy, &shared.norms[index].mean);
    }

    fn weight_gradients(
        &mut self,
        shared: Shared<'_>,
        index: usize,
        dy: &[f32],
        scratch: &mut Vec<f32>,
    ) {
        let step = &shared.program.steps[index];
        let x = &self.values[step.inputs[0]][..];
        let [weights, bias] = &mut self.gradients[index];
        weights.clear();
        let outputs = match &step.work {
            Work::Conv { forward, channels, outputs, .. } => {
                let depth = forward.parts[0].taps.len() * channels;
                weights.resize(Panels::len(depth, *outputs), 0.0);
                correlate(forward, self.pictures, x, dy, (*channels, *outputs), weights, scratch);
                *outputs
            }
            Work::Depthwise { forward, channels, multiplier, .. } => {
                weights.resize(forward.parts[0].taps.len() * channels, 0.0);
                let x = &*spread_channels(x, *multiplier);
                for (x, dy) in pictures(x, self.pictures).zip(pictures(dy, self.pictures)) {
                    Arch::new().dispatch(depthwise::Correlate {
                        x: forward.padded(x, scratch),
                        part: &forward.parts[0],
                        dy,
                        channels: *channels,
                        gradient: weights,
                    });
                }
                *channels
            }
            // Batch norms' come from their sums.
            _ => return,
        };
        let sums = norm::column_sums(outputs, dy, dy, |_, dy, _| dy, &vec![0.0; outputs]);
        #[allow(clippy::cast_possible_truncation, reason = "a gradient in f32")]
        let sums = sums.into_iter().map(|sum| sum as f32);
        bias.clear();
        bias.extend(sums);
    }

    fn pass_on(
        &mut self,
        shared: Shared<'_>,
        index: usize,
        mut dy: Vec<f32>,
        norm: Option<&[Vec<f32>; 2]>,
        scratch: &mut Vec<f32>,
    ) {
        let step = &shared.program.steps[index];
        let node = shared.graph.node(step.node);
        let input = step.inputs[0];
        let below = shared.graph.input_shapes(step.node).next().unwrap_or(node.shape);
        match (&step.work, &node.op) {
            (Work::Conv { backward, outputs, .. }, _) => {
                let mut dx = self.buffer(below.elements() * self.pictures);
                let weights = &shared.packed[index].backward;
                let unbounded = (f32::NEG_INFINITY, f32::INFINITY);
                multiply(
                    backward,
                    self.pictures,
                    &dy,
                    weights,
                    *outputs,
                    (None, unbounded),
                    &mut dx,
                    scratch,
                );
                self.recycle(core::mem::replace(&mut dy, dx));
            }
            (Work::Depthwise { backward, channels, multiplier, .. }, _) => {
                let mut dx = self.buffer(below.elements() * multiplier * self.pictures);
                let unbounded = (f32::NEG_INFINITY, f32::INFINITY);
                multiply_depthwise(
                    backward,
                    self.pictures,
                    &dy,
                    &shared.packed[index].depthwise,
                    *channels,
                    (None, unbounded),
                    &mut dx,
                    scratch,
                );
                if *multiplier > 1 {
                    dx = dx.chunks_exact(*multiplier).map(|dx| dx.iter().sum()).collect();
                }
                self.recycle(core::mem::replace(&mut dy, dx));
            }
            (Work::Norm { .. }, Op::BatchNorm { gamma, .. }) => {
                let Statistics { mean, inverse, .. } = &shared.norms[index];
                let scale = norm_scale(gamma.as_ref().map(|gamma| &gamma.data[..]), inverse);
                match norm {
                    Some([a, b]) => {
                        norm::backward(&self.values[input], &mut dy, mean, &scale, [a, b]);
                    }
                    None => norm::scale(&mut dy, &scale),
                }
            }
            (Work::Rescale { scale, .. }, _) => norm::scale(&mut dy, scale),
            (Work::Add, _) => {
                let other = step.inputs[1];
                if shared.program.wants[other] {
                    let mut copy = self.buffer(dy.len());
                    copy.copy_from_slice(&dy);
                    self.add_slopes(other, copy);
                }
            }
            (Work::Clamp | Work::Input, _) => {}
            (Work::Dropout { rate }, _) => {
                if let Some(seed) = shared.seed {
                    drop_out(&mut dy, step.len, (seed, index, self.first), *rate);
                }
            }
            (Work::Round, _) => {
                mask(&mut dy, &self.values[input], ends(shared.quantization[step.node.index()]));
            }
            (Work::Softmax { beta }, _) => {
                let channels = below.channels();
                let rows = dy.chunks_exact_mut(channels);
                for (dy, y) in rows.zip(self.values[step.output].chunks_exact(channels)) {
                    let dot: f32 = dy.iter().zip(y).map(|(dy, y)| dy * y).sum();
                    dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = beta * y * (*dy - dot));
                }
            }
            (_, op) => {
                let len = below.elements();
                let mut dx = self.buffer(len * self.pictures);
                dx.fill(0.0);
                let x = self.values[input].chunks_exact(len);
                for ((dx, x), dy) in dx.chunks_exact_mut(len).zip(x).zip(dy.chunks_exact(step.len))
                {
                    pool::backward(op, (below, x), (node.shape, dy), dx);
                }
                self.recycle(core::mem::replace(&mut dy, dx));
            }
        }
        if shared.program.wants[input] {
            self.add_slopes(input, dy);
        } else {
            self.recycle(dy);
        }
    }

    fn add_slopes(&mut self, buffer: usize, slopes: Vec<f32>) {
        let own = &mut self.slopes[buffer];
        if own.is_empty() {
            *own = slopes;
            return;
        }
        Arch::new().dispatch(|| own.iter_mut().zip(&slopes).for_each(|(own, more)| *own += more));
        self.recycle(slopes);
    }
}
