//! The way into a [`Graph`]: every node is checked as it comes.

use std::collections::{BTreeMap, HashMap};

use super::{Graph, GraphError, IoType, Node, NodeId, Op, Quantization, Shape, ShapeError, infer};
use crate::preprocess::Preprocess;

/// A graph in the making.
///
/// ```
/// use mote_convert::graph::{Activation, GraphBuilder, Op, Shape};
///
/// let mut builder = GraphBuilder::new("tiny");
/// let picture = builder.input("picture", Shape::Vector(4))?;
/// let relu = builder.add("relu", Op::Activation(Activation::Relu), &[picture])?;
/// let graph = builder.finish(relu)?;
/// assert_eq!(graph.output_shape(), Shape::Vector(4));
/// # Ok::<_, mote_convert::graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    name: String,
    nodes: Vec<Node>,
    /// Taken names, each with the last number that was tried behind it.
    names: HashMap<String, usize>,
    /// Class names.
    pub labels: Option<Vec<String>>,
    /// External input and output types.
    pub io_type: IoType,
    /// How pictures become the input, when that is known.
    pub preprocess: Option<Preprocess>,
    /// Where the network came from.
    pub provenance: BTreeMap<String, String>,
}

impl GraphBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nodes: Vec::new(),
            names: HashMap::new(),
            labels: None,
            io_type: IoType::default(),
            preprocess: None,
            provenance: BTreeMap::new(),
        }
    }

    /// The network's only input.
    ///
    /// # Errors
    /// A second one, or a shape that cannot be.
    pub fn input(&mut self, name: impl Into<String>, shape: Shape) -> Result<NodeId, GraphError> {
        self.push(Node {
            name: name.into(),
            op: Op::Input,
            inputs: Vec::new(),
            shape,
            quantization: None,
            trainable: false,
        })
    }

    /// A layer that reads `inputs`, trainable and without a stated quantization.
    ///
    /// # Errors
    /// When operands or parameters do not fit.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[NodeId],
    ) -> Result<NodeId, GraphError> {
        self.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            shape: Shape::Vector(1), // inferred below
            quantization: None,
            trainable: true,
        })
    }

    /// A whole node; its shape is inferred anew unless it is the input, and a name that is taken gets a number, as in
    /// `relu_1`.
    ///
    /// # Errors
    /// When operands or parameters do not fit.
    pub fn push(&mut self, mut node: Node) -> Result<NodeId, GraphError> {
        let position = self.nodes.len();
        let operands: Option<Vec<Shape>> =
            node.inputs.iter().map(|id| self.nodes.get(id.0).map(|node| node.shape)).collect();
        let Some(operands) = operands else { return Err(GraphError::Order { layer: node.name }) };
        if matches!(node.op, Op::Input)
            && self.nodes.iter().any(|node| matches!(node.op, Op::Input))
        {
            return Err(GraphError::SecondInput { layer: node.name });
        }
        let stated = node.shape;
        let shape = infer::infer(&node.op, &operands)
            .and_then(|inferred| inferred.map_or_else(|| stated.checked(), Ok))
            .and_then(|shape| check_quantization(node.quantization).map(|()| shape));
        match shape {
            Ok(shape) => node.shape = shape,
            Err(fault) => {
                let fault = Box::new(fault);
                return Err(GraphError::Layer { layer: node.name, position, fault });
            }
        }
        node.name = self.free_name(node.name);
        self.nodes.push(node);
        Ok(NodeId(position))
    }

    fn free_name(&mut self, name: String) -> String {
        let Some(&tried) = self.names.get(&name) else {
            self.names.insert(name.clone(), 0);
            return name;
        };
        let mut number = tried + 1;
        while self.names.contains_key(&format!("{name}_{number}")) {
            number += 1;
        }
        let numbered = format!("{name}_{number}");
        self.names.insert(name, number);
        self.names.insert(numbered.clone(), 0);
        numbered
    }

    /// A node as it stands now.
    ///
    /// # Panics
    /// On an id from elsewhere.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Output shape of a node.
    ///
    /// # Panics
    /// On an id from elsewhere.
    #[must_use]
    pub fn shape(&self, id: NodeId) -> Shape {
        self.nodes[id.0].shape
    }

    /// States a node's quantization.
    ///
    /// # Errors
    /// A quantization that no int8 tensor can have.
    ///
    /// # Panics
    /// On an id from elsewhere.
    pub fn quantize(&mut self, id: NodeId, quantization: Quantization) -> Result<(), GraphError> {
        let node = &mut self.nodes[id.0];
        check_quantization(Some(quantization)).map_err(|fault| GraphError::Layer {
            layer: node.name.clone(),
            position: id.0,
            fault: Box::new(fault),
        })?;
        node.quantization = Some(quantization);
        Ok(())
    }

    /// States whether training may change a node.
    ///
    /// # Panics
    /// On an id from elsewhere.
    pub fn set_trainable(&mut self, id: NodeId, trainable: bool) {
        self.nodes[id.0].trainable = trainable;
    }

    /// The graph that ends in `output`; nodes that do not feed it are left out.
    ///
    /// # Errors
    /// When the output does not depend on an input, or labels do not fit it.
    pub fn finish(self, output: NodeId) -> Result<Graph, GraphError> {
        let mut needed = vec![false; self.nodes.len()];
        match needed.get_mut(output.0) {
            Some(needed) => *needed = true,
            None => return Err(GraphError::NoInput),
        }
        for index in (0..=output.0).rev() {
            if needed[index] {
                for input in &self.nodes[index].inputs {
                    needed[input.0] = true;
                }
            }
        }
        let mut places = vec![NodeId(0); self.nodes.len()];
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (index, mut node) in self.nodes.into_iter().enumerate() {
            if needed[index] {
                places[index] = NodeId(nodes.len());
                for input in &mut node.inputs {
                    *input = places[input.0];
                }
                nodes.push(node);
            }
        }
        let input = nodes.iter().position(|node| matches!(node.op, Op::Input));
        let Some(input) = input.map(NodeId) else { return Err(GraphError::NoInput) };
        let output = places[output.0];
        let outputs = nodes[output.0].shape.elements();
        if let Some(labels) = self.labels.as_ref().filter(|labels| labels.len() != outputs) {
            return Err(GraphError::Labels { expected: outputs, found: labels.len() });
        }
        Ok(Graph {
            name: self.name,
            nodes,
            input,
            output,
            labels: self.labels,
            io_type: self.io_type,
            preprocess: self.preprocess,
            provenance: self.provenance,
        })
    }
}

