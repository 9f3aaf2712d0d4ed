//! A [`Graph`] as a file of Mote's own: what `mote new` and `mote train` write and every command reads.
//!
//! It is a plain safetensors file, so any reader of that format sees the weights, each as `<layer>/<role>` in the layout
//! of the graph (`conv1/kernel` is `[O, H, W, I]`); integers of a quantized source lie beside them as
//! `<layer>/<role>:quantized`. The single entry `mote` of `__metadata__` is the network as JSON: the format's version,
//! the name, the nodes with their operations, windows and trainable flags, labels, element types, preprocessing and
//! provenance. Equal graphs give equal bytes.
//!
//! A file is untrusted: the network is built anew by [`GraphBuilder`], every weight is
//! copied once, and what does not fit is an error that names the tensor or the layer.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::files::{FileError, write_atomic};
use crate::graph::{
    Graph, GraphBuilder, GraphError, IoType, Node, NodeId, Param, QuantizedParam, WeightRole,
};
use crate::preprocess::Preprocess;

/// Writes a network; the file is whole or not there.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: impl AsRef<Path>, graph: &Graph) -> Result<(), ModelFileError> {
    Ok(write_atomic(path, &to_bytes(graph)?)?)
}

/// A network as the bytes of a file.
///
/// # Errors
/// When it has more layers than the header of a safetensors file may describe, 100 MB.
pub fn to_bytes(graph: &Graph) -> Result<Vec<u8>, ModelFileError> {
    let document = Document {
        version: VERSION,
        name: graph.name().to_owned(),
        nodes: graph.nodes().to_vec(),
        output: graph.output(),
        labels: graph.labels.clone(),
        io_type: graph.io_type,
        preprocess: graph.preprocess,
        provenance: graph.provenance.clone(),
    };
    let json = serde_json::to_string(&document).map_err(|error| damaged(&error))?;
    let mut tensors = Vec::new();
    for node in graph.nodes() {
        for (role, param) in node.op.weights() {
            let name = tensor_name(&node.name, role);
            let integers = match &param.quantized {
                None => None,
                Some(QuantizedParam::I8 { values, .. }) => {
                    Some((Dtype::I8, bytemuck::cast_slice(values)))
                }
                Some(QuantizedParam::I32 { values, .. }) => {
                    Some((Dtype::I32, bytemuck::cast_slice(values)))
                }
            };
            if let Some((dtype, bytes)) = integers {
                tensors.push((integers_name(&name), view(param, dtype, bytes)?));
            }
            tensors.push((name, view(param, Dtype::F32, bytemuck::cast_slice(&param.data))?));
        }
    }
    let metadata = [(KEY.to_owned(), json)].into_iter().collect();
    safetensors::serialize(tensors, Some(metadata)).map_err(|error| damaged(&error))
}

/// Reads a network.
///
/// # Errors
/// When the file cannot be read, is damaged, is newer than this program, or holds weights without a network.
pub fn read(path: impl AsRef<Path>) -> Result<Graph, ModelFileError> {
    from_bytes(&crate::files::read_bounded(path, crate::import::MAX_FILE_BYTES)?)
}

/// Reads a network from memory.
///
/// # Errors
/// Those of [`read`].
pub fn from_bytes(bytes: &[u8]) -> Result<Graph, ModelFileError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error))?;
    let json = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let json = json.ok_or(ModelFileError::WeightsOnly)?;
    let Version { version } = serde_json::from_str(json).map_err(|error| damaged(&error))?;
    if version != VERSION {
        return Err(ModelFileError::Version { found: version });
    }
    let document: Document = serde_json::from_str(json).map_err(|error| damaged(&error))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(&error))?;
    let mut builder = GraphBuilder::new(document.name);
    builder.labels = document.labels;
    builder.io_type = document.io_type;
    builder.preprocess = document.preprocess;
    builder.provenance = document.provenance;
    for mut node in document.nodes {
        let Node { name, op, .. } = &mut node;
        for (role, param) in op.weights_mut() {
            fill(param, &tensor_name(name, role), &tensors)?;
        }
        builder.push(node)?;
    }
    Ok(builder.finish(document.output)?)
}

/// A model file that cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not the safetensors file that it should be.
    #[error("the file is damaged: {what}; copy or make it again")]
    Damaged {
        /// Where and why.
        what: String,
    },
    /// A file of a later version of Mote.
    #[error("the file has version {found}, this program reads version {VERSION}; update Mote")]
    Version {
        /// Its version.
        found: u32,
    },
    /// A safetensors file of somebody else.
    #[error(
        "the file holds weights but no network (no entry `{KEY}` in its metadata); make a network with `mote new`"
    )]
    WeightsOnly,
    /// A weight that is missing or has another type or shape than the network says.
    #[error("tensor `{tensor}` {what}; copy or make the file again")]
    Tensor {
        /// Its name.
        tensor: String,
        /// What is wrong.
        what: String,
    },
    /// Layers that do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The network without the values of its weights.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    name: String,
    nodes: Vec<Node>,
    output: NodeId,
    labels: Option<Vec<String>>,
    io_type: IoType,
    preprocess: Option<Preprocess>,
    provenance: BTreeMap<String, String>,
}

/// What must be known before the rest is understood.
#[derive(Debug, Deserialize)]
struct Version {
    version: u32,
}

fn view<'a>(
    param: &Param,
    dtype: Dtype,
    bytes: &'a [u8],
) -> Result<TensorView<'a>, ModelFileError> {
    TensorView::new(dtype, param.shape.clone(), bytes).map_err(|error| damaged(&error))
}

