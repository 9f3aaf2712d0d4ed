//! A few pictures of a batch with all their buffers: what one thread works on.
//!
//! Every step runs on every chunk independently; only batch norms on the batch's statistics make chunks wait for each
//! other. A chunk's pictures depend on the batch alone, so that sums over chunks are the same on any number of threads.

use std::borrow::Cow;

use pulp::Arch;

use super::norm::{self, Moments, Statistics};
use super::product::Panels;
use super::program::{Program, Work};
use super::windows::Gather;
use super::{depthwise, pool, product};
use crate::graph::{Graph, Op, Quantization};
use crate::interpret::softmax;
use crate::random::SplitMix;

/// What all chunks share during a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'a> {
    pub(super) graph: &'a Graph,
    pub(super) program: &'a Program,
    /// A step each.
    pub(super) packed: &'a [Packed],
    /// A step each.
    pub(super) norms: &'a [Statistics],
    /// A node each, of quantization-aware training.
    pub(super) quantization: &'a [Quantization],
    /// Of the dropout layers; `None` outside training.
    pub(super) seed: Option<u64>,
}

/// A convolution's weights as the products want them.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    pub(super) forward: Panels,
    /// One for each part of the backward pass.
    pub(super) backward: Vec<Panels>,
    /// A depthwise one's, as they are.
    pub(super) depthwise: Vec<f32>,
}

/// Some pictures.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Place of the first one in the batch.
    pub(super) first: usize,
    pub(super) pictures: usize,
    pub(super) values: Vec<Vec<f32>>,
    /// Of the loss by the values.
    pub(super) slopes: Vec<Vec<f32>>,
    /// Of the loss by a step's weights and bias; convolutions' weights in [`Panels`]' layout.
    pub(super) gradients: Vec<[Vec<f32>; 2]>,
    /// Of the input of the batch norm that comes next.
    pub(super) moments: Moments,
    /// See [`norm::gradient_sums`].
    pub(super) sums: (Vec<f64>, Vec<f64>),
    /// Sum of the losses, and correct answers.
    pub(super) loss: f64,
    pub(super) correct: usize,
    free: Vec<Vec<f32>>,
    scratch: Vec<f32>,
}

impl Chunk {
    /// Takes in new pictures.
    pub(super) fn start(&mut self, program: &Program, first: usize, inputs: &[f32]) {
        self.first = first;
        self.values.resize_with(program.buffers, Vec::new);
        self.slopes.resize_with(program.buffers, Vec::new);
        self.gradients.resize_with(program.steps.len(), Default::default);
        for buffer in self.values.iter_mut().chain(&mut self.slopes) {
            if buffer.capacity() > 0 {
                self.free.push(core::mem::take(buffer));
            }
        }
        let input = program.steps.iter().find(|step| matches!(step.work, Work::Input));
        if let Some(input) = input {
            self.pictures = inputs.len() / input.len;
            let mut values = self.buffer(inputs.len());
            values.copy_from_slice(inputs);
            self.values[input.output] = values;
        }
    }

