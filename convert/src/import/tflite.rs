//! TensorFlow Lite: float networks and full-integer int8 networks.
//!
//! A full-integer network keeps its integers: every node states its quantization and every parameter carries the file's
//! values and scales beside the dequantized floats. uint8 at the edges (a QUANTIZE that only shifts the zero point by
//! 128) is folded into [`Graph::io_type`]; a QUANTIZE to another scale becomes [`Op::Requantize`]. Float activations
//! over stored int8 or f16 weights ("hybrid" and "float16" files) become plain float networks, and so do networks of the
//! old uint8 scheme.
//!
//! # Source
//! The schema is `tensorflow/compiler/mlir/lite/schema/schema.fbs`; slot numbers below are its field order.

mod flatbuffer;
mod names;
mod old;
#[cfg(test)]
pub(crate) mod sample;
mod tensor;

use std::collections::HashMap;

use thiserror::Error;

pub use flatbuffer::Damaged;
use flatbuffer::{Number, Table, Tables, numbers};
use tensor::Tensor;

use crate::graph::{
    Activation, ElementType, Extent, Graph, GraphBuilder, GraphError, IoType, Node, NodeId, Op,
    Padding, Param, ParamError, Shape, Window,
};

/// Reads a TFLite file.
///
/// # Errors
/// When it is damaged or uses what is not supported.
pub fn read(file: &[u8]) -> Result<Graph, TfliteError> {
    let model = Table::root(file, "Model")?;
    let version = model.number(0, 0_u32)?;
    if version != 3 {
        return Err(TfliteError::Version { version });
    }
    let subgraphs = model.tables(2, "SubGraph")?;
    if subgraphs.len() != 1 {
        return Err(TfliteError::Subgraphs { found: subgraphs.len() });
    }
    let subgraph = subgraphs.get(0)?;
    let name = Some(subgraph.text(4)?).filter(|name| !name.is_empty());
    let mut importer = Importer {
        opcodes: model.tables(1, "OperatorCode")?,
        buffers: model.tables(4, "Buffer")?,
        tensors: subgraph.tables(0, "Tensor")?,
        builder: GraphBuilder::new(name.unwrap_or_else(|| "main".to_owned())),
        values: HashMap::new(),
        budget: file.len().saturating_mul(2),
        is_old: false,
    };
    let operators = subgraph.tables(3, "Operator")?;
    for count in [operators.len(), importer.tensors.len(), importer.buffers.len()] {
        if count > MAX_TABLES {
            return Err(subgraph.damaged().into());
        }
    }
    let input = importer.interface(&subgraph, 1, "inputs")?;
    let input_type = importer.input(input)?;
    for (position, operator) in operators.iter().enumerate() {
        importer.operator(position, operator?)?;
    }
    let output = importer.interface(&subgraph, 2, "outputs")?;
    let output_type = importer.tensor(output)?.element_type()?;
    let Some(&Value::Node(node)) = importer.values.get(&output) else {
        return Err(TfliteError::Output { tensor: importer.tensor(output)?.name });
    };
    importer.builder.io_type = IoType { input: input_type, output: output_type };
    let graph = importer.builder.finish(node)?;
    Ok(if importer.is_old { old::dequantized(graph)? } else { graph })
}

/// A TFLite file that is damaged or uses what is not supported.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TfliteError {
    /// Not the flatbuffer it should be.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Another schema.
    #[error("schema version {version}; version 3 is supported")]
    Version {
        /// The file's.
        version: u32,
    },
    /// Control flow, or several networks in one file.
    #[error("{found} subgraphs; one is supported (no control flow, no several signatures)")]
    Subgraphs {
        /// How many.
        found: usize,
    },
    /// Several inputs or outputs, or none.
    #[error("{} {what} ({}); networks with one input and one output are supported", tensors.len(), tensors.join(", "))]
    Interface {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Their names.
        tensors: Vec<String>,
    },
    /// The output is not computed.
    #[error("the output `{tensor}` is a constant or never computed; export the model again")]
    Output {
        /// Its name.
        tensor: String,
    },
    /// An operator that Mote does not know.
    #[error(
        "operator {position}, {op}, which computes `{layer}`, is not supported; supported: {}",
        names::supported()
    )]
    Operator {
        /// Its name in the schema.
        op: String,
        /// Its place in the file.
        position: usize,
        /// The tensor that it computes.
        layer: String,
    },
    /// A known operator used in an unknown way.
    #[error("operator {position}, {op}, which computes `{layer}`: {what}")]
    Usage {
        /// Its name in the schema.
        op: String,
        /// Its place in the file.
        position: usize,
        /// The tensor that it computes.
        layer: String,
        /// What is not supported, and what is.
        what: String,
    },
    /// A tensor whose type or quantization is not supported.
    #[error("tensor `{tensor}`: {what}")]
    Tensor {
        /// Its name.
        tensor: String,
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

/// What an already visited tensor is.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// Computed by a node.
    Node(NodeId),
    /// The constant in another tensor, dequantized.
    Constant(usize),
    /// Shape arithmetic; the file states the resulting shape anyway.
    ShapeOnly,
}

