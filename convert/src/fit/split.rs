//! Surgery: a graph in two at a tensor that everything later depends on, and whole again.
//!
//! Training from some layer on needs only the layers from the last such tensor before it; what is
//! below is run once.

use crate::graph::{Graph, GraphBuilder, GraphError, Node, NodeId, Op};

/// The two parts of a graph.
#[derive(Debug, Clone)]
pub struct Split {
    /// From the input to the cut.
    pub prefix: Graph,
    /// From the cut, as its input, to the output.
    pub suffix: Graph,
}

/// The last node before `first` that alone is read from further on: through it everything passes.
/// `None` if that is the input itself.
#[must_use]
pub fn cut_before(graph: &Graph, first: NodeId) -> Option<NodeId> {
    // For every node the furthest reader; the output is read from outside.
    let readers = graph.readers();
    let reach = |(id, _): (NodeId, &Node)| {
        let last = readers[id.index()].last().map_or(id.index(), |reader| reader.index());
        if id == graph.output() { usize::MAX } else { last }
    };
    let reach: Vec<usize> = graph.iter().map(reach).collect();
    let mut furthest = 0; // of all nodes before the candidate
    let mut cut = None;
    for (id, node) in graph.iter().take(first.index()) {
        if furthest <= id.index() && !matches!(node.op, Op::Input) {
            cut = Some(id);
        }
        furthest = furthest.max(reach[id.index()]);
    }
    cut
}

/// Takes a graph apart at a cut that [`cut_before`] found.
///
/// # Errors
/// [`GraphError`] at any other node that has a node before it read from beyond it.
pub fn split(graph: &Graph, cut: NodeId) -> Result<Split, GraphError> {
    let (mut suffix, nodes, output) = graph.clone().into_builder();
    let mut prefix = GraphBuilder::new(graph.name());
    prefix.io_type.input = suffix.io_type.input;
    prefix.preprocess = suffix.preprocess.take();
    prefix.provenance = core::mem::take(&mut suffix.provenance);
    let at = cut.index();
    let mut below = Vec::with_capacity(at + 1);
    for node in &nodes[..=at] {
        let inputs = place(&node.inputs, &below, 0, &node.name)?;
        below.push(prefix.push(Node { inputs, ..node.clone() })?);
    }
    let mut above = Vec::with_capacity(nodes.len() - at);
    above.push(suffix.push(Node {
        op: Op::Input,
        inputs: Vec::new(),
        trainable: false,
        ..nodes[at].clone()
    })?);
    for node in &nodes[at + 1..] {
        let inputs = place(&node.inputs, &above, at, &node.name)?;
        above.push(suffix.push(Node { inputs, ..node.clone() })?);
    }
    Ok(Split {
        prefix: prefix.finish(below[at])?,
        suffix: suffix.finish(above[output.index() - at])?,
    })
}

/// Puts a suffix, trained meanwhile, back on its prefix.
///
/// # Errors
/// [`GraphError`] if the suffix does not take what the prefix gives.
pub fn join(prefix: &Graph, suffix: &Graph) -> Result<Graph, GraphError> {
    let (mut builder, nodes, cut) = prefix.clone().into_builder();
    builder.labels.clone_from(&suffix.labels);
    builder.io_type.output = suffix.io_type.output;
    for node in nodes {
        builder.push(node)?;
    }
    let mut places = Vec::with_capacity(suffix.nodes().len());
    for node in suffix.nodes() {
        places.push(match node.op {
            Op::Input => cut,
            _ => {
                let inputs = place(&node.inputs, &places, 0, &node.name)?;
                builder.push(Node { inputs, ..node.clone() })?
            }
        });
    }
    builder.finish(places[suffix.output().index()])
}

