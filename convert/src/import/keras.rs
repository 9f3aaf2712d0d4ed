//! Keras models: HDF5 (`model.save("model.h5")`), as Keras 2 and Keras 3 write it, and the archives of Keras 3
//! (`model.save("model.keras")`).
//!
//! Sequential and Functional models, also nested ones, as long as every layer is called once. The layers' `activation`
//! becomes part of the node where the graph can carry it and a node of its own (`<layer>/softmax`) where not.
//!
//! # Source
//! Keras' `saving/legacy/hdf5_format.py`: the JSON of the network in the attribute `model_config`, one group a layer
//! below `model_weights`, whose attribute `weight_names` lists the data sets. Of the archives: `saving/saving_lib.py`.

mod archive;
mod config;
mod layers;
mod numbered;
mod store;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use thiserror::Error;

use crate::graph::{Graph, GraphBuilder, GraphError, NodeId, ParamError};
use crate::npy::Array;
use config::Layer;
use store::{Store, Tensor};

/// Reads a Keras HDF5 file.
///
/// # Errors
/// When it is damaged, holds weights only, or uses what is not supported.
pub fn read(file: &[u8]) -> Result<Graph, KerasError> {
    let store = Store::open(file)?;
    let json = store.model_config()?.ok_or(KerasError::WeightsOnly)?;
    let model = serde_json::from_str(&json).map_err(|error| KerasError::Json(error.to_string()))?;
    network(&model, store)
}

/// Whether the bytes begin like a `.keras` archive: a zip whose first entry is one of Keras'.
#[must_use]
pub fn is_archive(bytes: &[u8]) -> bool {
    let first = bytes.get(30..).filter(|_| bytes.starts_with(b"PK\x03\x04"));
    let names: [&[u8]; 3] = [b"metadata.json", b"config.json", b"model.weights.h5"];
    first.is_some_and(|first| names.iter().any(|name| first.starts_with(name)))
}

/// Reads a `.keras` archive.
///
/// # Errors
/// When it is damaged or uses what is not supported.
pub fn read_archive(file: &[u8]) -> Result<Graph, KerasError> {
    let archive::Parts { model, weights } = archive::parts(file)?;
    let store = Store::open_numbered(&weights, &model["config"])?;
    network(&model, store)
}

/// Reads the weights of an HDF5 file without a network, such as `model.save_weights("my.weights.h5")` writes: layers with
/// their weights in Keras' order. Nested models are left out.
///
/// # Errors
/// When the file is damaged, or its layers have no names.
pub fn read_weights(file: &[u8]) -> Result<Vec<(String, Vec<Array>)>, KerasError> {
    let layers = Store::open(file)?.layers()?;
    let with_weights = layers.into_iter().filter(|(_, weights)| !weights.is_empty());
    let arrays = with_weights.map(|(layer, weights)| {
        let array = |tensor: Tensor| Array::new(tensor.shape, tensor.data);
        let arrays = weights.into_iter().map(array).collect::<Result<Vec<_>, _>>();
        arrays.map(|arrays| (layer, arrays)).map_err(|error| KerasError::Hdf5(error.to_string()))
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    if arrays.is_empty() { Err(KerasError::Nameless) } else { Ok(arrays) }
}

fn network(model: &Value, store: Store) -> Result<Graph, KerasError> {
    let config = &model["config"];
    let name = config["name"].as_str().unwrap_or("model");
    let mut importer = Importer { store, builder: GraphBuilder::new(name) };
    let class = model["class_name"].as_str().unwrap_or_default();
    let scope = Scope { group: None, trainable: true, depth: 0 };
    let output = importer.model(class, config, None, scope)?;
    Ok(importer.builder.finish(output)?)
}

/// A Keras file that is damaged or uses what is not supported.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum KerasError {
    /// Not the HDF5 file it should be.
    #[error("the HDF5 file is damaged or unusual: {0}; save or download the model again")]
    Hdf5(String),
    /// Weights without the network.
    #[error(
        "the file holds weights but no network (no attribute `model_config`); save the full model with \
         model.save(\"model.h5\"), or give a network's weights to `mote new NETWORK --weights`"
    )]
    WeightsOnly,
    /// A file of weights whose layers are numbered only.
    #[error("the file holds no weights of named layers; save the full model as .keras")]
    Nameless,
    /// Not the archive it should be.
    #[error("the .keras archive is damaged or unusual: {0}; save or download the model again")]
    Archive(String),
    /// The network's description is no JSON.
    #[error(
        "the network's description (`model_config` or config.json) is not valid JSON: {0}; save the model again"
    )]
    Json(String),
    /// The network's description lacks something.
    #[error("the network's description (`model_config` or config.json): {0}")]
    Config(String),
    /// Neither Sequential nor Functional.
    #[error("a model of class `{class}`; Sequential and Functional models are supported")]
    Model {
        /// Its class.
        class: String,
    },
    /// Several inputs or outputs, or none.
    #[error("{} {what} ({}); networks with one input and one output are supported", layers.len(), layers.join(", "))]
    Interface {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Their layers.
        layers: Vec<String>,
    },
    /// A layer that Mote does not know.
    #[error("layer {position}, `{layer}`, of class {class} is not supported; supported: {}", layers::SUPPORTED.join(", "))]
    Layer {
        /// Its class.
        class: String,
        /// Its name.
        layer: String,
        /// Its place in the model.
        position: usize,
    },
    /// A known layer used in an unknown way.
    #[error("layer {position}, `{layer}`, of class {class}: {what}")]
    Usage {
        /// Its class.
        class: String,
        /// Its name.
        layer: String,
        /// Its place in the model.
        position: usize,
        /// What is not supported, and what is.
        what: String,
    },
    /// A layer's weight that is missing or cannot be read.
    #[error("weight `{weight}` of layer `{layer}`: {what}")]
    Weight {
        /// Its layer.
        layer: String,
        /// Its name.
        weight: String,
        /// What is wrong.
        what: String,
    },
    /// Layers that do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A parameter that no network can use.
    #[error(transparent)]
    Param(#[from] ParamError),
}

