//! Weights from one network into another, by the names of the layers or their order.

use std::collections::HashMap;

use thiserror::Error;

use crate::graph::{Graph, LayerError, NodeId, WeightRole};
use crate::npy::Array;

/// What [`load_weights`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Layers that got their weights.
    pub loaded: Vec<String>,
    /// Layers with weights that the source does not have; they are as they were.
    pub missing: Vec<String>,
    /// Whether no name was common and the order decided.
    pub in_order: bool,
}

/// Gives every layer of `graph` the weights of the layer of that name in `source`, which may come from any importer;
/// like Keras' `load_weights(by_name=True)`. Where not one layer has a namesake, the first layer with weights takes those
/// of the first one, the second those of the second, and so on, as Keras' `load_weights` does; `source` may have more
/// layers behind. Labels stay; the preprocessing and the epsilons of batch norms are taken over, since the weights were
/// trained with them.
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
/// When a layer has other weights than its namesake, or, in order, than the layer in its place; `graph` is then as it was.
pub fn load_weights(graph: &mut Graph, source: &Graph) -> Result<Loaded, LoadError> {
    let mut outcome = Loaded::default();
    let mut pairs = by_name(graph, source, &mut outcome.missing)?;
    if pairs.is_empty() {
        pairs = in_order(graph, source)?;
        outcome = Loaded { in_order: true, ..Loaded::default() };
    }
    for (id, from) in pairs {
        outcome.loaded.push(graph.node(id).name.clone());
        graph.copy_weights(id, source.node(from));
    }
    graph.preprocess = source.preprocess.or(graph.preprocess);
    Ok(outcome)
}

/// Gives every layer of `graph` the weights listed under its name, in Keras' order and shapes, as a Keras file of weights
/// has them ([`read_weights`](crate::import::keras::read_weights)).
///
/// # Errors
/// When no layer is listed, or a layer has other weights; `graph` is then as it was.
pub fn load_layers(
    graph: &mut Graph,
    layers: &[(String, Vec<Array>)],
) -> Result<Loaded, LoadError> {
    let named: HashMap<&str, &[Array]> =
        layers.iter().map(|(name, weights)| (&name[..], &weights[..])).collect();
    let mut outcome = Loaded::default();
    let mut filled = graph.clone();
    for id in weighty(graph) {
        let name = &graph.node(id).name;
        match named.get(&name[..]) {
            Some(weights) => {
                let mut layer = filled.get_layer_mut(&name[..]).map_err(LoadError::Weights)?;
                layer.set_weights(weights).map_err(LoadError::Weights)?;
                outcome.loaded.push(name.clone());
            }
            None => outcome.missing.push(name.clone()),
        }
    }
    if outcome.loaded.is_empty() {
        let first = |names: &mut dyn Iterator<Item = &String>| {
            names.take(5).cloned().collect::<Vec<_>>().join(", ")
        };
        return Err(LoadError::Nothing {
            network: graph.name().to_owned(),
            layers: first(&mut outcome.missing.iter()),
            listed: first(&mut layers.iter().map(|(name, _)| name)),
        });
    }
    *graph = filled;
    Ok(outcome)
}

fn by_name(
    graph: &Graph,
    source: &Graph,
    missing: &mut Vec<String>,
) -> Result<Vec<(NodeId, NodeId)>, LoadError> {
    let names: HashMap<&str, NodeId> =
        source.iter().map(|(id, node)| (&node.name[..], id)).collect();
    let mut pairs = Vec::new();
    for id in weighty(graph) {
        let layer = &graph.node(id).name;
        let Some(&from) = names.get(&layer[..]) else {
            missing.push(layer.clone());
            continue;
        };
        let (expected, found) = (weights(graph, id), weights(source, from));
        if expected != found {
            return Err(LoadError::Layer {
                layer: layer.clone(),
                network: graph.name().to_owned(),
                expected: list(expected),
                source_network: source.name().to_owned(),
                found: list(found),
            });
        }
        pairs.push((id, from));
    }
    Ok(pairs)
}

fn in_order(graph: &Graph, source: &Graph) -> Result<Vec<(NodeId, NodeId)>, LoadError> {
    let mut sources = weighty(source);
    let pair = |id: NodeId| {
        let from = sources.next();
        let found = from.map(|from| weights(source, from));
        match from.filter(|_| found.as_ref() == Some(&weights(graph, id))) {
            Some(from) => Ok((id, from)),
            None => Err(LoadError::Order {
                network: graph.name().to_owned(),
                layer: graph.node(id).name.clone(),
                expected: list(weights(graph, id)),
                source_layer: from.map_or("nothing".to_owned(), |id| source.node(id).name.clone()),
                found: found.map(list).unwrap_or_default(),
            }),
        }
    };
    weighty(graph).map(pair).collect()
}

fn weighty(graph: &Graph) -> impl Iterator<Item = NodeId> {
    graph.iter().filter(|(_, node)| node.parameters() > 0).map(|(id, _)| id)
}

fn weights(graph: &Graph, id: NodeId) -> Vec<(WeightRole, Vec<usize>)> {
    graph.weights_of(id).map(|weight| (weight.role, weight.keras_shape())).collect()
}

fn list(weights: Vec<(WeightRole, Vec<usize>)>) -> String {
    let each = weights.iter().map(|(role, shape)| format!("{} {shape:?}", role.name()));
    each.collect::<Vec<_>>().join(", ")
}

/// Weights that do not fit.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A layer has other weights in the source.
    #[error(
        "layer `{layer}` of {network} has {expected}, that of {source_network} has {found}; build the network with \
         the width and the number of classes of the weights, or without its top; a model whose exporter folded the \
         batch norms does not fit (PyTorch keeps them with training=TrainingMode.PRESERVE)"
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
    /// Listed weights that do not fit their layer.
    #[error(
        "{0}; build the network with the width and the number of classes of the weights, or without its top"
    )]
    Weights(LayerError),
    /// No layer is listed.
    #[error("no layer of {network} ({layers}, ...) is among those of the weights ({listed}, ...)")]
    Nothing {
        /// The network to fill.
        network: String,
        /// Its first layers.
        layers: String,
        /// The first layers with weights.
        listed: String,
    },
    /// The networks share no name, and their layers differ.
    #[error(
        "no layer of {network} has a namesake among those of the weights, and in order `{layer}` needs {expected} \
         where `{source_layer}` has {found}; build the same architecture"
    )]
    Order {
        /// The network to fill.
        network: String,
        /// The first layer that does not fit.
        layer: String,
        /// Roles and shapes of the weights that it needs.
        expected: String,
        /// The source's layer in that place.
        source_layer: String,
        /// Roles and shapes of its weights.
        found: String,
    },
}
