//! A network in training, straight from its definition and in f64: what the trainer's gradients are checked against.

use crate::graph::{Activation, Graph, Op, Param, Shape, Window};
use crate::train::Batch;
use crate::train::chunk::drop_out;
use crate::train::program::Program;

/// Mean loss with the trainable weights replaced by `weights`, in their order.
pub(super) fn loss(graph: &Graph, batch: &Batch<'_>, weights: &[Vec<f64>]) -> f64 {
    let pictures = batch.inputs.len() / graph.input_shape().elements();
    let program = Program::new(graph, false).unwrap();
    let mut trained = weights.iter();
    let mut values: Vec<Vec<f64>> = Vec::new();
    for (id, node) in graph.iter() {
        let params: Vec<Vec<f64>> = (node.op.weights())
            .map(|(role, param)| match node.trainable && !role.is_statistic() {
                true => trained.next().unwrap().clone(),
                false => param.data.iter().copied().map(f64::from).collect(),
            })
            .collect();
        let len = node.shape.elements();
        let x = node.inputs.first().map_or(&[][..], |input| &values[input.index()]);
        let below = graph.input_shapes(id).next().unwrap_or(node.shape);
        let each = |of: &dyn Fn(&[f64]) -> Vec<f64>| -> Vec<f64> {
            x.chunks_exact(below.elements()).flat_map(of).collect()
        };
        let y: Vec<f64> = match &node.op {
            Op::Input => batch.inputs.iter().copied().map(f64::from).collect(),
            Op::Conv { window, .. } => {
                each(&|x| conv(x, below, node.shape, window, &params, false))
            }
            Op::DepthwiseConv { window, .. } => {
                each(&|x| conv(x, below, node.shape, window, &params, true))
            }
            Op::Dense { weights, .. } => {
                let point = |channels| Shape::Map { height: 1, width: 1, channels };
                let (from, to) = (point(below.elements()), point(weights.shape[0]));
                each(&|x| conv(x, from, to, &Window::POINT, &params, false))
            }
            Op::BatchNorm { gamma, beta, epsilon, .. } => {
                let mut params = params.iter();
                let mut optional = |param: &Option<Param>, absent: f64| match param {
                    Some(_) => params.next().unwrap().clone(),
                    None => vec![absent; below.channels()],
                };
                let (gamma, beta) = (optional(gamma, 1.0), optional(beta, 0.0));
                let (mean, variance) = match node.trainable {
                    true => moments(x, below.channels()),
                    false => (params.next().unwrap().clone(), params.next().unwrap().clone()),
                };
                let of = |(index, x): (usize, &f64)| {
                    let channel = index % below.channels();
                    let deviation = (variance[channel] + f64::from(*epsilon)).sqrt();
                    gamma[channel] * (x - mean[channel]) / deviation + beta[channel]
                };
                x.iter().enumerate().map(of).collect()
            }
            Op::Add { .. } => {
                x.iter().zip(&values[node.inputs[1].index()]).map(|(a, b)| a + b).collect()
            }
            Op::AvgPool { window, .. } => each(&|x| {
                pool(x, below, node.shape, window, |taps| {
                    taps.iter().sum::<f64>() / taps.len() as f64
                })
            }),
            Op::MaxPool { window, .. } => each(&|x| {
                pool(x, below, node.shape, window, |taps| {
                    taps.iter().copied().fold(f64::NEG_INFINITY, f64::max)
                })
            }),
            Op::GlobalAvgPool { .. } => each(&|x| moments(x, below.channels()).0),
            Op::Pad(padding) => {
                let window = Window { padding: *padding, ..Window::POINT };
                each(&|x| pool(x, below, node.shape, &window, |taps| taps.iter().sum()))
            }
            Op::Dropout { rate } => {
                let mut factors = vec![1.0; x.len()];
                let step = program.steps.iter().position(|step| step.node == id).unwrap();
                drop_out(&mut factors, len, (batch.seed, step, 0), *rate);
                x.iter().zip(factors).map(|(x, factor)| x * f64::from(factor)).collect()
            }
            Op::Softmax { beta } => {
                let of = |x: &[f64]| {
                    let powers: Vec<f64> = x.iter().map(|x| (f64::from(*beta) * x).exp()).collect();
                    let sum: f64 = powers.iter().sum();
                    powers.iter().map(|power| power / sum).collect::<Vec<_>>()
                };
                x.chunks_exact(below.channels()).flat_map(of).collect()
            }
            Op::Rescale { scale, offset } => {
                let at = |values: &[f32], index: usize| f64::from(values[index % values.len()]);
                x.iter().enumerate().map(|(i, x)| at(scale, i) * x + at(offset, i)).collect()
            }
            _ => x.to_vec(),
        };
        let (min, max) = node.op.activation().unwrap_or(Activation::None).range();
        values.push(y.into_iter().map(|y| y.max(min.into()).min(max.into())).collect());
    }
    let scores = &values[graph.output().index()];
    let classes = graph.output_shape().elements();
    let rows = scores.chunks_exact(classes).zip(batch.targets.chunks_exact(classes)).enumerate();
    let losses = rows.map(|(picture, (scores, targets))| {
        let weight = batch.sample_weights.map_or(1.0, |weights| weights[picture]);
        let terms = scores.iter().zip(targets).map(|(y, t)| -f64::from(*t) * y.ln());
        f64::from(weight) * terms.sum::<f64>()
    });
    losses.sum::<f64>() / pictures as f64
}

