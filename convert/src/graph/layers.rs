//! Layers as Keras users know them: by name or place, with weights to get and set, frozen or trainable.
//!
//! | Keras | here |
//! |---|---|
//! | `model.layers`, `model.get_layer("conv1")`, `get_layer(index=3)` | [`Graph::layers`], [`Graph::get_layer`] |
//! | `layer.weights`, `model.weights` | [`Layer::weights`], [`Graph::weights`] |
//! | `trainable_weights`, `non_trainable_weights` | the same, of both |
//! | `get_weights()`, `set_weights(arrays)` | [`Layer::get_weights`], [`LayerMut::set_weights`], and of the graph |
//! | `model.trainable = False` | [`Graph::set_trainable`] |
//! | `layer.trainable = False` | [`LayerMut::set_trainable`] |
//! | `for layer in model.layers[:n]: ...` | [`Graph::freeze_until`] |
//! | `include_top=False, pooling=...` | [`Graph::without_top`] |

use core::fmt;

use thiserror::Error;

use super::{Graph, Node, NodeId, Op, Param, ParamError, Shape, Weight, WeightRole, transpose};
use crate::npy::{Array, Values};

/// A layer's name or place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKey<'a> {
    /// Its name.
    Name(&'a str),
    /// Its place in [`Graph::layers`].
    Index(usize),
}

impl<'a> From<&'a str> for LayerKey<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a String> for LayerKey<'a> {
    fn from(name: &'a String) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for LayerKey<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl From<NodeId> for LayerKey<'_> {
    fn from(id: NodeId) -> Self {
        Self::Index(id.index())
    }
}

/// A layer of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    graph: &'a Graph,
    id: NodeId,
}

/// A layer of a graph, to change it.
#[derive(Debug)]
pub struct LayerMut<'a> {
    graph: &'a mut Graph,
    id: NodeId,
}

impl<'a> Layer<'a> {
    /// Its id.
    #[must_use]
    pub fn id(self) -> NodeId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'a str {
        &self.node().name
    }

    /// What it is.
    #[must_use]
    pub fn node(self) -> &'a Node {
        self.graph.node(self.id)
    }

    /// Its output without the batch.
    #[must_use]
    pub fn output_shape(self) -> Shape {
        self.node().shape
    }

    /// Whether training may change it.
    #[must_use]
    pub fn trainable(self) -> bool {
        self.node().trainable
    }

    /// Its weights, in Keras' order.
    pub fn weights(self) -> impl Iterator<Item = Weight<'a>> {
        self.graph.weights_of(self.id)
    }

    /// Those that training changes: none of a frozen layer, never a moving statistic.
    pub fn trainable_weights(self) -> impl Iterator<Item = Weight<'a>> {
        self.weights().filter(|weight| weight.trainable)
    }

    /// Those that training leaves alone.
    pub fn non_trainable_weights(self) -> impl Iterator<Item = Weight<'a>> {
        self.weights().filter(|weight| !weight.trainable)
    }

    /// Copies of its weights, in Keras' order, shapes and layouts: a convolution's kernel `[H, W, I, O]` and bias, a
    /// depthwise one's `[H, W, C, multiplier]`, a dense layer's `[I, O]`, a batch norm's gamma, beta, moving mean and
    /// moving variance.
    ///
    /// ```
    /// # use mote_convert::networks::{Network, Options};
    /// let graph = Network::CifarResnet(8).build(&Options { height: 32, width: 32, ..Options::default() })?;
    /// let shapes = |name| -> Result<Vec<_>, mote_convert::graph::LayerError> {
    ///     Ok(graph.get_layer(name)?.get_weights().iter().map(|array| array.shape().to_vec()).collect())
    /// };
    /// assert_eq!(shapes("conv1")?, [[3, 3, 3, 16]]);
    /// assert_eq!(shapes("bn1")?, [[16], [16], [16], [16]]);
    /// assert_eq!(shapes("fc")?, [vec![64, 1000], vec![1000]]);
    /// # Ok::<_, Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub fn get_weights(self) -> Vec<Array> {
        self.weights().map(|weight| array(&weight)).collect()
    }
}

