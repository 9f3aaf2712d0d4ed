//! `quantized::Network -> Program`: the contract's numbers, the target's layouts, the plan.

mod half;

use mote_engine::format::{self, NO_TENSOR, Numerics, OpKind};
use mote_kernels::{
    Clamp, Geometry, Isa, Layout, Window, conv_s8, depthwise_conv_s8, fully_connected_s8,
    pointwise_conv_s8,
};
use thiserror::Error;

use crate::plan::{self, Block};
use crate::quantize::{FixedPoint, quantize_multiplier};
use crate::quantized::{HalfOp, Network, Node, Op, Weights};
use crate::target::Target;

/// Everything a blob says, before it is bytes.
#[derive(Clone, Debug)]
pub struct Program {
    /// The contract.
    pub numerics: Numerics,
    /// Bytes of arena.
    pub arena_bytes: usize,
    /// The input, then the output of each operation.
    pub tensors: Vec<format::Tensor>,
    /// Operations; weights and tables are placed.
    pub ops: Vec<format::Op>,
    /// Per-channel tables.
    pub parameters: Vec<u8>,
    /// Packed weights.
    pub weights: Vec<i8>,
    /// Names of the tensors.
    pub names: Vec<String>,
}

/// A network that the engine cannot hold, with the layer that makes it so.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LowerError {
    /// A shape or window out of the engine's range.
    #[error("layer `{layer}`: {fault}")]
    Shape {
        /// Its name.
        layer: String,
        /// What is out of range.
        fault: mote_kernels::ShapeError,
    },
    /// A factor between scales that has no fixed-point form.
    #[error(
        "layer `{layer}`: the factor {factor} between its scales is out of range; its weights or activations are degenerate"
    )]
    Factor {
        /// Its name.
        layer: String,
        /// The factor.
        factor: f64,
    },
    /// More than a blob can say.
    #[error("the network has {what} than a blob can hold")]
    TooLarge {
        /// What is too large.
        what: &'static str,
    },
}

/// Lowers `network` for `target` under a contract.
///
/// # Errors
/// [`LowerError`] naming the layer.
pub fn lower(network: &Network, target: Target, numerics: Numerics) -> Result<Program, LowerError> {
    if network.nodes.len() < 2 {
        return Err(LowerError::TooLarge { what: "fewer operations" });
    }
    if network.nodes.len() > format::MAX_OPS + 1 {
        return Err(LowerError::TooLarge { what: "more operations" });
    }
    let mut lowering = Lowering {
        network,
        isa: target.isa,
        numerics,
        ops: Vec::new(),
        parameters: Vec::new(),
        weights: Vec::new(),
    };
    for position in 1..network.nodes.len() {
        let op = lowering.op(position)?;
        lowering.ops.push(op);
    }
    lowering.finish()
}

struct Lowering<'n> {
    network: &'n Network,
    isa: Isa,
    numerics: Numerics,
    ops: Vec<format::Op>,
    parameters: Vec<u8>,
    weights: Vec<i8>,
}

