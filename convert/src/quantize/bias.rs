//! Bias correction: rounding the weights of a channel shifts its mean; the bias can take it back.

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use super::post_training::SHARES;
use super::stages::Stages;
use crate::graph::Graph;
use crate::interpret::Interpreter;
use crate::quantized::Network;

/// Sums of a layer's outputs, a channel at a time.
type Sums = Vec<f64>;

/// Moves the biases of every weighted layer, first to last, so that its outputs have the same mean
/// over `samples` as those of the float `graph`. Errors that earlier layers cause are taken back
/// too, which is why each layer is measured with all earlier ones corrected.
///
/// # Errors
/// When the network cannot run; `quantize` and `lower` say why.
pub fn correct_bias(
    network: &mut Network,
    graph: &Graph,
    samples: &[Vec<f32>],
    progress: &(dyn Fn(usize, usize) + Sync),
) -> anyhow::Result<()> {
    let float = float_means(network, graph, samples)?;
    let mut stages = Stages::new(network, samples);
    let layers: Vec<usize> = (0..network.nodes.len())
        .filter(|&place| network.nodes[place].op.weights().is_some())
        .collect();
    for (done, &place) in layers.iter().enumerate() {
        progress(done, layers.len());
        let Some(expected) = &float[place] else { continue };
        let found = int8_means(&mut stages, network, place)?;
        let input_scale = network.nodes[network.nodes[place].inputs[0]].scale;
        let Some(weights) = network.nodes[place].op.weights_mut() else { continue };
        let channels = weights.bias.iter_mut().zip(&weights.scales);
        for ((bias, scale), (expected, found)) in channels.zip(expected.iter().zip(&found)) {
            let step = f64::from(input_scale) * f64::from(*scale);
            #[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
            let steps = libm::round((expected - found) / step) as i32;
            *bias = bias.saturating_add(steps);
        }
    }
    Ok(())
}

/// Mean outputs of the float layers that have the name of an integer layer.
fn float_means(
    network: &Network,
    graph: &Graph,
    samples: &[Vec<f32>],
) -> anyhow::Result<Vec<Option<Sums>>> {
    let places: Vec<Option<usize>> = graph
        .nodes()
        .iter()
        .map(|node| network.nodes.iter().position(|other| other.name == node.name))
        .collect();
    let empty = || -> Vec<Option<Sums>> { vec![None; network.nodes.len()] };
    // Float sums depend on their order: the shares are the same on every machine.
    let shares: Vec<Vec<Option<Sums>>> = samples
        .par_chunks(samples.len().div_ceil(SHARES).max(1))
        .map(|share| {
            let mut interpreter = Interpreter::new(graph);
            let mut sums = empty();
            for sample in share {
                interpreter.run(sample, |id, values| {
                    let Some(place) = places[id.index()] else { return };
                    let channels = network.nodes[place].shape.channels;
                    let sums = sums[place].get_or_insert_with(|| vec![0.0; channels]);
                    let pixels = pixel_count(values.len(), channels) * sample_count(samples);
                    for pixel in values.chunks_exact(channels) {
                        for (sum, &value) in sums.iter_mut().zip(pixel) {
                            *sum += f64::from(value) / pixels;
                        }
                    }
                })?;
            }
            anyhow::Ok(sums)
        })
        .collect::<anyhow::Result<_>>()?;
    let join = |pair: (Option<Sums>, Option<Sums>)| match pair {
        (Some(a), Some(b)) => Some(add(a, &b)),
        (a, b) => a.or(b),
    };
    let total = shares
        .into_iter()
        .reduce(|a, b| a.into_iter().zip(b).map(join).collect())
        .unwrap_or_else(empty);
    Ok(total)
}

/// Mean outputs of the integer layer `place`.
fn int8_means(stages: &mut Stages, network: &Network, place: usize) -> anyhow::Result<Sums> {
    let node = &network.nodes[place];
    let pixels = pixel_count(node.shape.pixels(), 1) * stages.samples();
    let (scale, zero) = (f64::from(node.scale), f64::from(node.zero_point));
    #[allow(clippy::cast_precision_loss, reason = "sums of int8 are far below 2^52")]
    let mean = |sum: i64| (sum as f64 / pixels - zero) * scale;
    Ok(stages.sums(network, place)?.into_iter().map(mean).collect())
}

fn add(mut a: Sums, b: &Sums) -> Sums {
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
    a
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn pixel_count(len: usize, channels: usize) -> f64 {
    (len / channels.max(1)) as f64
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn sample_count(samples: &[Vec<f32>]) -> f64 {
    samples.len() as f64
}
