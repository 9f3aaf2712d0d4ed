//! Weights from one network into another, by the names of the layers.

use thiserror::Error;

use crate::graph::Graph;

/// What [`load_weights`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Layers that got their weights.
    pub loaded: Vec<String>,
    /// Layers with weights that the source does not have; they are as they were.
    pub missing: Vec<String>,
}

/// Gives every layer of `graph` the weights of the layer of that name in `source`, which may come from any importer;
/// like Keras' `load_weights(by_name=True)`. Labels stay; the preprocessing and the epsilons of batch norms are taken
/// over, since the weights were trained with them.
///
/// ```
/// use mote_convert::networks::{Network, Options, Top, load_weights};
///
/// let source = Network::CifarResnet(8).build(&Options { height: 32, width: 32, ..Options::default() })?;
/// let empty = Options { height: 32, width: 32, seed: None, ..Options::default() };
/// let mut graph = Network::CifarResnet(8).build(&empty)?;
/// let loaded = load_weights(&mut graph, &source)?;
/// assert!(loaded.missing.is_empty());
/// assert!(graph.weights().zip(source.weights()).all(|(a, b)| a.param == b.param));
/// # Ok::<_, Box<dyn core::error::Error>>(())
/// ```
///
/// # Errors
/// When no layer is common to both, or a common layer has other weights; `graph` is then as it was.
pub fn load_weights(graph: &mut Graph, source: &Graph) -> Result<Loaded, LoadError> {
    let mut outcome = Loaded::default();
    let mut pairs = Vec::new();
    let nodes = source.iter().map(|(id, node)| (node.name.as_str(), id));
    let nodes: std::collections::HashMap<_, _> = nodes.collect();
    for (id, node) in graph.iter().filter(|(_, node)| node.parameters() > 0) {
        let Some(&from) = nodes.get(node.name.as_str()) else {
            outcome.missing.push(node.name.clone());
            continue;
        };
        let weights = |graph: &Graph, id| {
            let weights = graph.weights().filter(move |weight| weight.node == id);
            weights.map(|weight| (weight.role, weight.keras_shape())).collect::<Vec<_>>()
        };
        let (expected, found) = (weights(graph, id), weights(source, from));
        if expected != found {
            let list = |weights: Vec<(crate::graph::WeightRole, Vec<usize>)>| {
                let each = weights.iter().map(|(role, shape)| format!("{} {shape:?}", role.name()));
                each.collect::<Vec<_>>().join(", ")
            };
            return Err(LoadError::Layer {
                layer: node.name.clone(),
                network: graph.name().to_owned(),
                expected: list(expected),
                source_network: source.name().to_owned(),
                found: list(found),
            });
        }
        outcome.loaded.push(node.name.clone());
        pairs.push((id, from));
    }
    if pairs.is_empty() {
        let first = |graph: &Graph| {
            let weighty = graph.nodes().iter().filter(|node| node.parameters() > 0);
            weighty.take(5).map(|node| node.name.clone()).collect::<Vec<_>>().join(", ")
        };
        return Err(LoadError::Nothing {
            network: graph.name().to_owned(),
            layers: first(graph),
            source_network: source.name().to_owned(),
            source_layers: first(source),
        });
    }
    for (id, from) in pairs {
        graph.copy_weights(id, source.node(from));
    }
    graph.preprocess = source.preprocess.or(graph.preprocess);
    Ok(outcome)
}

/// Weights that do not fit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A layer has other weights in the source.
    #[error(
        "layer `{layer}` of {network} has {expected}, that of {source_network} has {found}; build the network with \
         the width and the number of classes of the weights, or without its top"
    )]
    Layer {
        /// Its name.
        layer: String,
        /// The network to fill.
        network: String,
        /// Roles and shapes of the weights that it needs.
        expected: String,
        /// The network with the weights.
        source_network: String,
        /// Roles and shapes of the weights that there are.
        found: String,
    },
    /// The networks share no layer.
    #[error(
        "no layer of {network} ({layers}, ...) has a namesake in {source_network} ({source_layers}, ...)"
    )]
    Nothing {
        /// The network to fill.
        network: String,
        /// Its first layers.
        layers: String,
        /// The network with the weights.
        source_network: String,
        /// Its first layers.
        source_layers: String,
    },
}