impl Lowering<'_> {
    fn op(&mut self, position: usize) -> Result<format::Op, LowerError> {
        let network = self.network;
        let node = &network.nodes[position];
        let input = &network.nodes[node.inputs[0]];
        let mut op =
            format::Op { inputs: [index(node.inputs[0])?, NO_TENSOR], ..Default::default() };
        set_window(&mut op, &Window::UNIT, node)?;
        set_clamp(&mut op, Clamp::NONE);
        let kind = match &node.op {
            Op::Input => return Err(LowerError::TooLarge { what: "more inputs" }),
            Op::Conv { weights, window, clamp } => {
                let geometry = geometry(node, input, *window)?;
                set_clamp(&mut op, *clamp);
                if *window == Window::UNIT {
                    let (channels, depth) = (weights.channels(), weights.depth);
                    let layout = pointwise_conv_s8::layout(self.isa, channels, depth);
                    self.set_weights(&mut op, node, input, weights, layout)?;
                    op.scratch_bytes =
                        small(pointwise_conv_s8::scratch_bytes(self.isa, channels, depth))?;
                    OpKind::PointwiseConv
                } else {
                    set_window(&mut op, window, node)?;
                    let layout = conv_s8::layout(self.isa, &geometry);
                    self.set_weights(&mut op, node, input, weights, layout)?;
                    op.scratch_bytes = small(conv_s8::scratch_bytes(self.isa, &geometry))?;
                    OpKind::Conv
                }
            }
            Op::DepthwiseConv { weights, window, clamp } => {
                let geometry = geometry(node, input, *window)?;
                set_window(&mut op, window, node)?;
                set_clamp(&mut op, *clamp);
                let layout = depthwise_conv_s8::layout(self.isa, &geometry);
                self.set_weights(&mut op, node, input, weights, layout)?;
                op.scratch_bytes = small(depthwise_conv_s8::scratch_bytes(self.isa, &geometry))?;
                OpKind::DepthwiseConv
            }
            Op::FullyConnected { weights, clamp } => {
                set_clamp(&mut op, *clamp);
                let (channels, depth) = (weights.channels(), weights.depth);
                let layout = fully_connected_s8::layout(self.isa, channels, depth);
                self.set_weights(&mut op, node, input, weights, layout)?;
                op.scratch_bytes =
                    small(fully_connected_s8::scratch_bytes(self.isa, channels, depth))?;
                OpKind::FullyConnected
            }
            Op::Add { clamp } => {
                set_clamp(&mut op, *clamp);
                op.inputs[1] = index(node.inputs[1])?;
                let other = &network.nodes[node.inputs[1]];
                self.set_sum(&mut op, node, input, other)?;
                OpKind::Add
            }
            Op::AvgPool { window, clamp } | Op::MaxPool { window, clamp } => {
                geometry(node, input, *window)?;
                set_window(&mut op, window, node)?;
                set_clamp(&mut op, *clamp);
                if matches!(node.op, Op::AvgPool { .. }) {
                    OpKind::AvgPool
                } else {
                    OpKind::MaxPool
                }
            }
            Op::GlobalAvgPool => {
                self.set_mean(&mut op, node, input)?;
                OpKind::GlobalAvgPool
            }
            Op::Softmax { beta } => {
                set_softmax(&mut op, node, input, *beta)?;
                OpKind::Softmax
            }
            Op::Pad { top, left } => {
                op.pad = [step(*top, node)?, step(*left, node)?];
                OpKind::Pad
            }
            Op::Clamp(clamp) => {
                set_clamp(&mut op, *clamp);
                OpKind::Clamp
            }
            Op::Lookup(table) => {
                self.push_weights(&mut op, table.as_slice())?;
                OpKind::Lookup
            }
            Op::Half(half) => self.half(&mut op, node, input, half)?,
        };
        op.kind = kind.code();
        Ok(op)
    }

    fn set_weights(
        &mut self,
        op: &mut format::Op,
        node: &Node,
        input: &Node,
        weights: &Weights,
        layout: Layout,
    ) -> Result<(), LowerError> {
        let (channels, depth) = (weights.channels(), weights.depth);
        let layout = if layout.holds(&weights.values) { layout } else { Layout::PLAIN };
        let len = layout
            .packed_len(channels, depth)
            .ok_or(LowerError::TooLarge { what: "more weights" })?;
        let mut packed = vec![0; len];
        mote_kernels::pack(&weights.values, layout, channels, depth, &mut packed)
            .map_err(|fault| shape_error(node, fault))?;
        self.push_weights(op, &packed)?;
        op.layout = layout.code();

        let zero_point = i32::from(input.zero_point);
        let bias = weights.rows().zip(&weights.bias).map(|(row, bias)| {
            let sum: i32 = row.iter().map(|&w| i32::from(w)).fold(0, i32::wrapping_add);
            bias.wrapping_sub(sum.wrapping_mul(zero_point))
        });
        op.bias_offset = self.push_table(bias.map(i32::to_le_bytes))?;
        match self.numerics {
            Numerics::Tflite => {
                let factors = weights.scales.iter().map(|&scale| {
                    // The order of the operations is TFLite's: a product in double, then a
                    // quotient.
                    let product = f64::from(input.scale) * f64::from(scale);
                    fixed_point(node, product / f64::from(node.scale))
                });
                let factors = factors.collect::<Result<Vec<_>, _>>()?;
                op.multiplier_offset =
                    self.push_table(factors.iter().map(|f| f.multiplier.to_le_bytes()))?;
                op.shift_offset = self.push_table(factors.iter().map(|f| f.shift.to_le_bytes()))?;
            }
            Numerics::Fp32 => {
                let scales = weights.scales.iter().map(|&scale| input.scale * scale / node.scale);
                op.multiplier_offset = self.push_table(scales.map(f32::to_le_bytes))?;
            }
        }
        Ok(())
    }

    fn set_sum(
        &self,
        op: &mut format::Op,
        node: &Node,
        a: &Node,
        b: &Node,
    ) -> Result<(), LowerError> {
        match self.numerics {
            Numerics::Tflite => {
                const LEFT_SHIFT: i32 = 20;
                let twice_max = 2.0 * f64::from(a.scale.max(b.scale));
                let first = fixed_point(node, f64::from(a.scale) / twice_max)?;
                let second = fixed_point(node, f64::from(b.scale) / twice_max)?;
                let unit = f64::from(1 << LEFT_SHIFT) * f64::from(node.scale);
                let output = fixed_point(node, twice_max / unit)?;
                if output.shift > 0 {
                    let factor = twice_max / unit;
                    return Err(LowerError::Factor { layer: node.name.clone(), factor });
                }
                op.numbers[..7].copy_from_slice(&[
                    first.multiplier,
                    second.multiplier,
                    i32::from(first.shift),
                    i32::from(second.shift),
                    LEFT_SHIFT,
                    output.multiplier,
                    i32::from(output.shift),
                ]);
            }
            Numerics::Fp32 => {
                op.numbers[..4].copy_from_slice(&linear_sum(node, a, b)?);
            }
        }
        Ok(())
    }

    fn set_mean(&self, op: &mut format::Op, node: &Node, input: &Node) -> Result<(), LowerError> {
        let pixels = input.shape.pixels();
        let count =
            i32::try_from(pixels).map_err(|_| LowerError::TooLarge { what: "more pixels" })?;
        op.numbers[0] = -count * i32::from(input.zero_point);
        match self.numerics {
            Numerics::Tflite => {
                let mean =
                    mean_factor(node, f64::from(input.scale) / f64::from(node.scale), pixels)?;
                op.numbers[1] = mean.multiplier;
                op.numbers[2] = i32::from(mean.shift);
            }
            Numerics::Fp32 => {
                #[allow(clippy::cast_precision_loss, reason = "a pixel count is far below 2^24")]
                let scale = input.scale / (count as f32 * node.scale);
                op.numbers[1] = scale.to_bits().cast_signed();
            }
        }
        Ok(())
    }

    fn push_weights(&mut self, op: &mut format::Op, packed: &[i8]) -> Result<(), LowerError> {
        let start = self.weights.len().next_multiple_of(format::ALIGNMENT);
        self.weights.resize(start, 0);
        self.weights.extend_from_slice(packed);
        (op.weights_offset, op.weights_bytes) = (small(start)?, small(packed.len())?);
        Ok(())
    }

    fn push_table<const N: usize>(
        &mut self,
        entries: impl Iterator<Item = [u8; N]>,
    ) -> Result<u32, LowerError> {
        let start = self.parameters.len().next_multiple_of(4);
        self.parameters.resize(start, 0);
        self.parameters.extend(entries.flatten());
        small(start)
    }

    fn finish(mut self) -> Result<Program, LowerError> {
        let last_use = self.last_use();
        self.use_first_input_in_place(&last_use);
        let plan = self.plan(&last_use)?;
        let tensors = self
            .network
            .nodes
            .iter()
            .zip(&plan.tensors)
            .zip(&last_use)
            .map(|((node, &offset), &last_use)| {
                Ok(format::Tensor {
                    height: small(node.shape.height)?,
                    width: small(node.shape.width)?,
                    channels: small(node.shape.channels)?,
                    offset: small(offset)?,
                    scale: node.scale,
                    zero_point: node.zero_point,
                    element: node.element.code(),
                    last_use: index(last_use)?,
                    reserved: [0; 2],
                })
            })
            .collect::<Result<Vec<_>, LowerError>>()?;
        Ok(Program {
            numerics: self.numerics,
            arena_bytes: plan.arena_bytes,
            tensors,
            ops: plan.ops,
            parameters: self.parameters,
            weights: self.weights,
            names: self.network.nodes.iter().map(|node| node.name.clone()).collect(),
        })
    }

    /// For each tensor the last operation that reads it; the output is read after the last one.
    fn last_use(&self) -> Vec<usize> {
        let mut last_use = vec![0; self.network.nodes.len()];
        for (op, node) in self.network.nodes.iter().skip(1).enumerate() {
            for &input in &node.inputs {
                last_use[input] = op;
            }
        }
        if let Some(output) = last_use.last_mut() {
            *output = self.ops.len();
        }
        last_use
    }

    /// An addition works in place on its first input; where only the second is free, they swap.
    fn use_first_input_in_place(&mut self, last_use: &[usize]) {
        for (index, op) in self.ops.iter_mut().enumerate() {
            let is_half = op.kind == OpKind::AddF16.code();
            let is_sum = is_half || op.kind == OpKind::Add.code();
            if !is_sum || op.inputs[0] == op.inputs[1] {
                continue;
            }
            let free = |input: u16| last_use[usize::from(input)] == index;
            if !free(op.inputs[0]) && free(op.inputs[1]) {
                op.inputs.swap(0, 1);
                if is_half {
                    continue;
                }
                op.numbers.swap(0, 1);
                if self.numerics == Numerics::Tflite {
                    op.numbers.swap(2, 3);
                }
            }
        }
    }

    /// Whether operation `index` may write its output over its first input.
    fn may_work_in_place(&self, index: usize, last_use: &[usize]) -> bool {
        let op = &self.ops[index];
        let node = &self.network.nodes[index + 1];
        let input = usize::from(op.inputs[0]);
        if last_use[input] != index || op.inputs[0] == op.inputs[1] {
            return false;
        }
        match &node.op {
            Op::Add { .. } | Op::Clamp(_) | Op::Lookup(_) => true,
            Op::Half(HalfOp::Add { .. } | HalfOp::Clamp(_)) => true,
            Op::DepthwiseConv { window, .. } if depthwise_conv_s8::prefers_in_place(self.isa) => {
                geometry(node, &self.network.nodes[input], *window)
                    .is_ok_and(|geometry| depthwise_conv_s8::can_run_in_place(&geometry))
            }
            _ => false,
        }
    }

    fn plan(&self, last_use: &[usize]) -> Result<Plan, LowerError> {
        let is_depthwise = |index: usize| self.ops[index].kind == OpKind::DepthwiseConv.code();
        let mut in_place: Vec<bool> = (0..self.ops.len())
            .map(|index| !is_depthwise(index) && self.may_work_in_place(index, last_use))
            .collect();
        let mut best = self.plan_with(last_use, &in_place)?;
        // A depthwise convolution in place costs a ring of rows and their copies: only where it
        // stands at the peak.
        while let Some(index) = (0..self.ops.len()).find(|&index| {
            is_depthwise(index)
                && !in_place[index]
                && self.may_work_in_place(index, last_use)
                && best.live[index] == best.live.iter().copied().max().unwrap_or(0)
        }) {
            in_place[index] = true;
            let trial = self.plan_with(last_use, &in_place)?;
            if trial.arena_bytes > best.arena_bytes {
                break;
            }
            best = trial;
        }
        Ok(best)
    }

    fn plan_with(&self, last_use: &[usize], in_place: &[bool]) -> Result<Plan, LowerError> {
        let nodes = &self.network.nodes;
        let mut ops = self.ops.clone();
        let mut blocks: Vec<Block> = Vec::new();
        let mut block_of: Vec<usize> = Vec::with_capacity(nodes.len());
        let last_op = ops.len() - 1;
        for (tensor, node) in nodes.iter().enumerate() {
            let bytes = (node.shape.checked_len())
                .and_then(|len| len.checked_mul(node.element.bytes()))
                .ok_or_else(|| shape_error(node, mote_kernels::ShapeError::Extent))?;
            let last = last_use[tensor].min(last_op);
            let writer = tensor.checked_sub(1);
            if let Some(writer) = writer.filter(|&writer| in_place[writer]) {
                let block = block_of[usize::from(ops[writer].inputs[0])];
                blocks[block].last = last;
                blocks[block].bytes = blocks[block].bytes.max(bytes);
                block_of.push(block);
            } else {
                block_of.push(blocks.len());
                blocks.push(Block { first: writer.unwrap_or(0), last, bytes });
            }
        }
        let mut scratch_of = vec![None; ops.len()];
        for (index, op) in ops.iter_mut().enumerate() {
            if in_place[index] {
                op.flags |= format::IN_PLACE;
                if let Op::DepthwiseConv { window, .. } = &nodes[index + 1].op {
                    let input = &nodes[usize::from(op.inputs[0])];
                    let geometry = geometry(&nodes[index + 1], input, *window)?;
                    let bytes = depthwise_conv_s8::in_place_scratch_bytes(self.isa, &geometry);
                    op.scratch_bytes = small(bytes)?;
                }
            }
            if op.scratch_bytes > 0 {
                scratch_of[index] = Some(blocks.len());
                let bytes = op.scratch_bytes as usize;
                blocks.push(Block { first: index, last: index, bytes });
            }
        }
        let packing = plan::pack(&blocks);
        for (op, scratch) in ops.iter_mut().zip(&scratch_of) {
            if let Some(block) = *scratch {
                op.scratch_offset = small(packing.offsets[block])?;
            }
        }
        Ok(Plan {
            live: (0..ops.len()).map(|index| plan::live_bytes(&blocks, index)).collect(),
            ops,
            tensors: block_of.iter().map(|&block| packing.offsets[block]).collect(),
            arena_bytes: packing.arena_bytes,
        })
    }
}