impl LayerMut<'_> {
    /// Whether training may change the layer.
    ///
    /// ```
    /// # use mote_convert::networks::{Network, Options};
    /// # let mut graph = Network::CifarResnet(8).build(&Options { height: 32, width: 32, ..Options::default() })?;
    /// graph.get_layer_mut("bn1")?.set_trainable(false);
    /// let layer = graph.get_layer("bn1")?;
    /// assert_eq!((layer.trainable_weights().count(), layer.non_trainable_weights().count()), (0, 4));
    /// # Ok::<_, Box<dyn core::error::Error>>(())
    /// ```
    pub fn set_trainable(&mut self, trainable: bool) {
        self.graph.nodes[self.id.index()].trainable = trainable;
    }

    /// Replaces all weights of the layer, in the order, shapes and layouts of [`Layer::get_weights`].
    ///
    /// ```
    /// # use mote_convert::networks::{Network, Options};
    /// # let mut graph = Network::CifarResnet(8).build(&Options { height: 32, width: 32, ..Options::default() })?;
    /// let weights = graph.get_layer("layer1.0.conv1")?.get_weights();
    /// graph.get_layer_mut("layer1.0.conv2")?.set_weights(&weights)?;
    /// let error = graph.get_layer_mut("conv1")?.set_weights(&weights).unwrap_err();
    /// assert!(error.to_string().contains("`conv1/kernel` needs shape [3, 3, 3, 16], not [3, 3, 16, 16]"));
    /// # Ok::<_, Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Another number of arrays, another shape, values that are not finite floats, or a quantized network; the layer is
    /// then as it was.
    pub fn set_weights(&mut self, arrays: &[Array]) -> Result<(), LayerError> {
        let params = check(self.graph, self.graph.weights_of(self.id), arrays, || {
            format!("layer `{}`", self.graph.node(self.id).name)
        })?;
        self.graph.replace(params);
        Ok(())
    }
}

