//! ONNX models, NCHW, turned to the graph's NHWC.
//!
//! Whatever depends on constants alone (the shape arithmetic that exporters leave behind) is computed here. A layer is
//! called what its weights are called without `.weight`, as PyTorch names its modules, else what its node is called.
//!
//! # Source
//! <https://onnx.ai/onnx/operators/>, every version of an operator that exporters write.

mod constant;
mod dims;
mod fold;
mod layout;
mod ops;
mod site;
mod weighted;
mod window;
mod wire;

use std::collections::HashMap;
use std::rc::Rc;

use rten_onnx::onnx::{DataType, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use thiserror::Error;

use crate::graph::{Graph, GraphBuilder, GraphError, NodeId, ParamError, Shape};
use constant::Tensor;
use site::Site;

/// Reads an ONNX file.
///
/// # Errors
/// When it is damaged or uses what is not supported.
pub fn read(file: &[u8]) -> Result<Graph, OnnxError> {
    wire::check(file)?;
    let damaged = |error: rten_onnx::protobuf::ProtobufError| OnnxError::File(error.to_string());
    let model = ModelProto::parse_buf(file).map_err(damaged)?;
    let is_standard = |domain: Option<&str>| matches!(domain, None | Some("" | "ai.onnx"));
    let standard = model.opset_import.iter().find(|set| is_standard(set.domain.as_deref()));
    let graph = model.graph.ok_or_else(|| OnnxError::File("no graph".to_owned()))?;
    let mut importer = Importer {
        builder: GraphBuilder::new("onnx"),
        values: HashMap::new(),
        opset: standard.and_then(|set| set.version).unwrap_or(1),
        batch: 1,
        budget: file.len().saturating_add(SMALL),
    };
    for tensor in &graph.initializer {
        let name = tensor.name.clone().unwrap_or_default();
        let constant =
            Tensor::read(tensor).map_err(|what| OnnxError::Tensor { name: name.clone(), what })?;
        importer.values.insert(name, Value::Constant(Rc::new(constant)));
    }
    importer.input(&graph)?;
    for (position, node) in graph.node.iter().enumerate() {
        importer.node(node, position)?;
    }
    let output = only("outputs", graph.output.iter())?.name.clone().unwrap_or_default();
    let id = match importer.values.get(&output) {
        Some(&(Value::Map(id) | Value::Last(id) | Value::Vector(id))) => id,
        Some(Value::Flat { .. }) => {
            let what = "is a map flattened channel by channel; end the network with the map or a layer behind it";
            return Err(OnnxError::Tensor { name: output, what: what.to_owned() });
        }
        Some(Value::Constant(_)) | None => {
            return Err(OnnxError::File(format!("nothing computes the output `{output}`")));
        }
    };
    Ok(importer.builder.finish(id)?)
}

/// What an ONNX name stands for.
#[derive(Clone, Debug)]
enum Value {
    /// `[N, C, H, W]`.
    Map(NodeId),
    /// A map that ONNX has turned to `[N, H, W, C]`, as it is here.
    Last(NodeId),
    /// A map flattened: ONNX has it in the order `C, H, W`, the node in the order `H, W, C`.
    Flat { id: NodeId, channels: usize },
    /// `[N, C]`.
    Vector(NodeId),
    /// Known at import.
    Constant(Rc<Tensor>),
}

struct Importer {
    builder: GraphBuilder,
    values: HashMap<String, Value>,
    /// Version of the operators.
    opset: i64,
    /// Pictures at once in the file; any number is as one here.
    batch: usize,
    /// Values that may still be made from the file's constants: they may be shared, but not without end.
    budget: usize,
}

impl Importer {
    fn input(&mut self, graph: &GraphProto) -> Result<(), OnnxError> {
        // Before version 4 of the format the initializers were inputs, too.
        let is_fed = |info: &&ValueInfoProto| {
            !self.values.contains_key(info.name.as_deref().unwrap_or_default())
        };
        let input = only("inputs", graph.input.iter().filter(is_fed))?;
        let name = input.name.clone().unwrap_or_default();
        let refuse = |what: &str| OnnxError::Tensor { name: name.clone(), what: what.to_owned() };
        let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
        match tensor.and_then(|tensor| tensor.elem_type) {
            None | Some(DataType::FLOAT | DataType::FLOAT16 | DataType::DOUBLE) => {}
            Some(other) => return Err(refuse(&format!("type {other}; FLOAT is supported"))),
        }
        let dims = tensor.and_then(|tensor| tensor.shape.as_ref());
        let dims = dims.map(|shape| &shape.dim[..]).unwrap_or_default();
        let size = |value: Option<i64>| usize::try_from(value?).ok().filter(|&size| size > 0);
        let sizes: Option<Vec<usize>> =
            dims.iter().skip(1).map(|dim| size(dim.dim_value)).collect();
        self.batch = dims.first().and_then(|dim| size(dim.dim_value)).unwrap_or(1);
        let value = match sizes.as_deref() {
            Some(&[height, width, channels]) if turned_at_once(graph, &name) => {
                Value::Last(self.builder.input(&name, Shape::Map { height, width, channels })?)
            }
            Some(&[channels, height, width]) => {
                Value::Map(self.builder.input(&name, Shape::Map { height, width, channels })?)
            }
            Some(&[channels]) => Value::Vector(self.builder.input(&name, Shape::Vector(channels))?),
            _ => {
                let what = "its shape must be [batch, channels, height, width] or [batch, channels], fixed but for \
                            the batch; export the model with sizes";
                return Err(refuse(what));
            }
        };
        self.values.insert(name, value);
        Ok(())
    }

    fn node(&mut self, node: &NodeProto, position: usize) -> Result<(), OnnxError> {
        let site = Site::new(node, position, self.opset, &self.values)?;
        let value = match fold::fold(&site, self.budget)? {
            Some(tensor) => {
                self.spend(tensor.len())?;
                Value::Constant(Rc::new(tensor))
            }
            None => self.layer(&site)?,
        };
        self.values.insert(node.output.first().cloned().unwrap_or_default(), value);
        Ok(())
    }

    fn spend(&mut self, values: usize) -> Result<(), OnnxError> {
        let excess = || OnnxError::File("its constants grow beyond the file".to_owned());
        self.budget = self.budget.checked_sub(values).ok_or_else(excess)?;
        Ok(())
    }
}

/// Whether everything that reads the input turns it from `[N, H, W, C]`, as exporters of TensorFlow do.
fn turned_at_once(graph: &GraphProto, input: &str) -> bool {
    let mut readers =
        graph.node.iter().filter(|node| node.input.iter().any(|name| name == input)).peekable();
    let is_turn = |node: &NodeProto| {
        node.op_type.as_deref() == Some("Transpose")
            && node.attribute.iter().any(|attribute| attribute.ints == [0, 3, 1, 2])
    };
    readers.peek().is_some() && readers.all(is_turn)
}

fn only<'a>(
    what: &'static str,
    list: impl Iterator<Item = &'a ValueInfoProto>,
) -> Result<&'a ValueInfoProto, OnnxError> {
    match list.collect::<Vec<_>>()[..] {
        [info] => Ok(info),
        ref list => {
            let names = list.iter().filter_map(|info| info.name.clone()).collect();
            Err(OnnxError::Interface { what, names })
        }
    }
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

/// Values that even the smallest file may make.
const SMALL: usize = 1 << 16;

#[cfg(test)]
pub(crate) mod tests;