struct Plan {
    ops: Vec<format::Op>,
    /// Offset of each tensor.
    tensors: Vec<usize>,
    /// Bytes needed during each operation.
    live: Vec<usize>,
    arena_bytes: usize,
}

/// XNNPACK's int8 addition: both multipliers share a shift that gives the larger one 21 bits.
fn linear_sum(node: &Node, a: &Node, b: &Node) -> Result<[i32; 4], LowerError> {
    let factors = [a.scale / node.scale, b.scale / node.scale];
    let largest = factors[0].max(factors[1]);
    let out_of_range = || LowerError::Factor { layer: node.name.clone(), factor: largest.into() };
    if !(largest.is_finite() && largest > 0.0) {
        return Err(out_of_range());
    }
    let (_, exponent) = libm::frexpf(largest);
    // `frexp` gives a significand below 1, so the exponent of 1.x is one less.
    let shift = 20 - (exponent - 1);
    if !(1..=31).contains(&shift) {
        return Err(out_of_range());
    }
    let multiplier = factors.map(|factor| {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "at most 21 bits by the choice of shift"
        )]
        let multiplier = libm::rint(libm::ldexp(f64::from(factor), shift)) as i32;
        multiplier
    });
    let zero_points =
        multiplier[0] * i32::from(a.zero_point) + multiplier[1] * i32::from(b.zero_point);
    let bias = (1_i32 << (shift - 1)).wrapping_sub(zero_points);
    Ok([multiplier[0], multiplier[1], bias, shift])
}