fn check_quantization(quantization: Option<Quantization>) -> Result<(), ShapeError> {
    match quantization {
        Some(Quantization { scale, zero_point })
            if !(scale.is_finite() && scale > 0.0 && i8::try_from(zero_point).is_ok()) =>
        {
            Err(ShapeError::Quantization { scale, zero_point })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, Extent, Param, ParamError, Window};
    use super::*;

    fn conv(outputs: usize, inputs: usize) -> Op {
        let filter = Param::new("k", [outputs, 3, 3, inputs], vec![0.5; outputs * 9 * inputs]);
        Op::Conv {
            filter: filter.unwrap(),
            bias: None,
            window: Window::valid(Extent::square(3), Extent::square(2), Extent::ONE),
            activation: Activation::None,
        }
    }

    #[test]
    fn shapes_are_inferred_and_dead_nodes_dropped() -> Result<(), GraphError> {
        let mut builder = GraphBuilder::new("g");
        let input = builder.input("in", Shape::Map { height: 9, width: 7, channels: 2 })?;
        let first = builder.add("a", conv(4, 2), &[input])?;
        builder.add("dead", Op::Flatten, &[first])?;
        let flat = builder.add("flat", Op::Flatten, &[first])?;
        let graph = builder.finish(flat)?;
        assert_eq!(graph.nodes().len(), 3);
        assert_eq!(graph.output_shape(), Shape::Vector(4 * 3 * 4));
        assert_eq!(graph.total_macs(), 4 * 3 * 4 * 18);
        assert_eq!(graph.readers()[0], vec![graph.node_by_name("a").unwrap()]);
        Ok(())
    }

    #[test]
    fn names_are_unique() -> Result<(), GraphError> {
        let mut builder = GraphBuilder::new("g");
        let mut last = builder.input("a", Shape::Vector(1))?;
        for name in ["a", "a_1", "a"] {
            last = builder.add(name, Op::Flatten, &[last])?;
        }
        let graph = builder.finish(last)?;
        let names: Vec<_> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["a", "a_1", "a_1_1", "a_2"]);
        Ok(())
    }

    #[test]
    fn misfits_name_the_layer() {
        let mut builder = GraphBuilder::new("g");
        let input = builder.input("in", Shape::Map { height: 9, width: 7, channels: 3 }).unwrap();
        let error = builder.add("wrong", conv(4, 2), &[input]).unwrap_err();
        assert!(error.to_string().contains("layer `wrong` (number 1)"), "{error}");
        assert!(error.to_string().contains("[O, 3, 3, 3]"), "{error}");
        let twice = builder.input("again", Shape::Vector(1)).unwrap_err();
        assert_eq!(twice, GraphError::SecondInput { layer: "again".into() });
    }

    #[test]
    fn weights_must_be_finite() {
        let error = Param::new("w", [2], vec![0.0, f32::NAN]).unwrap_err();
        assert!(matches!(error, ParamError::NotFinite { index: 1, .. }));
    }
}