/// The values of a parameter out of the tensor of that name.
fn fill(param: &mut Param, name: &str, tensors: &SafeTensors<'_>) -> Result<(), ModelFileError> {
    let shape = param.shape.clone();
    let bytes = |name: &str, dtype: Dtype| {
        let fault = |what: String| ModelFileError::Tensor { tensor: name.to_owned(), what };
        let tensor = tensors.tensor(name).map_err(|_| fault("is missing".to_owned()))?;
        if (tensor.dtype(), tensor.shape()) != (dtype, &shape[..]) {
            let found = format!("is {:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(fault(format!("{found} where the network needs {dtype:?} {shape:?}")));
        }
        Ok(tensor.data())
    };
    param.data = words(bytes(name, Dtype::F32)?).map(f32::from_le_bytes).collect();
    match &mut param.quantized {
        None => {}
        Some(QuantizedParam::I8 { values, .. }) => {
            *values = bytemuck::cast_slice(bytes(&integers_name(name), Dtype::I8)?).to_vec();
        }
        Some(QuantizedParam::I32 { values, .. }) => {
            *values =
                words(bytes(&integers_name(name), Dtype::I32)?).map(i32::from_le_bytes).collect();
        }
    }
    Ok(())
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks().0.iter().copied()
}

fn tensor_name(layer: &str, role: WeightRole) -> String {
    format!("{layer}/{}", role.name())
}

fn integers_name(tensor: &str) -> String {
    format!("{tensor}:quantized")
}

fn damaged(error: &dyn core::fmt::Display) -> ModelFileError {
    ModelFileError::Damaged { what: error.to_string() }
}

const VERSION: u32 = 1;
const KEY: &str = "mote";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::graph::{Activation, Op, Shape, Window};
    use crate::import;
    use crate::preprocess::Scaling;
    use crate::testing::TempDir;

    /// A network with something of everything, as a file.
    pub(crate) fn sample() -> Vec<u8> {
        to_bytes(&network()).unwrap()
    }

    fn network() -> Graph {
        let mut graph = import::keras::read(&import::keras::sample::keras3()).unwrap();
        graph.labels = Some(["a", "b", "c"].map(str::to_owned).to_vec());
        graph.preprocess = Some(Preprocess::new(Scaling::Caffe));
        graph.provenance.insert("seed".to_owned(), "7".to_owned());
        graph
    }

    #[test]
    fn networks_come_back_as_they_were() {
        let quantized = import::tflite::read(&import::tflite::sample::int8()).unwrap();
        assert!(quantized.is_quantized());
        for graph in [network(), quantized] {
            let bytes = to_bytes(&graph).unwrap();
            assert_eq!(from_bytes(&bytes).unwrap(), graph);
            assert_eq!(to_bytes(&graph).unwrap(), bytes);
        }
    }

    #[test]
    fn every_command_reads_it() {
        let folder = TempDir::new("model-file");
        let path = folder.path().join("model.safetensors");
        write(&path, &network()).unwrap();
        assert_eq!(read(&path).unwrap(), network());
        assert_eq!(import::open(&path).unwrap(), network());
    }

    #[test]
    fn open_ends_and_floats_survive_json() {
        for activation in [
            Activation::Clamp { min: f32::NEG_INFINITY, max: 0.1 },
            Activation::Clamp { min: -1.0e-38, max: f32::INFINITY },
            Activation::Relu6,
        ] {
            let json = serde_json::to_string(&Op::Activation(activation)).unwrap();
            assert_eq!(
                serde_json::from_str::<Op>(&json).unwrap(),
                Op::Activation(activation),
                "{json}"
            );
        }
    }

    /// The sample with a piece of its header replaced by another of the same length.
    fn altered(from: &str, to: &str) -> String {
        let mut bytes = sample();
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        bytes[at..at + from.len()].fill(b' ');
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        from_bytes(&bytes).unwrap_err().to_string()
    }

    #[test]
    fn faults_are_named() {
        let newer = altered(r#"\"version\":1"#, r#"\"version\":2"#);
        assert!(newer.contains("version 2") && newer.contains("update Mote"), "{newer}");
        let foreign = altered(r#""mote":"#, r#""nose":"#);
        assert!(foreign.contains("no network"), "{foreign}");
        let missing = altered(r#""scores/bias""#, r#""scores/bios""#);
        assert!(missing.contains("`scores/bias` is missing"), "{missing}");
        let shape = altered(r#""scores/bias":{"dtype":"F32""#, r#""scores/bias":{"dtype":"I32""#);
        assert!(shape.contains("`scores/bias` is I32 [3]"), "{shape}");
        let order = altered(r#"\"inputs\":[0]"#, r#"\"inputs\":[9]"#);
        assert!(order.contains("comes later"), "{order}");
        let short = from_bytes(&sample()[..sample().len() - 1]).unwrap_err().to_string();
        assert!(short.contains("damaged"), "{short}");
    }

    #[test]
    fn sizes_that_lie_are_errors() {
        let mut builder = GraphBuilder::new("tiny");
        let input = builder.input("in", Shape::Map { height: 2, width: 2, channels: 1 }).unwrap();
        let op = Op::MaxPool { window: Window::POINT, activation: Activation::None };
        let pool = builder.add("pool", op, &[input]).unwrap();
        let bytes = to_bytes(&builder.finish(pool).unwrap()).unwrap();
        let text = String::from_utf8_lossy(&bytes).replace("[2,2,1]", "[9e9,2,1]");
        let mut bytes = text.into_bytes();
        let len = bytes.len() as u64 - 8;
        bytes[..8].copy_from_slice(&len.to_le_bytes());
        assert!(from_bytes(&bytes).is_err());
    }
}