/// Where in nested models the importer is.
#[derive(Clone, Copy, Debug)]
struct Scope<'a> {
    /// The outermost nested model, whose group holds all its weights.
    group: Option<&'a str>,
    trainable: bool,
    depth: usize,
}

#[derive(Debug)]
struct Importer {
    store: Store,
    builder: GraphBuilder,
}

impl Importer {
    /// A model and all its layers; a nested one is fed from outside.
    fn model(
        &mut self,
        class: &str,
        config: &Value,
        feed: Option<NodeId>,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        if scope.depth > MAX_DEPTH {
            let what = format!("models nested more than {MAX_DEPTH} deep");
            return Err(KerasError::Config(what));
        }
        match class {
            "Sequential" => self.sequential(config, feed, scope),
            "Functional" | "Model" => self.functional(config, feed, scope),
            _ => Err(KerasError::Model { class: class.to_owned() }),
        }
    }

    fn sequential(
        &mut self,
        config: &Value,
        feed: Option<NodeId>,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        // Before Keras 2.3 the configuration was the bare list.
        let layers = config["layers"].as_array().or_else(|| config.as_array());
        let layers = layers.ok_or_else(|| KerasError::Config("lacks `layers`".to_owned()))?;
        let mut last = feed;
        for (position, value) in layers.iter().enumerate() {
            let layer = Layer::new(value, position)?;
            if layer.class == "InputLayer" && feed.is_some() {
                continue;
            }
            if last.is_none() && layer.class != "InputLayer" {
                let nested = layer.config.get("layers").and_then(|layers| layers.get(0));
                let nested = nested.map(|first| &first["config"]);
                let shape = [Some(layer.config), nested, Some(config)];
                let shape = shape.into_iter().flatten().find_map(config::batch_shape);
                let shape = layer.input_shape(shape)?;
                last = Some(self.builder.input(format!("{}_input", layer.name), shape)?);
            }
            last = Some(self.layer(&layer, last.as_slice(), scope)?);
        }
        last.ok_or_else(|| KerasError::Config("has no layers".to_owned()))
    }

    fn functional(
        &mut self,
        config: &Value,
        feed: Option<NodeId>,
        scope: Scope<'_>,
    ) -> Result<NodeId, KerasError> {
        let layers = config["layers"].as_array();
        let layers = layers.ok_or_else(|| KerasError::Config("lacks `layers`".to_owned()))?;
        let layers = layers.iter().enumerate().map(|(position, value)| Layer::new(value, position));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let input = only("inputs", config::references(&config["input_layers"]))?;
        let output = only("outputs", config::references(&config["output_layers"]))?;
        let mut nodes: HashMap<&str, NodeId> = HashMap::new();
        for position in topological_order(&layers)? {
            let layer = &layers[position];
            let inputs = layer.inbound()?.into_iter().map(|name| nodes[name]).collect::<Vec<_>>();
            let node = match feed {
                Some(feed) if layer.name == input => feed,
                _ => self.layer(layer, &inputs, scope)?,
            };
            nodes.insert(layer.name, node);
        }
        let unknown = || KerasError::Config(format!("the output layer `{output}` does not exist"));
        nodes.get(output).copied().ok_or_else(unknown)
    }
}

