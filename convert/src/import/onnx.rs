//! ONNX models, NCHW, turned to the graph's NHWC.
//!
//! Whatever depends on constants alone (the shape arithmetic that exporters leave behind) is computed here.

mod constant;
mod ops;
mod wire;

use std::collections::HashMap;

use rten_onnx::onnx::ModelProto;
use thiserror::Error;

use crate::graph::{Graph, GraphBuilder, GraphError, NodeId, ParamError, Shape};
use constant::Tensor;

/// Reads an ONNX file.
///
/// # Errors
/// When it is damaged or uses what is not supported.
pub fn read(file: &[u8]) -> Result<Graph, OnnxError> {
    wire::check(file)?;
    let damaged = |error: rten_onnx::protobuf::ProtobufError| OnnxError::File(error.to_string());
    let graph = ModelProto::parse_buf(file).map_err(damaged)?.graph;
    let graph = graph.ok_or_else(|| OnnxError::File("no graph".to_owned()))?;
    let mut values = HashMap::new();
    for tensor in &graph.initializer {
        let name = tensor.name.clone().unwrap_or_default();
        let constant =
            Tensor::read(tensor).map_err(|what| OnnxError::Tensor { name: name.clone(), what })?;
        values.insert(name, Value::Constant(constant));
    }
    let mut importer = ops::Importer { builder: GraphBuilder::new("onnx"), values };
    let names = |list: &[rten_onnx::onnx::ValueInfoProto]| -> Vec<String> {
        list.iter().filter_map(|info| info.name.clone()).collect()
    };
    let mut inputs = graph.input.clone();
    inputs.retain(|info| !importer.values.contains_key(info.name.as_deref().unwrap_or_default()));
    let [input] = &inputs[..] else {
        return Err(OnnxError::Interface { what: "inputs", names: names(&inputs) });
    };
    let [output] = &names(&graph.output)[..] else {
        return Err(OnnxError::Interface { what: "outputs", names: names(&graph.output) });
    };
    let name = input.name.clone().unwrap_or_default();
    let dims = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let dims = dims.and_then(|tensor| tensor.shape.as_ref()).map(|shape| &shape.dim[..]);
    let sizes: Option<Vec<usize>> = dims
        .unwrap_or_default()
        .iter()
        .skip(1)
        .map(|dim| usize::try_from(dim.dim_value?).ok().filter(|&size| size > 0))
        .collect();
    let value = match sizes.as_deref() {
        Some(&[channels, height, width]) => {
            Value::Map(importer.builder.input(&name, Shape::Map { height, width, channels })?)
        }
        Some(&[channels]) => Value::Vector(importer.builder.input(&name, Shape::Vector(channels))?),
        _ => {
            let what =
                "its shape must be [batch, channels, height, width] with fixed sizes".to_owned();
            return Err(OnnxError::Tensor { name, what });
        }
    };
    importer.values.insert(name, value);
    for (position, node) in graph.node.iter().enumerate() {
        importer.node(node, position)?;
    }
    let output = match importer.values.get(output) {
        Some(&(Value::Map(id) | Value::Flat(id) | Value::Vector(id))) => id,
        _ => return Err(OnnxError::File(format!("nothing computes the output `{output}`"))),
    };
    Ok(importer.builder.finish(output)?)
}

/// What an ONNX name stands for.
#[derive(Clone, Debug)]
enum Value {
    /// `[N, C, H, W]`.
    Map(NodeId),
    /// A map that ONNX has flattened in the order `C, H, W`; still a map here.
    Flat(NodeId),
    /// `[N, C]`.
    Vector(NodeId),
    Constant(Tensor),
}

/// An ONNX file that is damaged or uses what is not supported.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// Not the protobuf it should be.
    #[error("the file is damaged: {0}; export or download the model again")]
    File(String),
    /// Control flow.
    #[error("subgraphs (If, Loop, Scan) are not supported; export the model for inference")]
    Subgraph,
    /// Several inputs or outputs, or none.
    #[error("{} {what} ({}); networks with one input and one output are supported", names.len(), names.join(", "))]
    Interface {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Their names.
        names: Vec<String>,
    },
    /// A tensor that cannot be read.
    #[error("tensor `{name}`: {what}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// An operator that Mote does not know.
    #[error("node {position}, `{node}`: operator {op} is not supported; supported: {}", ops::SUPPORTED.join(", "))]
    Operator {
        /// Its operator.
        op: String,
        /// Its name.
        node: String,
        /// Its place in the file.
        position: usize,
    },
    /// A known operator used in an unknown way.
    #[error("node {position}, `{node}`, operator {op}: {what}")]
    Usage {
        /// Its operator.
        op: String,
        /// Its name.
        node: String,
        /// Its place in the file.
        position: usize,
        /// What is not supported, and what is.
        what: String,
    },
    /// Layers that do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A parameter that no network can use.
    #[error(transparent)]
    Param(#[from] ParamError),
}
