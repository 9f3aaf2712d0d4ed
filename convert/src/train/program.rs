//! A graph as a list of steps over numbered buffers: everything that is known before the first batch.

use super::TrainError;
use super::windows::Gather;
use crate::graph::{Activation, Graph, Node, NodeId, Op, Shape, Window};
use crate::quantize::is_rounded;

/// One node's work.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) node: NodeId,
    pub(super) work: Work,
    /// Buffers.
    pub(super) inputs: Vec<usize>,
    /// Buffer.
    pub(super) output: usize,
    /// Elements of the output of one picture.
    pub(super) len: usize,
    /// Of the activation that comes last, its own or a fused one.
    pub(super) clamp: (f32, f32),
    /// Whether its weights get gradients.
    pub(super) trains: bool,
    /// Whether anything below it gets gradients.
    pub(super) passes: bool,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Input,
    /// Convolutions and dense layers.
    Conv {
        forward: Gather,
        backward: Gather,
        channels: usize,
        outputs: usize,
    },
    Depthwise {
        forward: Gather,
        backward: Gather,
        channels: usize,
        multiplier: usize,
    },
    /// Whether on the batch's statistics.
    Norm {
        trains: bool,
    },
    Clamp,
    Add,
    AvgPool,
    MaxPool,
    GlobalAvgPool,
    Pad,
    Dropout {
        rate: f32,
    },
    /// Rounds to the int8 steps of the node and back; slopes pass where nothing was clipped.
    Round,
    Softmax {
        beta: f32,
    },
    Rescale {
        scale: Vec<f32>,
        offset: Vec<f32>,
    },
}

impl Step {
    /// Whether the backward pass has anything to do here.
    pub(super) fn has_gradient(&self) -> bool {
        self.trains || self.passes
    }

    /// Whether it needs the whole batch before it can go on.
    pub(super) fn is_barrier(&self) -> bool {
        matches!(self.work, Work::Norm { trains: true })
    }
}

/// All steps in order.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) buffers: usize,
    /// The buffer that the network ends in.
    pub(super) output: usize,
    /// The buffer that the loss reads, and the final softmax's factor.
    pub(super) scores: usize,
    pub(super) beta: f32,
    /// Steps that training runs: the loss has the final softmax in it.
    pub(super) training_steps: usize,
    /// For every buffer: whether its gradient is wanted, whether the backward pass reads it, its last reader.
    pub(super) wants: Vec<bool>,
    pub(super) keeps: Vec<bool>,
    pub(super) last_reader: Vec<usize>,
}

impl Program {
    /// Of a graph as its nodes are marked trainable now; `rounds` adds the rounding of quantization.
    pub(super) fn new(graph: &Graph, rounds: bool) -> Result<Self, TrainError> {
        let readers = graph.readers();
        let mut buffers: Vec<usize> = Vec::new();
        let mut wants = vec![false; graph.nodes().len()];
        let mut steps: Vec<Step> = Vec::new();
        for (id, node) in graph.iter() {
            let inputs: Vec<usize> =
                node.inputs.iter().map(|input| buffers[input.index()]).collect();
            if let Some(&input) = inputs.first() {
                let below = node.inputs[0];
                let sees_alone = readers[below.index()].len() == 1 && below != graph.output();
                if is_view(&node.op) {
                    buffers.push(input);
                    continue;
                }
                if let (Op::Activation(activation), Some(step)) = (&node.op, steps.last_mut())
                    && sees_alone
                    && step.node == below
                    && step.clamp == Activation::None.range()
                    && can_fuse(&step.work)
                {
                    step.clamp = activation.range();
                    buffers.push(input);
                    continue;
                }
            }
            let passes = inputs.iter().any(|&input| wants[input]);
            let trains = node.trainable_parameters() > 0;
            let output = id.index();
            wants[output] = trains || passes;
            steps.push(Step {
                node: id,
                work: work(graph, id, node)?,
                inputs,
                output,
                len: node.shape.elements(),
                clamp: node.op.activation().unwrap_or(Activation::None).range(),
                trains,
                passes,
            });
            buffers.push(output);
            if rounds && is_rounded(&node.op) {
                let rounded = wants.len();
                wants.push(wants[output]);
                steps.push(Step {
                    node: id,
                    work: Work::Round,
                    inputs: vec![output],
                    output: rounded,
                    len: node.shape.elements(),
                    clamp: Activation::None.range(),
                    trains: false,
                    passes: wants[output],
                });
                buffers[id.index()] = rounded;
            }
        }
        Ok(Self::finish(steps, buffers[graph.output().index()], wants))
    }