/// The factor of a mean: the count goes into the multiplier with as many bits as fit.
fn mean_factor(node: &Node, factor: f64, count: usize) -> Result<FixedPoint, LowerError> {
    let base = fixed_point(node, factor)?;
    let bits = i32::try_from(count.ilog2()).unwrap_or(31).min(32).min(31 + i32::from(base.shift));
    let bits = bits.max(0);
    let multiplier =
        (i64::from(base.multiplier) << bits) / i64::try_from(count).unwrap_or(i64::MAX);
    let shift = i32::from(base.shift) - bits;
    let error = || LowerError::Factor { layer: node.name.clone(), factor };
    Ok(FixedPoint {
        multiplier: i32::try_from(multiplier).map_err(|_| error())?,
        shift: i8::try_from(shift).map_err(|_| error())?,
    })
}

/// TFLite's softmax parameters: the input difference in Q5.26.
fn set_softmax(
    op: &mut format::Op,
    node: &Node,
    input: &Node,
    beta: f32,
) -> Result<(), LowerError> {
    const INTEGER_BITS: i32 = 5;
    // The least without a shift to the right. Finer steps, of a network that has learnt nothing, make all
    // probabilities equal: 255 steps change them by 2^-19 of themselves at most.
    const LEAST: f64 = 0.5;
    let largest = f64::from(i32::MAX);
    let unit = f64::from(1 << (31 - INTEGER_BITS));
    let factor = f64::from(beta) * f64::from(input.scale) * unit;
    let fixed = fixed_point(node, factor.clamp(LEAST, largest))?;
    let left_shift = i32::from(fixed.shift);
    let widest = f64::from((1 << INTEGER_BITS) - 1) * unit / libm::exp2(f64::from(left_shift));
    #[allow(clippy::cast_possible_truncation, reason = "at most 31 * 2^26")]
    let diff_min = -(libm::floor(widest) as i32);
    op.numbers[..3].copy_from_slice(&[fixed.multiplier, left_shift, diff_min]);
    Ok(())
}

