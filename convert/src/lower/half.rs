//! Operations on halves: the same windows and layouts, bounds in f32, no scales.

use bytemuck::cast_slice;
use mote_engine::format::{self, OpKind};
use mote_kernels::{
    ClampF16, F16, Layout, Window, conv_f16, depthwise_conv_f16, fully_connected_f16, pack_f16,
    pointwise_conv_f16,
};

use super::{LowerError, Lowering, geometry, index, set_window, shape_error, small, step};
use crate::quantized::{HalfOp, HalfWeights, Node};

impl Lowering<'_> {
    /// Fills in what follows the inputs; gives the kind.
    pub(super) fn half(
        &mut self,
        op: &mut format::Op,
        node: &Node,
        input: &Node,
        half: &HalfOp,
    ) -> Result<OpKind, LowerError> {
        Ok(match half {
            HalfOp::Conv { weights, window, clamp } => {
                let geometry = geometry(node, input, *window)?;
                set_clamp(op, *clamp);
                let (channels, depth) = (weights.bias.len(), weights.depth);
                if *window == Window::UNIT {
                    let layout = pointwise_conv_f16::layout(self.isa, channels, depth);
                    let scratch = pointwise_conv_f16::scratch_bytes(self.isa, channels, depth);
                    self.set_half_weights(op, node, weights, layout)?;
                    op.scratch_bytes = small(scratch)?;
                    OpKind::PointwiseConvF16
                } else {
                    set_window(op, window, node)?;
                    self.set_half_weights(
                        op,
                        node,
                        weights,
                        conv_f16::layout(self.isa, &geometry),
                    )?;
                    op.scratch_bytes = small(conv_f16::scratch_bytes(self.isa, &geometry))?;
                    OpKind::ConvF16
                }
            }
            HalfOp::DepthwiseConv { weights, window, clamp } => {
                let geometry = geometry(node, input, *window)?;
                set_window(op, window, node)?;
                set_clamp(op, *clamp);
                let layout = depthwise_conv_f16::layout(self.isa, &geometry);
                self.set_half_weights(op, node, weights, layout)?;
                OpKind::DepthwiseConvF16
            }
            HalfOp::FullyConnected { weights, clamp } => {
                set_clamp(op, *clamp);
                let (channels, depth) = (weights.bias.len(), weights.depth);
                let layout = fully_connected_f16::layout(self.isa, channels, depth);
                let scratch = fully_connected_f16::scratch_bytes(self.isa, channels, depth);
                self.set_half_weights(op, node, weights, layout)?;
                op.scratch_bytes = small(scratch)?;
                OpKind::FullyConnectedF16
            }
            HalfOp::Add { clamp } => {
                set_clamp(op, *clamp);
                op.inputs[1] = index(node.inputs[1])?;
                OpKind::AddF16
            }
            HalfOp::AvgPool { window, clamp } | HalfOp::MaxPool { window, clamp } => {
                geometry(node, input, *window)?;
                set_window(op, window, node)?;
                set_clamp(op, *clamp);
                match half {
                    HalfOp::AvgPool { .. } => OpKind::AvgPoolF16,
                    _ => OpKind::MaxPoolF16,
                }
            }
            HalfOp::GlobalAvgPool => {
                set_clamp(op, ClampF16::NONE);
                OpKind::GlobalAvgPoolF16
            }
            HalfOp::Softmax { beta } => {
                op.numbers[0] = beta.to_bits().cast_signed();
                OpKind::SoftmaxF16
            }
            HalfOp::Pad { top, left } => {
                op.pad = [step(*top, node)?, step(*left, node)?];
                OpKind::PadF16
            }
            HalfOp::Clamp(clamp) => {
                set_clamp(op, *clamp);
                OpKind::ClampF16
            }
            HalfOp::Quantize => OpKind::QuantizeF16,
            HalfOp::Dequantize => OpKind::DequantizeF16,
        })
    }

    fn set_half_weights(
        &mut self,
        op: &mut format::Op,
        node: &Node,
        weights: &HalfWeights,
        layout: Layout,
    ) -> Result<(), LowerError> {
        let (channels, depth) = (weights.bias.len(), weights.depth);
        let len = layout
            .packed_len(channels, depth)
            .ok_or(LowerError::TooLarge { what: "more weights" })?;
        let mut packed = vec![F16::default(); len];
        pack_f16(&weights.values, layout, channels, depth, &mut packed)
            .map_err(|fault| shape_error(node, fault))?;
        self.push_weights(op, cast_slice(&packed))?;
        op.layout = layout.code();
        op.bias_offset = self.push_table(weights.bias.iter().map(|bias| bias.to_le_bytes()))?;
        Ok(())
    }
}

fn set_clamp(op: &mut format::Op, clamp: ClampF16) {
    op.numbers[0] = clamp.min.to_bits().cast_signed();
    op.numbers[1] = clamp.max.to_bits().cast_signed();
}