impl Graph {
    /// All layers, the input included, in topological order.
    ///
    /// ```
    /// # use mote_convert::networks::{Network, Options};
    /// let graph = Network::MobilenetV1 { alpha: 0.25 }.build(&Options::default())?;
    /// let names: Vec<_> = graph.layers().map(|layer| layer.name()).collect();
    /// assert_eq!(names[..4], ["input", "conv1", "conv1_bn", "conv1_relu"]);
    /// # Ok::<_, Box<dyn core::error::Error>>(())
    /// ```
    pub fn layers(&self) -> impl DoubleEndedIterator<Item = Layer<'_>> + ExactSizeIterator {
        (0..self.nodes.len()).map(|index| Layer { graph: self, id: NodeId(index) })
    }

    /// The layer of that name or place.
    ///
    /// ```
    /// # use mote_convert::networks::{Network, Options};
    /// let graph = Network::MobilenetV1 { alpha: 0.25 }.build(&Options::default())?;
    /// assert_eq!(graph.get_layer("conv_pw_13_bn")?.output_shape().dims(), [7, 7, 256]);
    /// assert_eq!(graph.get_layer(1)?.name(), "conv1");
    /// let error = graph.get_layer("conv_pw13").unwrap_err().to_string();
    /// assert!(error.contains("no layer `conv_pw13`; near are conv_pw_13"));
    /// # Ok::<_, Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When there is none; the error lists names that come near.
    pub fn get_layer<'k>(&self, key: impl Into<LayerKey<'k>>) -> Result<Layer<'_>, LayerError> {
        Ok(Layer { graph: self, id: self.find(key.into())? })
    }

    /// The layer of that name or place, to change it.
    ///
    /// # Errors
    /// Those of [`get_layer`](Self::get_layer).
    pub fn get_layer_mut<'k>(
        &mut self,
        key: impl Into<LayerKey<'k>>,
    ) -> Result<LayerMut<'_>, LayerError> {
        let id = self.find(key.into())?;
        Ok(LayerMut { graph: self, id })
    }

    /// All weights that training changes.
    pub fn trainable_weights(&self) -> impl Iterator<Item = Weight<'_>> {
        self.weights().filter(|weight| weight.trainable)
    }

    /// All weights that training leaves alone: moving statistics, and everything of frozen layers.
    ///
    /// ```
    /// # use mote_convert::networks::{Network, Options};
    /// # let mut graph = Network::CifarResnet(8).build(&Options { height: 32, width: 32, ..Options::default() })?;
    /// let statistics = graph.non_trainable_weights().count();
    /// assert!(graph.non_trainable_weights().all(|weight| weight.role.is_statistic()));
    /// graph.set_trainable(false);
    /// assert_eq!(graph.trainable_weights().count(), 0);
    /// assert_eq!(graph.non_trainable_weights().count(), graph.weights().count());
    /// # assert!(statistics < graph.weights().count());
    /// # Ok::<_, Box<dyn core::error::Error>>(())
    /// ```
    pub fn non_trainable_weights(&self) -> impl Iterator<Item = Weight<'_>> {
        self.weights().filter(|weight| !weight.trainable)
    }

    /// Copies of all weights, layer by layer; see [`Layer::get_weights`].
    #[must_use]
    pub fn get_weights(&self) -> Vec<Array> {
        self.weights().map(|weight| array(&weight)).collect()
    }

    /// Replaces all weights, in the order and shapes of [`get_weights`](Self::get_weights).
    ///
    /// # Errors
    /// Those of [`LayerMut::set_weights`]; the graph is then as it was.
    pub fn set_weights(&mut self, arrays: &[Array]) -> Result<(), LayerError> {
        let params = check(self, self.weights(), arrays, || format!("network `{}`", self.name))?;
        self.replace(params);
        Ok(())
    }

    /// Whether training may change the network: sets every layer, as Keras does.
    pub fn set_trainable(&mut self, trainable: bool) {
        self.set_trainable_by(|_, _| trainable);
    }

    /// Freezes every layer before that one; it and what follows is trained.
    ///
    /// ```
    /// # use mote_convert::networks::{Network, Options};
    /// # let mut graph = Network::MobilenetV1 { alpha: 0.25 }.build(&Options::default())?;
    /// graph.freeze_until("conv_pw_13")?;
    /// assert!(!graph.get_layer("conv_dw_13_bn")?.trainable());
    /// assert!(graph.get_layer("conv_pw_13")?.trainable());
    /// # Ok::<_, Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`get_layer`](Self::get_layer).
    pub fn freeze_until<'k>(&mut self, key: impl Into<LayerKey<'k>>) -> Result<(), LayerError> {
        let first = self.find(key.into())?;
        self.set_trainable_by(|id, _| id >= first);
        Ok(())
    }

    /// Whether training may change each layer, as `trainable` says.
    pub fn set_trainable_by(&mut self, mut trainable: impl FnMut(NodeId, &Node) -> bool) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            node.trainable = trainable(NodeId(index), node);
        }
    }

    /// Takes the weights of a node with weights of the same roles and shapes.
    pub(crate) fn copy_weights(&mut self, id: NodeId, from: &Node) {
        let op = &mut self.nodes[id.index()].op;
        for ((_, to), (_, from)) in op.weights_mut().zip(from.op.weights()) {
            to.data.clone_from(&from.data);
            to.quantized = None;
        }
        if let (Op::BatchNorm { epsilon: to, .. }, Op::BatchNorm { epsilon: from, .. }) =
            (op, &from.op)
        {
            *to = *from;
        }
    }

    fn find(&self, key: LayerKey<'_>) -> Result<NodeId, LayerError> {
        match key {
            LayerKey::Index(index) if index < self.nodes.len() => Ok(NodeId(index)),
            LayerKey::Index(index) => Err(LayerError::Index { index, layers: self.nodes.len() }),
            LayerKey::Name(name) => self
                .node_by_name(name)
                .ok_or_else(|| LayerError::Name { name: name.to_owned(), near: self.near(name) }),
        }
    }

    /// The names nearest to `name`, best first.
    pub(crate) fn near(&self, name: &str) -> Vec<String> {
        const SHOWN: usize = 5;
        let likeness = |node: &Node| strsim::jaro_winkler(&node.name, name);
        let mut names: Vec<_> = self.nodes.iter().map(|node| (likeness(node), node)).collect();
        names.sort_by(|(left, _), (right, _)| right.total_cmp(left));
        names.into_iter().take(SHOWN).map(|(_, node)| node.name.clone()).collect()
    }

    fn replace(&mut self, params: Vec<(NodeId, WeightRole, Param)>) {
        for (id, role, new) in params {
            let mut weights = self.nodes[id.index()].op.weights_mut();
            if let Some((_, old)) = weights.find(|(known, _)| *known == role) {
                *old = new;
            }
        }
    }
}

/// The arrays as parameters in the layout of the graph.
fn check<'a>(
    graph: &Graph,
    weights: impl Iterator<Item = Weight<'a>>,
    arrays: &[Array],
    owner: impl Fn() -> String,
) -> Result<Vec<(NodeId, WeightRole, Param)>, LayerError> {
    if graph.nodes.iter().any(|node| node.quantization.is_some()) {
        return Err(LayerError::Quantized);
    }
    let weights: Vec<_> = weights.collect();
    if weights.len() != arrays.len() {
        let (expected, found) = (weights.len(), arrays.len());
        return Err(LayerError::Count { owner: owner(), expected, found });
    }
    let checked = weights.iter().zip(arrays).map(|(weight, array)| {
        if weight.keras_shape() != array.shape() {
            return Err(LayerError::Shape {
                weight: weight.name(),
                expected: weight.keras_shape(),
                found: array.shape().to_vec(),
            });
        }
        let Values::F32(values) = array.values() else {
            return Err(LayerError::Type { weight: weight.name() });
        };
        let shape = weight.param.shape.clone();
        let data = match weight.role {
            WeightRole::Kernel | WeightRole::DenseKernel => {
                transpose(values, values.len() / shape[0])
            }
            _ => values.clone(),
        };
        if weight.role == WeightRole::MovingVariance && data.iter().any(|&value| value < 0.0) {
            return Err(LayerError::Variance { weight: weight.name() });
        }
        Ok((weight.node, weight.role, Param::new(weight.param.name.clone(), shape, data)?))
    });
    checked.collect()
}