fn fixed_point(node: &Node, factor: f64) -> Result<FixedPoint, LowerError> {
    quantize_multiplier(factor)
        .ok_or_else(|| LowerError::Factor { layer: node.name.clone(), factor })
}

fn geometry(node: &Node, input: &Node, window: Window) -> Result<Geometry, LowerError> {
    Geometry::new(input.shape, node.shape, window).map_err(|fault| shape_error(node, fault))
}

fn shape_error(node: &Node, fault: mote_kernels::ShapeError) -> LowerError {
    LowerError::Shape { layer: node.name.clone(), fault }
}

fn set_window(op: &mut format::Op, window: &Window, node: &Node) -> Result<(), LowerError> {
    op.kernel = [step(window.kernel_height, node)?, step(window.kernel_width, node)?];
    op.stride = [step(window.stride_height, node)?, step(window.stride_width, node)?];
    op.dilation = [step(window.dilation_height, node)?, step(window.dilation_width, node)?];
    op.pad = [step(window.pad_top, node)?, step(window.pad_left, node)?];
    Ok(())
}

fn set_clamp(op: &mut format::Op, clamp: Clamp) {
    (op.clamp_min, op.clamp_max) = (clamp.min, clamp.max);
}

fn step(value: usize, node: &Node) -> Result<u8, LowerError> {
    u8::try_from(value).map_err(|_| shape_error(node, mote_kernels::ShapeError::Extent))
}

fn index(value: usize) -> Result<u16, LowerError> {
    u16::try_from(value).map_err(|_| LowerError::TooLarge { what: "more operations" })
}

fn small(value: usize) -> Result<u32, LowerError> {
    u32::try_from(value).map_err(|_| LowerError::TooLarge { what: "more bytes" })
}
