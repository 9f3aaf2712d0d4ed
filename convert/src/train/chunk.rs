//! A few pictures of a batch with all their buffers: what one thread works on.
//!
//! Every step runs on every chunk independently; only batch norms on the batch's statistics make chunks wait for each
//! other. A chunk's pictures depend on the batch alone, so that sums over chunks are the same on any number of threads.

mod backward;
mod elementwise;
mod forward;
mod gathered;

#[cfg(test)]
pub(super) use elementwise::drop_out;

use super::norm::{Moments, Statistics};
use super::product::Panels;
use super::program::{Program, Work};
use crate::graph::{Graph, Quantization};

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
    /// See [`gradient_sums`](super::norm::gradient_sums).
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
}