/// Mean and biased variance of every channel.
pub(super) fn moments(x: &[f64], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let of = |channel: usize| {
        let column: Vec<f64> = x.iter().skip(channel).step_by(channels).copied().collect();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        let squares: f64 = column.iter().map(|x| (x - mean) * (x - mean)).sum();
        (mean, squares / column.len() as f64)
    };
    (0..channels).map(of).unzip()
}

/// For every output pixel what lies under the window: `(tap, input pixel)`.
fn under(window: &Window, below: Shape, above: Shape) -> Vec<Vec<(usize, usize)>> {
    let (input, output, kernel) = (below.extent(), above.extent(), window.kernel);
    let place = |index: usize, stride: usize, tap: usize, dilation: usize, before: usize, len| {
        (index * stride + tap * dilation).checked_sub(before).filter(|&place| place < len)
    };
    let pixels = (0..output.area()).map(|pixel| (pixel / output.width, pixel % output.width));
    let pixels = pixels.map(|(row, col)| {
        let taps = (0..kernel.area()).filter_map(|tap| {
            let (at_row, at_col) = (tap / kernel.width, tap % kernel.width);
            let (stride, dilation, padding) = (window.stride, window.dilation, window.padding);
            let row =
                place(row, stride.height, at_row, dilation.height, padding.top, input.height)?;
            let col = place(col, stride.width, at_col, dilation.width, padding.left, input.width)?;
            Some((tap, row * input.width + col))
        });
        taps.collect()
    });
    pixels.collect()
}

fn conv(
    x: &[f64],
    below: Shape,
    above: Shape,
    window: &Window,
    params: &[Vec<f64>],
    is_depthwise: bool,
) -> Vec<f64> {
    let (channels, outputs) = (below.channels(), above.channels());
    let area = window.kernel.area();
    let mut y = Vec::new();
    for taps in under(window, below, above) {
        for output in 0..outputs {
            let mut sum = params.get(1).map_or(0.0, |bias| bias[output]);
            for &(tap, pixel) in &taps {
                if is_depthwise {
                    let channel = output / (outputs / channels);
                    sum += x[pixel * channels + channel] * params[0][tap * outputs + output];
                } else {
                    for channel in 0..channels {
                        let weight = params[0][(output * area + tap) * channels + channel];
                        sum += x[pixel * channels + channel] * weight;
                    }
                }
            }
            y.push(sum);
        }
    }
    y
}

fn pool(
    x: &[f64],
    below: Shape,
    above: Shape,
    window: &Window,
    of: impl Fn(&[f64]) -> f64,
) -> Vec<f64> {
    let channels = below.channels();
    let mut y = Vec::new();
    for taps in under(window, below, above) {
        for channel in 0..channels {
            let taps: Vec<f64> =
                taps.iter().map(|&(_, pixel)| x[pixel * channels + channel]).collect();
            y.push(of(&taps));
        }
    }
    y
}
