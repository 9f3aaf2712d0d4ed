//! The old uint8 scheme, whose weights have a zero point: the float network that it means, since int8 kernels need
//! symmetric weights.

use crate::detect;
use crate::graph::{Graph, GraphError, IoType};

/// The network without its quantization; how pictures become its input follows from that of the input.
pub(super) fn dequantized(graph: Graph) -> Result<Graph, GraphError> {
    let input = graph.node(graph.input());
    let channels = input.shape.channels();
    let preprocess = input.quantization.map(|input| detect::from_quantization(input, channels));
    let (mut builder, nodes, output) = graph.into_builder();
    builder.io_type = IoType::default();
    builder.preprocess = preprocess;
    for mut node in nodes {
        node.quantization = None;
        for (_, param) in node.op.weights_mut() {
            param.quantized = None;
        }
        builder.push(node)?;
    }
    builder.finish(output)
}