    fn finish(steps: Vec<Step>, output: usize, wants: Vec<bool>) -> Self {
        let mut keeps = vec![false; wants.len()];
        let mut last_reader = vec![0; wants.len()];
        for (index, step) in steps.iter().enumerate() {
            for &input in &step.inputs {
                last_reader[input] = index;
                keeps[input] |= step.has_gradient();
            }
            keeps[step.output] |= step.has_gradient();
            last_reader[step.output] = index;
        }
        last_reader[output] = usize::MAX;
        let (mut scores, mut beta, mut training_steps) = (output, 1.0, steps.len());
        if let Some(Step { work: Work::Softmax { beta: factor }, inputs, output: own, .. }) =
            steps.last()
            && *own == output
        {
            (scores, beta, training_steps) = (inputs[0], *factor, steps.len() - 1);
            last_reader[scores] = last_reader[scores].max(training_steps);
        }
        let buffers = wants.len();
        Self { steps, buffers, output, scores, beta, training_steps, wants, keeps, last_reader }
    }

    /// The parts that run without a barrier, as ranges of steps; every part but the first starts with a batch norm.
    pub(super) fn parts(&self) -> Vec<core::ops::Range<usize>> {
        let steps = &self.steps[..self.training_steps];
        let barriers = (steps.iter().enumerate())
            .filter(|(_, step)| step.is_barrier())
            .map(|(index, _)| index);
        let starts: Vec<usize> = core::iter::once(0).chain(barriers).collect();
        let ends = starts.iter().skip(1).copied().chain([self.training_steps]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    }
}

/// Whether the op leaves its numbers as they are.
fn is_view(op: &Op) -> bool {
    match op {
        Op::Dropout { rate } => *rate == 0.0,
        Op::Reshape(_) | Op::Flatten | Op::Requantize => true,
        _ => false,
    }
}

fn can_fuse(work: &Work) -> bool {
    matches!(
        work,
        Work::Conv { .. }
            | Work::Depthwise { .. }
            | Work::Norm { .. }
            | Work::Add
            | Work::AvgPool
            | Work::MaxPool
    )
}

fn work(graph: &Graph, id: NodeId, node: &Node) -> Result<Work, TrainError> {
    let below = graph.input_shapes(id).next().unwrap_or(node.shape);
    let gathers = |window: &Window, below: Shape, outputs: usize| {
        let (input, output, channels) = (below.extent(), node.shape.extent(), below.channels());
        (
            Gather::forward(window, input, output, (channels, outputs)),
            Gather::backward(window, input, output, (outputs, channels)),
        )
    };
    Ok(match &node.op {
        Op::Input => Work::Input,
        Op::Conv { filter, window, .. } => {
            let (channels, outputs) = (below.channels(), filter.shape[0]);
            let (forward, backward) = gathers(window, below, outputs);
            Work::Conv { forward, backward, channels, outputs }
        }
        Op::Dense { weights, .. } => {
            let (channels, outputs) = (below.elements(), weights.shape[0]);
            let (forward, backward) = gathers(&Window::POINT, Shape::Vector(channels), outputs);
            Work::Conv { forward, backward, channels, outputs }
        }
        Op::DepthwiseConv { filter, window, .. } => {
            let channels = filter.shape[3];
            let (input, output) = (below.extent(), node.shape.extent());
            Work::Depthwise {
                forward: Gather::forward(window, input, output, (channels, channels)),
                backward: Gather::backward(window, input, output, (channels, channels)),
                channels,
                multiplier: channels / below.channels(),
            }
        }
        Op::BatchNorm { .. } => Work::Norm { trains: node.trainable },
        Op::Activation(_) => Work::Clamp,
        Op::Add { .. } => Work::Add,
        Op::AvgPool { .. } => Work::AvgPool,
        Op::MaxPool { .. } => Work::MaxPool,
        Op::GlobalAvgPool { .. } => Work::GlobalAvgPool,
        Op::Pad(_) => Work::Pad,
        Op::Dropout { rate } => Work::Dropout { rate: *rate },
        Op::Softmax { beta } => Work::Softmax { beta: *beta },
        Op::Rescale { scale, offset } => {
            let channels = below.channels();
            let all = |values: &[f32]| values.iter().copied().cycle().take(channels).collect();
            Work::Rescale { scale: all(scale), offset: all(offset) }
        }
        #[allow(
            unreachable_patterns,
            reason = "what the graph learns later needs a gradient first"
        )]
        _ => {
            return Err(TrainError::Unsupported {
                layer: node.name.clone(),
                kind: node.op.kind(),
                reason: "the trainer has no gradient for it; freeze it and all layers below it in a network of their own",
            });
        }
    })
}
