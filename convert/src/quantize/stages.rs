//! A quantized network in stages: what came before the last narrow place was run once.
//!
//! Bias correction looks at layer after layer with all earlier ones corrected. Running the whole network for each is
//! quadratic; a tensor through which everything later passes is as good a start as the input.

use mote_engine::{Isa, Numerics};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::blob::{Blob, Runner, quantize};
use crate::emit::{Metadata, emit};
use crate::lower::lower;
use crate::quantized::{Network, Node, Op};
use crate::target::Target;

/// Bytes of all samples' numbers at one place; wider tensors are passed by and computed again.
const MAX_HELD_BYTES: usize = 256 << 20;

/// Samples on their way through a network.
#[derive(Debug)]
pub(super) struct Stages {
    /// The node whose output is held.
    place: usize,
    held: Vec<Vec<i8>>,
}

impl Stages {
    /// At the input.
    pub(super) fn new(network: &Network, samples: &[Vec<f32>]) -> Self {
        let (scale, zero_point) = (network.nodes[0].scale, network.nodes[0].zero_point);
        let stored = |sample: &Vec<f32>| {
            sample.iter().map(|&value| quantize(value, scale, zero_point)).collect()
        };
        Self { place: 0, held: samples.par_iter().map(stored).collect() }
    }

    /// How many there are.
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(super) fn samples(&self) -> f64 {
        self.held.len() as f64
    }

    /// Sums of the outputs of node `place`, which lies further on, a channel at a time; the weights of all nodes before it
    /// stay as they are from now on.
    ///
    /// # Errors
    /// When the part of the network cannot run.
    pub(super) fn sums(&mut self, network: &Network, place: usize) -> anyhow::Result<Vec<i64>> {
        self.advance(network, place)?;
        let channels = network.nodes[place].shape.channels;
        let blob = self.blob(network, place)?;
        let empty = || vec![0_i64; channels];
        let add = |mut sums: Vec<i64>, values: &[i64]| {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            sums
        };
        self.held
            .par_iter()
            .try_fold(empty, |mut sums, input| {
                for pixel in Runner::new(&blob, Isa::best())?.run(input).chunks_exact(channels) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += i64::from(value));
                }
                anyhow::Ok(sums)
            })
            .try_reduce(empty, |a, b| Ok(add(a, &b)))
    }

    /// To the last place before `place` that everything passes through and that may be held.
    fn advance(&mut self, network: &Network, place: usize) -> anyhow::Result<()> {
        let fits = |place: &usize| {
            let shape = network.nodes[*place].shape;
            (shape.pixels() * shape.channels).saturating_mul(self.held.len()) <= MAX_HELD_BYTES
        };
        let further = narrow_places(network).into_iter().filter(|&narrow| narrow < place);
        let Some(next) = further.filter(fits).max().filter(|&next| next > self.place) else {
            return Ok(());
        };
        let blob = self.blob(network, next)?;
        let run = |input: &Vec<i8>| anyhow::Ok(Runner::new(&blob, Isa::best())?.run(input));
        self.held = self.held.par_iter().map(run).collect::<anyhow::Result<_>>()?;
        self.place = next;
        Ok(())
    }

    /// The network from what is held to the output of `place`.
    fn blob(&self, network: &Network, place: usize) -> anyhow::Result<Blob> {
        let mut needed = vec![false; place + 1];
        needed[place] = true;
        for at in (self.place + 1..=place).rev() {
            if needed[at] {
                network.nodes[at].inputs.iter().for_each(|&input| needed[input] = true);
            }
        }
        let start = &network.nodes[self.place];
        let mut nodes = vec![Node { op: Op::Input, inputs: Vec::new(), ..start.clone() }];
        let mut places = vec![0; place + 1];
        for at in (self.place + 1..=place).filter(|&at| needed[at]) {
            let node = &network.nodes[at];
            let inputs = node.inputs.iter().map(|&input| places[input]).collect();
            places[at] = nodes.len();
            nodes.push(Node { inputs, ..node.clone() });
        }
        let part =
            Network { name: network.name.clone(), nodes, labels: None, io_type: network.io_type };
        let program = lower(&part, Target::host(), Numerics::Fp32)?;
        Ok(Blob::new(emit(&program, &Metadata::default())?)?)
    }
}

/// Nodes that no edge leads past.
fn narrow_places(network: &Network) -> Vec<usize> {
    let mut reach: Vec<usize> = (0..network.nodes.len()).collect();
    for (place, node) in network.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&input| reach[input] = reach[input].max(place));
    }
    let mut furthest = 0; // of all nodes before the place
    let mut narrow = Vec::new();
    for (place, &own) in reach.iter().enumerate() {
        if furthest <= place {
            narrow.push(place);
        }
        furthest = furthest.max(own);
    }
    narrow
}

#[cfg(test)]
mod tests {
    use mote_engine::Observer;

    use super::*;
    use crate::fit::residual;
    use crate::passes;
    use crate::quantize::{calibrated, quantize};
    use crate::random::SplitMix;

    /// Sums the outputs of one operation in a run of the whole network.
    struct Sum(usize, Vec<i64>);

    impl Observer for Sum {
        fn after(&mut self, index: usize, _: &mote_engine::Op<'_>, output: &[i8]) {
            if index == self.0 {
                for pixel in output.chunks_exact(self.1.len()) {
                    self.1.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += i64::from(v));
                }
            }
        }
    }

    #[test]
    fn stages_give_what_the_whole_network_gives() {
        let graph = passes::standard(residual()).unwrap();
        let mut random = SplitMix::new(5);
        let len = graph.input_shape().elements();
        let mut sample = || (0..len).map(|_| random.between(-1.0, 1.0)).collect::<Vec<f32>>();
        let samples: Vec<Vec<f32>> = (0..6).map(|_| sample()).collect();
        let graph = calibrated(graph, &samples, None, &|_, _| ()).unwrap();
        let network = quantize(&graph, None).unwrap();
        let narrow = narrow_places(&network);
        assert!(narrow.len() > 2 && narrow.len() < network.nodes.len(), "{narrow:?}");
        let program = lower(&network, Target::host(), Numerics::Fp32).unwrap();
        let whole = Blob::new(emit(&program, &Metadata::default()).unwrap()).unwrap();
        let mut stages = Stages::new(&network, &samples);
        for place in 1..network.nodes.len() {
            let channels = network.nodes[place].shape.channels;
            let mut expected = Sum(place - 1, vec![0; channels]);
            for sample in &samples {
                let mut runner = Runner::new(&whole, Isa::best()).unwrap();
                runner.run_observed(&whole.quantize_input(sample), &mut expected);
            }
            assert_eq!(stages.sums(&network, place).unwrap(), expected.1, "{place}");
        }
        assert!(stages.place + 3 > network.nodes.len(), "{}", stages.place);
    }
}