#[derive(Debug)]
struct Importer<'a> {
    opcodes: Tables<'a>,
    buffers: Tables<'a>,
    tensors: Tables<'a>,
    builder: GraphBuilder,
    values: HashMap<usize, Value>,
    /// Parameter values that may still be read: tensors may share bytes, but not without end.
    budget: usize,
    /// Whether weights are uint8.
    is_old: bool,
}

/// An operator with what its messages need.
#[derive(Debug)]
struct Operator<'a> {
    op: String,
    position: usize,
    layer: String,
    inputs: Vec<Option<usize>>,
    output: usize,
    options: Option<Table<'a>>,
}

impl Operator<'_> {
    fn usage(&self, what: impl Into<String>) -> TfliteError {
        TfliteError::Usage {
            op: self.op.clone(),
            position: self.position,
            layer: self.layer.clone(),
            what: what.into(),
        }
    }

    fn input(&self, index: usize) -> Result<usize, TfliteError> {
        let input = self.inputs.get(index).copied().flatten();
        input.ok_or_else(|| self.usage(format!("input {index} is missing; the file is damaged")))
    }

    fn option<T: Number>(&self, slot: usize, default: T) -> Result<T, TfliteError> {
        Ok(self.options.map_or(Ok(default), |options| options.number(slot, default))?)
    }

    fn extent(&self, height: usize, width: usize, default: i32) -> Result<Extent, TfliteError> {
        let side = |slot| {
            let side = self.option(slot, default)?;
            let positive = usize::try_from(side).ok().filter(|&side| side > 0);
            positive.ok_or_else(|| self.usage(format!("a stride, dilation or kernel of {side}")))
        };
        Ok(Extent { height: side(height)?, width: side(width)? })
    }

    fn activation(&self, slot: usize) -> Result<Activation, TfliteError> {
        match self.option(slot, 0_i8)? {
            0 => Ok(Activation::None),
            1 => Ok(Activation::Relu),
            2 => Ok(Activation::Clamp { min: -1.0, max: 1.0 }),
            3 => Ok(Activation::Relu6),
            code => {
                let name = match code {
                    4 => "TANH",
                    5 => "SIGN_BIT",
                    _ => "unknown",
                };
                let supported = "NONE, RELU, RELU6 and RELU_N1_TO_1 are supported";
                Err(self.usage(format!("fused activation {code} ({name}); {supported}")))
            }
        }
    }

    fn window(
        &self,
        input: Shape,
        kernel: Extent,
        stride: Extent,
        dilation: Extent,
    ) -> Result<Window, TfliteError> {
        match self.option(0, 0_i8)? {
            0 => Window::same(input.extent(), kernel, stride, dilation)
                .map_err(|fault| self.usage(fault.to_string())),
            1 => Ok(Window::valid(kernel, stride, dilation)),
            other => Err(self.usage(format!("padding {other}; SAME and VALID are supported"))),
        }
    }
}

