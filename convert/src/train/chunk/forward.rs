//! What a step computes.

use pulp::Arch;

use super::elementwise::{drop_out, norm_scale, round};
use super::gathered::{multiply, multiply_depthwise, spread_channels};
use super::{Chunk, Shared};
use crate::graph::Op;
use crate::interpret::softmax;
use crate::train::norm::{self, Statistics};
use crate::train::pool;
use crate::train::program::Work;

impl Chunk {
    /// Runs one step forward, then lets go of what nothing reads any more.
    pub(in crate::train) fn forward(&mut self, shared: Shared<'_>, index: usize) {
        let step = &shared.program.steps[index];
        if !matches!(step.work, Work::Input) {
            let mut y = self.buffer(step.len * self.pictures);
            self.compute(shared, index, &mut y);
            self.values[step.output] = y;
        }
        for &read in step.inputs.iter().chain([&step.output]) {
            let keeps = shared.seed.is_some() && shared.program.keeps[read];
            if shared.program.last_reader[read] == index && !keeps {
                let value = core::mem::take(&mut self.values[read]);
                self.recycle(value);
            }
        }
    }

    fn compute(&mut self, shared: Shared<'_>, index: usize, y: &mut [f32]) {
        let step = &shared.program.steps[index];
        let node = shared.graph.node(step.node);
        let mut scratch = core::mem::take(&mut self.scratch);
        let x = &self.values[step.inputs[0]][..];
        let clamp = step.clamp;
        let below = shared.graph.input_shapes(step.node).next().unwrap_or(node.shape);
        match (&step.work, &node.op) {
            (
                Work::Conv { forward, channels, .. },
                Op::Conv { bias, .. } | Op::Dense { bias, .. },
            ) => {
                let bias = bias.as_ref().map(|bias| &bias.data[..]);
                let weights = [&shared.packed[index].forward];
                multiply(
                    forward,
                    self.pictures,
                    x,
                    weights,
                    *channels,
                    (bias, clamp),
                    y,
                    &mut scratch,
                );
            }
            (
                Work::Depthwise { forward, channels, multiplier, .. },
                Op::DepthwiseConv { bias, .. },
            ) => {
                let x = &*spread_channels(x, *multiplier);
                let bias = bias.as_ref().map(|bias| &bias.data[..]);
                multiply_depthwise(
                    forward,
                    self.pictures,
                    x,
                    &shared.packed[index].depthwise,
                    *channels,
                    (bias, clamp),
                    y,
                    &mut scratch,
                );
            }
            (Work::Norm { .. }, Op::BatchNorm { gamma, beta, .. }) => {
                let Statistics { mean, inverse, .. } = &shared.norms[index];
                let scale = norm_scale(gamma.as_ref().map(|gamma| &gamma.data[..]), inverse);
                let zeros;
                let beta = match beta {
                    Some(beta) => &beta.data,
                    None => {
                        zeros = vec![0.0; mean.len()];
                        &zeros
                    }
                };
                norm::forward(x, mean, &scale, beta, clamp, y);
            }
            (Work::Rescale { scale, offset }, _) => {
                norm::forward(x, &vec![0.0; scale.len()], scale, offset, clamp, y);
            }
            (Work::Add, _) => {
                let other = &self.values[step.inputs[1]][..];
                let y = &mut *y;
                Arch::new().dispatch(move || {
                    for ((y, a), b) in y.iter_mut().zip(x).zip(other) {
                        *y = (a + b).max(clamp.0).min(clamp.1);
                    }
                });
            }
            (Work::Clamp, _) => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = x.max(clamp.0).min(clamp.1);
                }
            }
            (Work::Dropout { rate }, _) => {
                y.copy_from_slice(x);
                if let Some(seed) = shared.seed {
                    drop_out(y, step.len, (seed, index, self.first), *rate);
                }
            }
            (Work::Round, _) => round(x, shared.quantization[step.node.index()], y),
            (Work::Softmax { beta }, _) => softmax((below, x), *beta, y),
            (_, op) => {
                let pictures = y.chunks_exact_mut(step.len).zip(x.chunks_exact(below.elements()));
                for (y, x) in pictures {
                    pool::forward(op, (below, x), (node.shape, y));
                }
                if step.clamp != (f32::NEG_INFINITY, f32::INFINITY) {
                    y.iter_mut().for_each(|y| *y = y.max(clamp.0).min(clamp.1));
                }
            }
        }
        self.scratch = scratch;
    }
}