/// Places of the layers so that each comes after what it reads; otherwise as listed.
fn topological_order(layers: &[Layer<'_>]) -> Result<Vec<usize>, KerasError> {
    let places: HashMap<&str, usize> =
        layers.iter().map(|layer| (layer.name, layer.position)).collect();
    if places.len() != layers.len() {
        return Err(KerasError::Config("two layers share a name".to_owned()));
    }
    let mut readers = vec![Vec::new(); layers.len()];
    let mut missing = vec![0_usize; layers.len()];
    for layer in layers {
        for name in layer.inbound()? {
            let place = places.get(name);
            let place = place
                .ok_or_else(|| layer.usage(format!("reads `{name}`, which does not exist")))?;
            readers[*place].push(layer.position);
            missing[layer.position] += 1;
        }
    }
    let mut ready: BTreeSet<usize> =
        (0..layers.len()).filter(|&place| missing[place] == 0).collect();
    let mut order = Vec::with_capacity(layers.len());
    while let Some(place) = ready.pop_first() {
        order.push(place);
        for &reader in &readers[place] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    match layers.iter().find(|layer| missing[layer.position] > 0) {
        Some(layer) => Err(layer.usage("waits for its own output")),
        None => Ok(order),
    }
}

fn only<'a>(what: &'static str, layers: Vec<&'a str>) -> Result<&'a str, KerasError> {
    match layers[..] {
        [layer] => Ok(layer),
        _ => {
            let layers = layers.into_iter().map(str::to_owned).collect();
            Err(KerasError::Interface { what, layers })
        }
    }
}

const MAX_DEPTH: usize = 8;

#[cfg(test)]
pub(crate) mod sample {
    //! Small Keras files; `tests/data/keras_models.py` wrote them.

    use std::io::Read;

    use flate2::read::GzDecoder;

    /// Functional, as Keras 3 saves it.
    pub(crate) fn keras3() -> Vec<u8> {
        unpacked(include_bytes!("../../tests/data/keras3.h5.gz"))
    }

    /// The same as an archive.
    pub(crate) fn archive() -> Vec<u8> {
        unpacked(include_bytes!("../../tests/data/small.keras.gz"))
    }

    /// Weights of a MobileNet, with values that say where they belong.
    pub(crate) fn weights() -> Vec<u8> {
        unpacked(include_bytes!("../../tests/data/small.weights.h5.gz"))
    }

    /// Sequential, in the manner of Keras 2.
    pub(crate) fn keras2() -> Vec<u8> {
        unpacked(include_bytes!("../../tests/data/keras2.h5.gz"))
    }

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut file).unwrap();
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Op, Shape};
    use crate::interpret;

    /// Runs the picture of `keras_models.py` and compares with what Keras computed.
    fn check(graph: &Graph, expected: &[f32]) {
        let picture = (0..graph.input_shape().elements()).map(|index| index * 37 % 256);
        let picture = picture.map(|value| f32::from(u8::try_from(value).unwrap()));
        let output = interpret::run(graph, &picture.collect::<Vec<_>>(), |_, _| ()).unwrap();
        assert_eq!(output.len(), expected.len());
        for (output, expected) in output.iter().zip(expected) {
            assert!((output - expected).abs() < 1e-5, "{output} {expected}");
        }
    }

    #[test]
    fn functional_model_of_keras_3() -> Result<(), KerasError> {
        let graph = read(&sample::keras3())?;
        assert_eq!(graph.name(), "small");
        assert_eq!((graph.parameters(), graph.trainable_parameters()), (323, 270));
        let inner = graph.node(graph.node_by_name("inner").unwrap());
        assert!(!inner.trainable);
        let names: Vec<_> = graph.weights().map(|weight| weight.name()).collect();
        assert_eq!(names[..2], ["conv/kernel", "conv/bias"]);
        assert_eq!(names[names.len() - 1], "scores/bias");
        check(&graph, &KERAS3);
        Ok(())
    }

    #[test]
    fn archive_is_the_same_network() -> Result<(), KerasError> {
        let (file, archive) = (sample::keras3(), sample::archive());
        assert!(is_archive(&archive) && !is_archive(&file));
        assert_eq!(read_archive(&archive)?, read(&file)?);
        Ok(())
    }

    /// Early versions of Keras 3 leave the names of the layers out.
    #[test]
    fn groups_without_names_are_counted() -> Result<(), KerasError> {
        let archive = sample::archive();
        let archive::Parts { model, mut weights } = archive::parts(&archive)?;
        let places = 0..weights.len() - 5;
        let names: Vec<usize> =
            places.filter(|&place| &weights[place..place + 5] == b"name\0").collect();
        assert!(names.len() > 10, "{}", names.len());
        for place in names {
            weights[place] = b'g';
        }
        let store = Store::open_numbered(&weights, &model["config"])?;
        assert_eq!(network(&model, store)?, read_archive(&archive)?);
        Ok(())
    }

    #[test]
    fn archives_say_what_is_wrong() {
        let archive = sample::archive();
        let at = archive.windows(11).position(|window| window == b"config.json").unwrap();
        let mut renamed = archive.clone();
        for place in
            (0..archive.len() - 11).filter(|&place| &archive[place..place + 11] == b"config.json")
        {
            renamed[place] = b'k';
        }
        let message = read_archive(&renamed).unwrap_err().to_string();
        assert!(message.contains("config.json") && message.contains("save"), "{message}");
        let message = read_archive(&archive[..at]).unwrap_err().to_string();
        assert!(message.contains("archive is damaged"), "{message}");
    }

    #[test]
    fn weights_alone_have_names_and_order() -> Result<(), KerasError> {
        let layers = read_weights(&sample::weights())?;
        let find = |name: &str| &layers.iter().find(|(layer, _)| layer == name).unwrap().1;
        assert_eq!(find("conv1")[0].shape(), [3, 3, 3, 1]);
        let norm: Vec<f32> =
            find("conv1_bn").iter().map(|array| array.values().to_f32()[0]).collect();
        assert_eq!(norm, [1.0, 2.0, 3.0, 4.0]);
        // What Keras 2 lists by name.
        let layers = read_weights(&sample::keras2())?;
        let names: Vec<_> =
            layers.iter().map(|(layer, weights)| (&layer[..], weights.len())).collect();
        assert_eq!(names, [("conv", 2), ("dense", 2), ("norm", 3)]);
        Ok(())
    }

    #[test]
    fn sequential_model_of_keras_2() -> Result<(), KerasError> {
        let graph = read(&sample::keras2())?;
        assert_eq!(graph.input_shape(), Shape::Map { height: 6, width: 7, channels: 2 });
        let norm = &graph.node(graph.node_by_name("norm").unwrap()).op;
        assert!(matches!(norm, Op::BatchNorm { gamma: None, beta: Some(_), .. }));
        check(&graph, &KERAS2);
        Ok(())
    }

    #[test]
    fn order_follows_the_wiring_not_the_list() {
        let json = r#"[
            {"class_name": "A", "name": "last", "inbound_nodes": [[["first", 0, 0, {}]]]},
            {"class_name": "B", "name": "first", "inbound_nodes": []}]"#;
        let layers: Value = serde_json::from_str(json).unwrap();
        let layer = |(position, value)| Layer::new(value, position).unwrap();
        let layers: Vec<_> = layers.as_array().unwrap().iter().enumerate().map(layer).collect();
        assert_eq!(topological_order(&layers).unwrap(), [1, 0]);
        let circle = r#"{"class_name": "A", "name": "a", "inbound_nodes": [[["a", 0, 0, {}]]]}"#;
        let circle: Value = serde_json::from_str(circle).unwrap();
        let message =
            topological_order(&[Layer::new(&circle, 0).unwrap()]).unwrap_err().to_string();
        assert!(message.contains("`a`") && message.contains("its own output"), "{message}");
    }

    /// The sample with a piece of its JSON replaced by another of the same length.
    fn altered(from: &str, to: &str) -> KerasError {
        let mut file = sample::keras2();
        let at = file.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        file[at..at + from.len()].fill(b' ');
        file[at..at + to.len()].copy_from_slice(to.as_bytes());
        read(&file).unwrap_err()
    }

    #[test]
    fn unsupported_things_are_named() {
        let message = altered("\"Activation\"", "\"Attention\"").to_string();
        let expected =
            "layer 5, `softmax`, of class Attention is not supported; supported: InputLayer";
        assert!(message.starts_with(expected), "{message}");
        let message = altered("\"relu\"", "\"elu\"").to_string();
        assert!(message.contains("layer 0, `conv`"), "{message}");
        assert!(message.contains("activation `elu`; linear, relu"), "{message}");
        let message = altered("[null, 6, 7, 2]", "[null, 6,null]").to_string();
        assert!(message.contains("is open"), "{message}");
        let message = altered("{\"class_name\"", "").to_string();
        assert!(message.contains("not valid JSON"), "{message}");
    }

    #[test]
    fn weights_alone_are_not_a_model() {
        assert_eq!(altered("model_config", "model_confix"), KerasError::WeightsOnly);
        let message = KerasError::WeightsOnly.to_string();
        assert!(message.contains("model.save(\"model.h5\")"), "{message}");
    }

    const KERAS3: [f32; 3] = [0.639_758_9, 0.162_445_52, 0.197_795_6];
    const KERAS2: [f32; 4] = [0.016_916_243, 0.540_194_03, 0.411_388_73, 0.031_501_08];
}