    /// A buffer whose contents do not matter; the one that fits best.
    pub(super) fn buffer(&mut self, len: usize) -> Vec<f32> {
        let fits = self.free.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= len);
        let best = fits.min_by_key(|(_, buffer)| buffer.capacity()).map(|(index, _)| index);
        let mut buffer = match best {
            Some(index) => self.free.swap_remove(index),
            None => Vec::with_capacity(len),
        };
        buffer.resize(len, 0.0);
        buffer
    }

    fn recycle(&mut self, buffer: Vec<f32>) {
        if buffer.capacity() > 0 {
            self.free.push(buffer);
        }
    }

    /// Runs one step forward, then lets go of what nothing reads any more.
    pub(super) fn forward(&mut self, shared: Shared<'_>, index: usize) {
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

    /// Runs one step backward: from its output's slopes to its weights' gradients and its inputs' slopes.
    pub(super) fn backward(
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
    pub(super) fn norm_sums(&mut self, shared: Shared<'_>, index: usize) {
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

/// `gamma / sqrt(variance + epsilon)`.
fn norm_scale(gamma: Option<&[f32]>, inverse: &[f32]) -> Vec<f32> {
    match gamma {
        Some(gamma) => gamma.iter().zip(inverse).map(|(gamma, inverse)| gamma * inverse).collect(),
        None => inverse.to_vec(),
    }
}

/// No slope where the activation clamped.
fn mask(dy: &mut [f32], y: &[f32], (min, max): (f32, f32)) {
    if (min, max) != (f32::NEG_INFINITY, f32::INFINITY) {
        // A product, since a choice would not become vector code.
        let factor = move |y: f32| f32::from(u8::from(y > min) & u8::from(y < max));
        Arch::new().dispatch(move || dy.iter_mut().zip(y).for_each(|(dy, y)| *dy *= factor(*y)));
    }
}

/// To the nearest of 256 steps.
#[allow(clippy::cast_precision_loss, reason = "a zero point lies within int8")]
fn round(x: &[f32], Quantization { scale, zero_point }: Quantization, y: &mut [f32]) {
    let zero = zero_point as f32;
    Arch::new().dispatch(move || {
        for (y, x) in y.iter_mut().zip(x) {
            let step = (x / scale).round_ties_even().max(-128.0 - zero).min(127.0 - zero);
            *y = step * scale;
        }
    });
}

/// Between which numbers rounding does not clip.
#[allow(clippy::cast_precision_loss, reason = "a zero point lies within int8")]
fn ends(Quantization { scale, zero_point }: Quantization) -> (f32, f32) {
    let end = |step: f32| (step - zero_point as f32) * scale;
    (end(-128.5), end(127.5))
}

fn pictures(values: &[f32], count: usize) -> core::slice::ChunksExact<'_, f32> {
    values.chunks_exact(values.len() / count)
}

#[allow(clippy::too_many_arguments, reason = "what a product is made of")]
fn multiply<'p>(
    gather: &Gather,
    count: usize,
    x: &[f32],
    weights: impl IntoIterator<Item = &'p Panels> + Copy,
    channels: usize,
    (bias, clamp): (Option<&[f32]>, (f32, f32)),
    y: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let run = |x: &[f32], part, weights, y: &mut [f32]| {
        Arch::new().dispatch(product::Multiply { x, part, channels, weights, bias, clamp, y });
    };
    if let (Some(part), Some(weights)) = (gather.flattened(count), weights.into_iter().next()) {
        return run(x, &part, weights, y);
    }
    let len = y.len() / count;
    for (x, y) in pictures(x, count).zip(y.chunks_exact_mut(len)) {
        let x = gather.padded(x, scratch);
        for (part, weights) in gather.parts.iter().zip(weights) {
            run(x, part, weights, y);
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "what a product is made of")]
fn multiply_depthwise(
    gather: &Gather,
    count: usize,
    x: &[f32],
    weights: &[f32],
    channels: usize,
    (bias, clamp): (Option<&[f32]>, (f32, f32)),
    y: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let len = y.len() / count;
    for (x, y) in pictures(x, count).zip(y.chunks_exact_mut(len)) {
        let x = gather.padded(x, scratch);
        for part in &gather.parts {
            let y = &mut *y;
            Arch::new().dispatch(depthwise::Multiply {
                x,
                part,
                weights,
                bias,
                channels,
                clamp,
                y,
            });
        }
    }
}

fn correlate(
    gather: &Gather,
    count: usize,
    x: &[f32],
    dy: &[f32],
    (channels, width): (usize, usize),
    gradient: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let mut run = |x: &[f32], part, dy: &[f32]| {
        Arch::new().dispatch(product::Correlate { x, part, channels, dy, width, gradient });
    };
    if let Some(part) = gather.flattened(count) {
        return run(x, &part, dy);
    }
    for (x, dy) in pictures(x, count).zip(pictures(dy, count)) {
        run(gather.padded(x, scratch), &gather.parts[0], dy);
    }
}

/// Every channel `multiplier` times.
fn spread_channels(x: &[f32], multiplier: usize) -> Cow<'_, [f32]> {
    match multiplier {
        1 => Cow::Borrowed(x),
        _ => x.iter().flat_map(|&x| core::iter::repeat_n(x, multiplier)).collect(),
    }
}

/// Zeroes a share of the elements and scales up the others. What is dropped depends on the seed, the layer and the
/// picture's place in the batch.
pub(super) fn drop_out(
    values: &mut [f32],
    len: usize,
    (seed, step, first): (u64, usize, usize),
    rate: f32,
) {
    let scale = 1.0 / (1.0 - rate);
    for (picture, values) in values.chunks_exact_mut(len).enumerate() {
        let mut random = SplitMix::new(
            SplitMix::mix(seed)
                ^ SplitMix::mix(step as u64).rotate_left(1)
                ^ SplitMix::mix((first + picture) as u64).rotate_left(2),
        );
        for value in values {
            *value = if random.unit() < rate { 0.0 } else { *value * scale };
        }
    }
}