impl<'a> Importer<'a> {
    /// The only input or output of the network.
    fn interface(
        &self,
        subgraph: &Table<'_>,
        slot: usize,
        what: &'static str,
    ) -> Result<usize, TfliteError> {
        let mut tensors = numbers::<i32>(subgraph.numbers::<i32>(slot)?);
        if tensors.len() == 1
            && let Some(index) = tensors.next().and_then(|index| usize::try_from(index).ok())
        {
            return Ok(index);
        }
        let tensors = tensors.take(16).map(|index| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            Ok(self.tensor(index)?.name)
        });
        Err(TfliteError::Interface { what, tensors: tensors.collect::<Result<_, TfliteError>>()? })
    }

    fn input(&mut self, index: usize) -> Result<ElementType, TfliteError> {
        let tensor = self.tensor(index)?;
        let external = tensor.element_type()?;
        let shape = tensor.picture_shape()?;
        let quantization = tensor.inner_quantization()?;
        let id = self.builder.input(tensor.name, shape)?;
        if let Some(quantization) = quantization {
            self.builder.quantize(id, quantization)?;
        }
        self.values.insert(index, Value::Node(id));
        Ok(external)
    }

    fn operator(&mut self, position: usize, table: Table<'_>) -> Result<(), TfliteError> {
        let opcode_index = usize::try_from(table.number(0, 0_u32)?).unwrap_or(usize::MAX);
        let opcode = self.opcodes.get(opcode_index)?;
        // Old files have the code in the i8 field, new ones in the i32 field; the other is 0 or a placeholder.
        let code = opcode.number(3, 0_i32)?.max(i32::from(opcode.number(0, 0_i8)?));
        let op = match code {
            names::CUSTOM => format!("CUSTOM {}", opcode.text(1)?),
            code => names::of(code),
        };
        let mut outputs = numbers::<i32>(table.numbers::<i32>(2)?);
        let output = outputs.next().and_then(|index| usize::try_from(index).ok());
        let output = output.ok_or_else(|| table.damaged())?;
        let inputs = numbers::<i32>(table.numbers::<i32>(1)?);
        if inputs.len() > MAX_OPERANDS {
            return Err(table.damaged().into());
        }
        let operator = Operator {
            op,
            position,
            layer: self.tensor(output)?.name,
            inputs: inputs.map(|index| usize::try_from(index).ok()).collect(),
            output,
            options: table.table(4, "builtin_options")?,
        };
        if outputs.next().is_some() || !names::is_supported(code) {
            let Operator { op, position, layer, .. } = operator;
            return Err(TfliteError::Operator { op, position, layer });
        }
        if self.values.contains_key(&output) {
            return Err(operator.usage("computes a tensor that is already there"));
        }
        let value = match code {
            names::SHAPE | names::STRIDED_SLICE | names::PACK => Value::ShapeOnly,
            names::DEQUANTIZE if self.node(&operator, 0).is_err() => {
                Value::Constant(operator.input(0)?)
            }
            names::QUANTIZE | names::DEQUANTIZE => Value::Node(self.quantize(&operator)?),
            _ => {
                let (op, inputs) = self.op(code, &operator)?;
                Value::Node(self.push(&operator, op, inputs)?)
            }
        };
        self.values.insert(output, value);
        Ok(())
    }

    fn op(&mut self, code: i32, operator: &Operator<'_>) -> Result<(Op, Vec<NodeId>), TfliteError> {
        let input = self.node(operator, 0)?;
        let shape = self.builder.shape(input);
        let op = match code {
            names::CONV_2D => {
                let filter = self.weights(operator, 4, 0)?;
                let kernel = Extent::new(filter.shape[1], filter.shape[2]);
                let stride = operator.extent(2, 1, 0)?;
                let dilation = operator.extent(5, 4, 1)?;
                Op::Conv {
                    bias: self.bias(operator)?,
                    window: operator.window(shape, kernel, stride, dilation)?,
                    activation: operator.activation(3)?,
                    filter,
                }
            }
            names::DEPTHWISE_CONV_2D => {
                let filter = self.weights(operator, 4, 3)?;
                let kernel = Extent::new(filter.shape[1], filter.shape[2]);
                let stride = operator.extent(2, 1, 0)?;
                let dilation = operator.extent(6, 5, 1)?;
                Op::DepthwiseConv {
                    bias: self.bias(operator)?,
                    window: operator.window(shape, kernel, stride, dilation)?,
                    activation: operator.activation(4)?,
                    filter,
                }
            }
            names::FULLY_CONNECTED => {
                if operator.option(1, 0_i8)? != 0 {
                    return Err(operator.usage("shuffled weights; the default format is supported"));
                }
                Op::Dense {
                    weights: self.weights(operator, 2, 0)?,
                    bias: self.bias(operator)?,
                    activation: operator.activation(0)?,
                }
            }
            names::ADD => {
                let other = self.node(operator, 1)?;
                return Ok((Op::Add { activation: operator.activation(0)? }, vec![input, other]));
            }
            names::AVERAGE_POOL_2D | names::MAX_POOL_2D => {
                let stride = operator.extent(2, 1, 0)?;
                let kernel = operator.extent(4, 3, 0)?;
                let window = operator.window(shape, kernel, stride, Extent::ONE)?;
                let activation = operator.activation(5)?;
                match code {
                    names::AVERAGE_POOL_2D => Op::AvgPool { window, activation },
                    _ => Op::MaxPool { window, activation },
                }
            }
            names::MEAN => {
                let mut axes = self.integers(operator, 1, 4)?;
                for axis in &mut axes {
                    *axis += if *axis < 0 { 4 } else { 0 };
                }
                axes.sort_unstable();
                if axes != [1, 2] || !matches!(shape, Shape::Map { .. }) {
                    let supported = "the mean over height and width of a map is supported";
                    return Err(operator.usage(format!("over the axes {axes:?}; {supported}")));
                }
                Op::GlobalAvgPool { keep_axes: operator.option(0, 0_u8)? != 0 }
            }
            names::PAD => Op::Pad(self.padding(operator)?),
            names::RESHAPE | names::SQUEEZE | names::EXPAND_DIMS => {
                Op::Reshape(self.tensor(operator.output)?.picture_shape()?)
            }
            names::SOFTMAX => Op::Softmax { beta: operator.option(0, 0_f32)? },
            names::RELU => Op::Activation(Activation::Relu),
            names::RELU6 => Op::Activation(Activation::Relu6),
            names::RELU_N1_TO_1 => Op::Activation(Activation::Clamp { min: -1.0, max: 1.0 }),
            _ => {
                let Operator { op, position, layer, .. } = operator;
                let (op, layer) = (op.clone(), layer.clone());
                return Err(TfliteError::Operator { op, position: *position, layer });
            }
        };
        Ok((op, vec![input]))
    }

    /// Adds a node and checks what the file says about its output.
    fn push(
        &mut self,
        operator: &Operator<'_>,
        op: Op,
        inputs: Vec<NodeId>,
    ) -> Result<NodeId, TfliteError> {
        let tensor = self.tensor(operator.output)?;
        let stated = tensor.picture_shape()?;
        let quantization = tensor.inner_quantization()?;
        let node = |name, op, inputs| Node {
            name,
            op,
            inputs,
            shape: stated,
            quantization,
            trainable: true,
        };
        let keeps_axes = matches!(op, Op::Dense { .. });
        let name = layer_name(&tensor.name);
        let mut id = self.builder.push(node(name.to_owned(), op, inputs))?;
        let inferred = self.builder.shape(id);
        if keeps_axes && inferred != stated && inferred.elements() == stated.elements() {
            let name = format!("{name}/reshape");
            id = self.builder.push(node(name, Op::Reshape(stated), vec![id]))?;
        } else if inferred != stated {
            let what = format!("computes {inferred} where the file states {stated}");
            return Err(operator.usage(what));
        }
        Ok(id)
    }

    /// QUANTIZE and DEQUANTIZE: nothing but a change of representation.
    fn quantize(&mut self, operator: &Operator<'_>) -> Result<NodeId, TfliteError> {
        let input = self.node(operator, 0)?;
        let tensor = self.tensor(operator.output)?;
        let quantization = tensor.inner_quantization()?;
        let before = self.builder.node(input).quantization;
        // A pure shift between uint8 and int8 has equal quantizations inside.
        if before == quantization {
            return Ok(input);
        }
        // From float at the very beginning, to float at the end: the edge's type says it.
        match (before, quantization) {
            (None, Some(after)) if matches!(self.builder.node(input).op, Op::Input) => {
                self.builder.quantize(input, after)?;
                Ok(input)
            }
            (Some(_), None) => Ok(input),
            _ => self.push(operator, Op::Requantize, vec![input]),
        }
    }

    fn node(&self, operator: &Operator<'_>, index: usize) -> Result<NodeId, TfliteError> {
        let tensor = operator.input(index)?;
        match self.values.get(&tensor) {
            Some(Value::Node(id)) => Ok(*id),
            _ => {
                let name = self.tensor(tensor)?.name;
                let what = format!("input {index} (`{name}`) is not computed by the network");
                Err(operator.usage(what + "; constant operands are not supported here"))
            }
        }
    }

    /// A weight tensor of a certain rank whose output channels lie on `axis`.
    fn weights(
        &mut self,
        operator: &Operator<'_>,
        rank: usize,
        axis: usize,
    ) -> Result<Param, TfliteError> {
        let activations = self.builder.node(self.node(operator, 0)?).quantization;
        let (tensor, bytes) = self.constant(operator, 1)?;
        if tensor.shape.len() != rank {
            return Err(tensor.fault(format!("rank {}; {rank} is needed", tensor.shape.len())));
        }
        self.is_old |= tensor.is_uint8();
        let mut param = tensor.param(bytes, axis)?;
        if activations.is_none() {
            param.quantized = None; // stored small, computed in float
        }
        Ok(param)
    }

    fn bias(&mut self, operator: &Operator<'_>) -> Result<Option<Param>, TfliteError> {
        if operator.inputs.get(2).copied().flatten().is_none() {
            return Ok(None);
        }
        let (tensor, bytes) = self.constant(operator, 2)?;
        Ok(Some(tensor.param(bytes, 0)?))
    }

    /// A short constant list of integers.
    fn integers(
        &mut self,
        operator: &Operator<'_>,
        index: usize,
        max_len: usize,
    ) -> Result<Vec<i64>, TfliteError> {
        let (tensor, bytes) = self.constant(operator, index)?;
        tensor.integers(bytes, max_len)
    }

    /// A constant tensor and its bytes, which fit its shape and type.
    fn constant(
        &mut self,
        operator: &Operator<'_>,
        index: usize,
    ) -> Result<(Tensor<'a>, &'a [u8]), TfliteError> {
        let mut place = operator.input(index)?;
        if let Some(Value::Constant(source)) = self.values.get(&place) {
            place = *source;
        }
        let tensor = self.tensor(place)?;
        let bytes = self.buffers.get(tensor.buffer)?.bytes(0)?;
        if bytes.is_empty() {
            let what = format!("input {index} (`{}`) is not a constant in the file", tensor.name);
            return Err(operator.usage(what + "; computed weights are not supported"));
        }
        let len = tensor.shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        let expected =
            len.zip(tensor.element_bytes()).and_then(|(len, each)| len.checked_mul(each));
        if expected != Some(bytes.len()) {
            let what = format!("{} bytes for shape {:?}", bytes.len(), tensor.shape);
            return Err(tensor.fault(what + "; the file is damaged"));
        }
        match len.and_then(|len| self.budget.checked_sub(len)) {
            Some(left) => self.budget = left,
            None => return Err(tensor.fault("shares its bytes with too many others")),
        }
        Ok((tensor, bytes))
    }

    fn tensor(&self, index: usize) -> Result<Tensor<'a>, TfliteError> {
        Ok(Tensor::read(&self.tensors.get(index)?)?)
    }

    fn padding(&mut self, operator: &Operator<'_>) -> Result<Padding, TfliteError> {
        let values = self.integers(operator, 1, 8)?;
        let rows = |value: i64| usize::try_from(value).ok();
        if let [0, 0, top, bottom, left, right, 0, 0] = values[..]
            && let (Some(top), Some(bottom), Some(left), Some(right)) =
                (rows(top), rows(bottom), rows(left), rows(right))
        {
            return Ok(Padding { top, bottom, left, right });
        }
        let supported = "padding of height and width is supported";
        Err(operator.usage(format!("pads {values:?}; {supported}")))
    }
}