fn array(weight: &Weight<'_>) -> Array {
    let shape = weight.keras_shape();
    let values = weight.keras_data().into_owned();
    // Inside a graph shape and values agree.
    Array::new(shape, values).unwrap_or_else(|_| unreachable!("a parameter of a graph"))
}

/// A layer that is not there, or weights that do not fit it.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LayerError {
    /// No layer of that name.
    #[error("no layer `{name}`; near are {}", near.join(", "))]
    Name {
        /// The name asked for.
        name: String,
        /// Names that come near, best first.
        near: Vec<String>,
    },
    /// No layer at that place.
    #[error("no layer {index}; there are {layers}, from 0")]
    Index {
        /// The place asked for.
        index: usize,
        /// Number of layers.
        layers: usize,
    },
    /// Another number of arrays than of weights.
    #[error("{owner} has {expected} weights, not {found}")]
    Count {
        /// Layer or network.
        owner: String,
        /// Its weights.
        expected: usize,
        /// The arrays.
        found: usize,
    },
    /// An array of another shape.
    #[error("`{weight}` needs shape {expected:?}, not {found:?}")]
    Shape {
        /// Layer and role.
        weight: String,
        /// Keras' shape of it.
        expected: Vec<usize>,
        /// The array's.
        found: Vec<usize>,
    },
    /// An array of something else than f32.
    #[error("`{weight}` needs an array of float32")]
    Type {
        /// Layer and role.
        weight: String,
    },
    /// A variance below 0.
    #[error("`{weight}` must not be negative")]
    Variance {
        /// Layer and role.
        weight: String,
    },
    /// A network whose weights are integers.
    #[error(
        "the network is quantized and its weights are fixed; change the float network that it came from"
    )]
    Quantized,
    /// Values that are not finite.
    #[error(transparent)]
    Param(#[from] ParamError),
}

impl fmt::Display for LayerKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{keras, tflite};

    #[test]
    fn weights_go_out_and_in_unchanged() {
        let graph = keras::read(&keras::sample::keras3()).unwrap();
        let mut other = graph.clone();
        let arrays = graph.get_weights();
        let zeros: Vec<Array> = arrays
            .iter()
            .map(|array| Array::new(array.shape(), vec![0.0_f32; array.values().len()]).unwrap())
            .collect();
        other.set_weights(&zeros).unwrap();
        assert!(other.weights().all(|weight| weight.param.data.iter().all(|&value| value == 0.0)));
        for layer in graph.layers() {
            let mut to = other.get_layer_mut(layer.id()).unwrap();
            to.set_weights(&layer.get_weights()).unwrap();
        }
        assert_eq!(other, graph);
        let first = arrays[..1].to_vec();
        let count = other.set_weights(&first).unwrap_err();
        assert!(matches!(count, LayerError::Count { found: 1, .. }), "{count}");
        assert_eq!(other, graph);
    }

    #[test]
    fn what_no_layer_can_hold_is_an_error() {
        let mut graph = keras::read(&keras::sample::keras3()).unwrap();
        let mut norm = graph.get_layer("norm").unwrap().get_weights();
        norm[3] = Array::new([4], vec![-1.0_f32; 4]).unwrap();
        let error = graph.get_layer_mut("norm").unwrap().set_weights(&norm).unwrap_err();
        assert_eq!(error, LayerError::Variance { weight: "norm/moving_variance".to_owned() });
        norm[3] = Array::new([4], vec![f32::NAN; 4]).unwrap();
        let error = graph.get_layer_mut("norm").unwrap().set_weights(&norm).unwrap_err();
        assert!(matches!(error, LayerError::Param(_)));
        assert!(graph.get_layer(99).unwrap_err().to_string().contains("no layer 99"));
        let mut quantized = tflite::read(&tflite::sample::int8()).unwrap();
        let weights = quantized.get_weights();
        assert_eq!(quantized.set_weights(&weights), Err(LayerError::Quantized));
    }

    #[test]
    fn flags_are_set_and_nothing_else() {
        let graph = crate::fit::residual();
        let mut changed = graph.clone();
        changed.set_trainable_by(|id, _| id.index() >= 8);
        assert_eq!(changed.trainable_parameters(), 18);
        changed.set_trainable_by(|id, _| id.index() > 0);
        assert_eq!(changed, graph);
    }
}