/// Operands in another builder, whose place 0 stands for `offset` here.
fn place(
    inputs: &[NodeId],
    places: &[NodeId],
    offset: usize,
    layer: &str,
) -> Result<Vec<NodeId>, GraphError> {
    let there = |id: &NodeId| places.get(id.index().checked_sub(offset)?).copied();
    let found: Option<Vec<NodeId>> = inputs.iter().map(there).collect();
    found.ok_or_else(|| GraphError::Order { layer: layer.into() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::graph::{Activation, Extent, Param, Shape, Window};
    use crate::interpret;
    use crate::random::SplitMix;

    pub(crate) fn param(random: &mut SplitMix, shape: &[usize], scale: f32) -> Param {
        let len = shape.iter().product();
        let data = (0..len).map(|_| random.between(-scale, scale)).collect();
        Param::new("w", shape, data).unwrap()
    }

    pub(crate) fn conv(random: &mut SplitMix, outputs: usize, inputs: usize) -> Op {
        let extent = Extent::square(8);
        Op::Conv {
            filter: param(random, &[outputs, 3, 3, inputs], 0.5),
            bias: Some(param(random, &[outputs], 0.1)),
            window: Window::same(extent, Extent::square(3), Extent::ONE, Extent::ONE).unwrap(),
            activation: Activation::Relu,
        }
    }

    /// in, conv0, conv1, conv2, add (of conv0 and conv2), bn, conv3, gap, dense, softmax.
    pub(crate) fn residual() -> Graph {
        let random = &mut SplitMix::new(5);
        let mut builder = GraphBuilder::new("residual");
        let map = Shape::Map { height: 8, width: 8, channels: 3 };
        let input = builder.input("in", map).unwrap();
        let conv0 = builder.add("conv0", conv(random, 4, 3), &[input]).unwrap();
        let conv1 = builder.add("conv1", conv(random, 4, 4), &[conv0]).unwrap();
        let conv2 = builder.add("conv2", conv(random, 4, 4), &[conv1]).unwrap();
        let add = Op::Add { activation: Activation::None };
        let add = builder.add("add", add, &[conv0, conv2]).unwrap();
        let norm = Op::BatchNorm {
            gamma: Some(param(random, &[4], 1.0)),
            beta: None,
            mean: param(random, &[4], 0.3),
            variance: Param::new("v", [4], vec![0.5, 1.0, 2.0, 0.25]).unwrap(),
            epsilon: 1e-3,
            momentum: 0.99,
        };
        let norm = builder.add("bn", norm, &[add]).unwrap();
        let conv3 = builder.add("conv3", conv(random, 6, 4), &[norm]).unwrap();
        let pool = builder.add("gap", Op::GlobalAvgPool { keep_axes: false }, &[conv3]).unwrap();
        let dense = Op::Dense {
            weights: param(random, &[3, 6], 1.0),
            bias: None,
            activation: Activation::None,
        };
        let dense = builder.add("dense", dense, &[pool]).unwrap();
        let softmax = builder.add("softmax", Op::Softmax { beta: 1.0 }, &[dense]).unwrap();
        builder.labels = Some(["a", "b", "c"].map(String::from).to_vec());
        builder.finish(softmax).unwrap()
    }

    fn run(graph: &Graph, input: &[f32]) -> Vec<f32> {
        interpret::run(graph, input, |_, _| ()).unwrap()
    }

    #[test]
    fn the_cut_is_never_inside_a_residual_block() {
        let graph = residual();
        let cut = |name: &str| {
            let cut = cut_before(&graph, graph.node_by_name(name).unwrap());
            cut.map(|id| graph.node(id).name.clone())
        };
        assert_eq!(cut("dense").as_deref(), Some("gap"));
        assert_eq!(cut("conv3").as_deref(), Some("bn"));
        assert_eq!(cut("bn").as_deref(), Some("add"));
        for inside in ["add", "conv2", "conv1"] {
            assert_eq!(cut(inside).as_deref(), Some("conv0"), "{inside}");
        }
        assert_eq!(cut("conv0"), None);
        assert_eq!(cut("in"), None);
    }

    #[test]
    fn joining_is_the_inverse_of_splitting() {
        let graph = residual();
        let mut random = SplitMix::new(1);
        let input: Vec<f32> = (0..192).map(|_| random.between(-1.0, 1.0)).collect();
        let mut cuts = 0;
        for (first, _) in graph.iter() {
            let Some(cut) = cut_before(&graph, first) else { continue };
            let Split { prefix, suffix } = split(&graph, cut).unwrap();
            assert_eq!(run(&suffix, &run(&prefix, &input)), run(&graph, &input));
            assert_eq!(join(&prefix, &suffix).unwrap(), graph);
            cuts += 1;
        }
        assert_eq!(cuts, 8);
        let inside = graph.node_by_name("conv1").unwrap();
        assert!(
            matches!(split(&graph, inside), Err(GraphError::Order { layer }) if layer == "add")
        );
    }
}