/// More tables of a kind than any network for small machines has.
const MAX_TABLES: usize = 1 << 16;
const MAX_OPERANDS: usize = 64;

/// What a tensor's layer is called: the converter names a fused layer after all that went into it,
/// `model/relu/Relu;model/bn/FusedBatchNormV3;...`, of which the first is what comes out.
fn layer_name(tensor: &str) -> &str {
    let first = tensor.split(';').find(|part| !part.is_empty()).unwrap_or(tensor);
    first.strip_prefix("StatefulPartitionedCall/").filter(|rest| !rest.is_empty()).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::sample::{self, F32, Network, Value};
    use super::*;
    use crate::graph::{Quantization, QuantizedParam};
    use crate::interpret;

    #[test]
    fn int8_network_keeps_its_integers() -> Result<(), TfliteError> {
        let graph = read(&sample::int8())?;
        let kinds: Vec<_> = graph.nodes().iter().map(|node| node.op.kind()).collect();
        let expected = ["input", "conv", "depthwise_conv", "add", "global_avg_pool"];
        assert_eq!(kinds[..5], expected);
        assert_eq!(kinds[5..], ["fully_connected", "softmax"]);
        assert!(graph.is_quantized());
        let outside = Quantization { scale: 0.5, zero_point: 127 };
        assert_eq!(graph.io_type.input, ElementType::U8(outside));
        let inside = Quantization { scale: 0.5, zero_point: -1 };
        assert_eq!(graph.node(graph.input()).quantization, Some(inside));
        let Op::Conv { filter, bias, window, activation } = &graph.nodes()[1].op else { panic!() };
        assert_eq!(*activation, Activation::Relu);
        assert_eq!(window.padding, Padding { top: 0, bottom: 1, left: 0, right: 1 });
        let Some(QuantizedParam::I8 { values, scales }) = &filter.quantized else { panic!() };
        assert_eq!(scales.len(), 4);
        assert_eq!(filter.data[71], f32::from(values[71]) * 0.4);
        let Some(QuantizedParam::I32 { values, .. }) =
            bias.as_ref().and_then(|b| b.quantized.as_ref())
        else {
            panic!()
        };
        assert_eq!(values[..], [-150, -50, 50, 150]);
        Ok(())
    }

    #[test]
    fn float_network() -> Result<(), TfliteError> {
        let graph = read(&sample::float())?;
        assert!(!graph.is_quantized());
        assert_eq!(graph.io_type, IoType::default());
        assert_eq!(graph.output_shape(), Shape::Vector(2));
        assert_eq!(graph.nodes()[2].op.activation(), Some(Activation::Relu6));
        assert_eq!(graph.total_macs(), 6 * 6 * 2 * 6 + 36);
        Ok(())
    }

    #[test]
    fn unsupported_things_are_named() {
        let mut net = Network::default();
        let picture = net.tensor("picture", &[1, 4], F32, &[]);
        let wave = net.tensor("wave", &[1, 4], F32, &[]);
        net.operator(66, &[picture], wave, vec![]);
        let message = read(&net.file(&[picture], &[wave])).unwrap_err().to_string();
        assert!(message.contains("operator 0, SIN, which computes `wave`"), "{message}");
        assert!(message.contains("DEPTHWISE_CONV_2D"), "{message}");

        let mut net = Network::default();
        let first = net.tensor("first", &[1, 4], F32, &[]);
        let second = net.tensor("second", &[1, 4], F32, &[]);
        let sum = net.tensor("sum", &[1, 4], F32, &[]);
        net.operator(0, &[first, second], sum, vec![]);
        let message = read(&net.file(&[first, second], &[sum])).unwrap_err().to_string();
        assert!(message.contains("2 inputs (first, second)"), "{message}");
    }

    #[test]
    fn old_uint8_weights_become_floats() {
        let mut net = Network::default();
        let old = (3, &[0.5_f32][..], 117, 0);
        let picture = net.tensor("picture", &[1, 2], old, &[]);
        let weights = net.tensor("old/w", &[1, 2], old, &[1, 120]);
        let scores = net.tensor("scores", &[1, 1], old, &[]);
        net.operator(9, &[picture, weights, -1], scores, vec![]);
        let graph = read(&net.file(&[picture], &[scores])).unwrap();
        assert!(!graph.is_quantized() && graph.io_type == IoType::default());
        assert_eq!(interpret::run(&graph, &[2.0, 1.0], |_, _| ()).unwrap(), [-114.5]);
    }

    #[test]
    fn weights_that_are_not_numbers_are_named() {
        let mut net = Network::default();
        let picture = net.tensor("picture", &[1, 2], F32, &[]);
        let bytes: Vec<u8> = [1.0, f32::NAN].iter().flat_map(|x| x.to_le_bytes()).collect();
        let weights = net.tensor("w", &[1, 2], F32, &bytes);
        let scores = net.tensor("scores", &[1, 1], F32, &[]);
        net.operator(9, &[picture, weights, -1], scores, vec![(0, Value::Byte(0))]);
        let message = read(&net.file(&[picture], &[scores])).unwrap_err().to_string();
        assert!(message.contains("`w` holds NaN at index 1"), "{message}");
    }

    #[test]
    fn truncations_are_errors() {
        for file in [sample::int8(), sample::float()] {
            for len in 0..file.len() {
                let graph = read(&file[..len]);
                // The very end of a file holds only empty buffers that nobody reads.
                assert!(graph.is_err() || len > file.len() * 9 / 10, "{len} bytes");
            }
        }
    }
}
