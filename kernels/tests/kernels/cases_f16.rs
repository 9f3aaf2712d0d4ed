//! Cases of the families that work on halves.
//!
//! Every output has a bound of its own, so these cases count their reference in bounds: one step
//! is the distance to the real result that the family's contract allows.

use alloc::{vec, vec::Vec};

use crate::cases::{
    Case, Random, Setup, extent, for_each_tap, geometry, rubbish, windows, with_scratch,
};
use libm::{exp, exp2};
use mote_kernels::{
    ClampF16, EpilogueF16, F16, Filter, Geometry, Kernels, Layout, add_f16, avg_pool_f16,
    clamp_f16, conv_f16, depthwise_conv_f16, dequantize_f16, fully_connected_f16,
    global_avg_pool_f16, max_pool_f16, pack_f16, pointwise_conv_f16, quantize_f16, softmax_f16,
};
use proptest::prelude::*;

/// A case whose outputs are halves.
pub(crate) trait HalfCase: Clone + core::fmt::Debug + 'static {
    /// The family's arguments.
    type Args<'a>;
    /// See [`Case::strategy`].
    fn strategy() -> BoxedStrategy<Self>;
    /// See [`Case::run`].
    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16>;
    /// See [`Case::call`].
    fn call(kernels: &Kernels, args: &mut Self::Args<'_>);
    /// The real results before clamping, each with what arithmetic in f32 may be off.
    fn real(&self) -> Vec<(f64, f64)>;
    /// Its weights, where some cells add their products in halves.
    fn weights(&mut self) -> Option<&mut Weights> {
        None
    }
    /// Range of the output.
    fn clamp(&self) -> ClampF16;
    /// See [`Case::plant_bug`].
    fn plant_bug(&mut self);
}

/// A [`HalfCase`] as the harness wants it.
#[derive(Clone, Debug)]
pub(crate) struct Half<C>(C);

pub(crate) type ConvF16 = Half<Conv>;
pub(crate) type PointwiseConvF16 = Half<PointwiseConv>;
pub(crate) type DepthwiseConvF16 = Half<DepthwiseConv>;
pub(crate) type FullyConnectedF16 = Half<FullyConnected>;
pub(crate) type AddF16 = Half<Add>;
pub(crate) type AvgPoolF16 = Half<AvgPool>;
pub(crate) type MaxPoolF16 = Half<MaxPool>;
pub(crate) type GlobalAvgPoolF16 = Half<GlobalAvgPool>;
pub(crate) type SoftmaxF16 = Half<Softmax>;
pub(crate) type ClampAllF16 = Half<ClampAll>;
pub(crate) type DequantizeF16 = Half<Dequantize>;

impl<C: HalfCase> Half<C> {
    /// The clamped real results and the distance that each output may have: that of the arithmetic
    /// and half a unit in the last place of a half around there.
    fn bounds(&self) -> Vec<(f64, f64)> {
        let ClampF16 { min, max } = self.0.clamp();
        let bound = |(real, arithmetic): (f64, f64)| {
            let real = real.clamp(f64::from(min), f64::from(max));
            let widest = real.abs() + arithmetic;
            (real, arithmetic + (widest / 2048.0).max(exp2(-25.0)))
        };
        self.0.real().into_iter().map(bound).collect()
    }
}

impl<C: HalfCase> Case for Half<C> {
    type Args<'a> = C::Args<'a>;

    fn strategy(_: bool) -> BoxedStrategy<Self> {
        C::strategy().prop_map(Self).boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        bytemuck::cast_slice(&self.0.run(setup, cell)).to_vec()
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        C::call(kernels, args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        (self.bounds().iter().map(|(real, bound)| real / bound).collect(), 1.0)
    }

    fn steps(&self, output: &[i8]) -> Vec<f64> {
        let halves = output.as_chunks().0.iter().map(|&bytes| half(bytes.map(i8::cast_unsigned)));
        halves.zip(self.bounds()).map(|(half, (_, bound))| half / bound).collect()
    }

    fn clamped(&self, real: f64) -> f64 {
        real
    }

    fn in_halves(&self) -> Option<Self> {
        let mut case = self.clone();
        case.0.weights()?.in_halves = true;
        Some(case)
    }

    fn plant_bug(&mut self) {
        self.0.plant_bug();
    }
}

fn half(bytes: [u8; 2]) -> f64 {
    F16::from_bits(u16::from_ne_bytes(bytes)).to_f32().into()
}

fn real(half: &F16) -> f64 {
    half.to_f32().into()
}

/// What a sum of `terms` in f32 may be off, of which the magnitudes sum to `magnitude`.
fn sum_error(terms: usize, magnitude: f64) -> f64 {
    (terms + 1) as f64 * exp2(-24.0) * magnitude
}

/// What a sum may be off whose products are added in halves, up to 144 at a time.
fn halves_error(terms: usize, magnitude: f64) -> f64 {
    let block = terms.min(144) as f64;
    let subnormal = (terms + 1) as f64 * exp2(-25.0);
    1.125 * (block + 2.0) * exp2(-11.0) * magnitude + subnormal
}

#[allow(clippy::cast_possible_truncation, reason = "rounded to f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

impl Random {
    #[allow(clippy::cast_possible_truncation, reason = "random bits")]
    fn bits(&mut self) -> u16 {
        self.next() as u16
    }

    /// Mostly of the size of activations, sometimes extremes, subnormals or zeros of both signs.
    fn halves(&mut self, len: usize) -> Vec<F16> {
        let extremes = [0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x7bff, 0xfbff, 0x3c00, 0xbc00];
        let usual = |random: &mut Self| F16::from_f32(narrow(random.real(-4.0, 4.0)));
        let any = |random: &mut Self| {
            let bits = random.bits();
            F16::from_bits(if bits & 0x7c00 == 0x7c00 { bits & 0xbfff } else { bits })
        };
        match self.below(8) {
            0 => (0..len).map(|_| F16::from_bits(self.pick(&extremes))).collect(),
            1 => (0..len).map(|_| any(self)).collect(),
            2 => (0..len).map(|_| F16::from_bits(self.bits() & 0x83ff)).collect(),
            _ => (0..len).map(|_| usual(self)).collect(),
        }
    }

    fn clamp_f16(&mut self) -> ClampF16 {
        let (a, b) = (narrow(self.real(-5.0, 5.0)), narrow(self.real(-5.0, 5.0)));
        let mixed = ClampF16 { min: a.min(b), max: a.max(b) };
        let relu6 = ClampF16 { min: 0.0, max: 6.0 };
        // Zeros of either sign and what some vectors take for them.
        let tiny = [-1.0, -TINY, -0.0, 0.0, TINY, 1.0];
        let (a, b) = (self.pick(&tiny), self.pick(&tiny));
        let zeros = if a <= b { ClampF16 { min: a, max: b } } else { ClampF16 { min: b, max: a } };
        self.pick(&[mixed, relu6, zeros, ClampF16::NONE, ClampF16::NONE])
    }

    fn bias(&mut self, channels: usize) -> Vec<f32> {
        let odd = self.below(8) == 0;
        let bias = |random: &mut Self| match random.below(4) {
            0 if odd => random.pick(&[-TINY, -0.0, 0.0, TINY]),
            _ => narrow(random.real(-2.0, 2.0)),
        };
        (0..channels).map(|_| bias(self)).collect()
    }
}

/// A subnormal f32.
const TINY: f32 = f32::MIN_POSITIVE / 4.0;

/// The owned form of a filter and its epilogue.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// `[channels, depth]`.
    filter: Vec<F16>,
    /// What the bound allows for.
    in_halves: bool,
    bias: Vec<f32>,
    clamp: ClampF16,
}

impl Weights {
    fn new(random: &mut Random, channels: usize, depth: usize) -> Self {
        Self {
            filter: random.halves(channels * depth),
            bias: random.bias(channels),
            clamp: random.clamp_f16(),
            in_halves: false,
        }
    }

    fn channels(&self) -> usize {
        self.bias.len()
    }

    fn depth(&self) -> usize {
        self.filter.len() / self.bias.len()
    }

    fn with<R>(
        &self,
        layout: Layout,
        use_them: impl FnOnce(Filter<'_, F16>, EpilogueF16<'_>) -> R,
    ) -> R {
        let layout = if layout == Layout::WOVEN { Layout::PLAIN } else { layout };
        let (channels, depth) = (self.channels(), self.depth());
        let mut packed = rubbish(layout.packed_len(channels, depth).unwrap());
        pack_f16(&self.filter, layout, channels, depth, &mut packed).unwrap();
        let filter = Filter::<F16>::new(&packed, layout, channels, depth).unwrap();
        assert!(filter.is_sound());
        use_them(filter, EpilogueF16 { bias: &self.bias, clamp: self.clamp })
    }

    fn weight(&self, channel: usize, step: usize) -> f64 {
        real(&self.filter[channel * self.depth() + step])
    }

    /// The real result of `channel` for its products.
    fn real(&self, channel: usize, products: impl Iterator<Item = f64>) -> (f64, f64) {
        let bias = f64::from(self.bias[channel]);
        let (sum, magnitude) =
            products.fold((bias, bias.abs()), |(sum, magnitude), p| (sum + p, magnitude + p.abs()));
        let error = if self.in_halves { halves_error } else { sum_error };
        (sum, error(self.depth(), magnitude))
    }

    /// The last depth step of the last channel is lost.
    fn lose_last(&mut self) {
        if let Some(last) = self.filter.last_mut() {
            *last = F16::default();
        }
    }
}

/// Convolution.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    geometry: Geometry,
    input: Vec<F16>,
    weights: Weights,
}

/// For every output of a window its values, with zeros in the padding.
fn taps(geometry: &Geometry, input: &[F16]) -> Vec<Vec<f64>> {
    let channels = geometry.input().channels;
    let mut taps = vec![vec![]; geometry.output().pixels()];
    for_each_tap(geometry, |pixel, _, place| match place {
        Some(place) => taps[pixel].extend(input[place..][..channels].iter().map(real)),
        None => taps[pixel].extend(vec![0.0; channels]),
    });
    taps
}

impl HalfCase for Conv {
    type Args<'a> = conv_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        let channels = prop_oneof![(1..=5_usize), extent()];
        (channels, extent(), any::<u64>())
            .prop_flat_map(|(inputs, outputs, seed)| {
                geometry(inputs, outputs).prop_map(move |geometry| {
                    let mut random = Random::new(seed);
                    let depth = geometry.window().taps() * inputs;
                    Self {
                        geometry,
                        input: random.halves(geometry.input().checked_len().unwrap()),
                        weights: Weights::new(&mut random, outputs, depth),
                    }
                })
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let geometry = self.geometry;
        let layout = setup.layout.unwrap_or(conv_f16::layout(setup.isa, &geometry));
        let bytes = conv_f16::scratch_bytes(setup.isa, &geometry) * setup.scratch_percent / 100;
        self.weights.with(layout, |filter, epilogue| {
            windows(&geometry, &self.input, setup.ring, |input, first_row, output| {
                with_scratch(bytes, |scratch| {
                    cell(
                        &mut conv_f16::Args::new(conv_f16::Operands {
                            geometry,
                            input,
                            filter,
                            epilogue,
                            first_row,
                            output,
                            scratch,
                        })
                        .unwrap(),
                    );
                });
            })
        })
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.conv_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        let weights = &self.weights;
        let pixel = |taps: Vec<f64>| {
            (0..weights.channels()).map(move |channel| {
                let product = |(step, tap): (usize, &f64)| tap * weights.weight(channel, step);
                weights.real(channel, taps.iter().enumerate().map(product))
            })
        };
        taps(&self.geometry, &self.input).into_iter().flat_map(pixel).collect()
    }

    fn weights(&mut self) -> Option<&mut Weights> {
        Some(&mut self.weights)
    }

    fn clamp(&self) -> ClampF16 {
        self.weights.clamp
    }

    fn plant_bug(&mut self) {
        self.weights.lose_last();
    }
}

/// Depthwise convolution.
#[derive(Clone, Debug)]
pub(crate) struct DepthwiseConv {
    geometry: Geometry,
    input: Vec<F16>,
    weights: Weights,
}

impl HalfCase for DepthwiseConv {
    type Args<'a> = depthwise_conv_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        let multiplier = prop_oneof![4 => Just(1_usize), 1 => 2..=3_usize, 1 => Just(8_usize)];
        (extent(), multiplier, any::<u64>())
            .prop_flat_map(|(inputs, multiplier, seed)| {
                let outputs = inputs * multiplier;
                geometry(inputs, outputs).prop_map(move |geometry| {
                    let mut random = Random::new(seed);
                    Self {
                        geometry,
                        input: random.halves(geometry.input().checked_len().unwrap()),
                        weights: Weights::new(&mut random, outputs, geometry.window().taps()),
                    }
                })
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let geometry = self.geometry;
        let layout = setup.layout.unwrap_or(depthwise_conv_f16::layout(setup.isa, &geometry));
        self.weights.with(layout, |filter, epilogue| {
            windows(&geometry, &self.input, setup.ring, |input, first_row, output| {
                cell(
                    &mut depthwise_conv_f16::Args::new(depthwise_conv_f16::Operands {
                        geometry,
                        input,
                        filter,
                        epilogue,
                        first_row,
                        output,
                    })
                    .unwrap(),
                );
            })
        })
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.depthwise_conv_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        let (weights, inputs) = (&self.weights, self.geometry.input().channels);
        let multiplier = weights.channels() / inputs;
        let pixel = |taps: Vec<f64>| {
            (0..weights.channels()).map(move |channel| {
                let values = taps.iter().skip(channel / multiplier).step_by(inputs);
                let product = |(step, tap): (usize, &f64)| tap * weights.weight(channel, step);
                weights.real(channel, values.enumerate().map(product))
            })
        };
        taps(&self.geometry, &self.input).into_iter().flat_map(pixel).collect()
    }

    fn weights(&mut self) -> Option<&mut Weights> {
        Some(&mut self.weights)
    }

    fn clamp(&self) -> ClampF16 {
        self.weights.clamp
    }

    fn plant_bug(&mut self) {
        self.weights.lose_last();
    }
}

/// 1x1 convolution.
#[derive(Clone, Debug)]
pub(crate) struct PointwiseConv {
    /// `[pixels, depth]`.
    input: Vec<F16>,
    weights: Weights,
}

impl PointwiseConv {
    fn new(pixels: usize, depth: usize, channels: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let input = random.halves(pixels * depth);
        Self { input, weights: Weights::new(&mut random, channels, depth) }
    }
}

impl HalfCase for PointwiseConv {
    type Args<'a> = pointwise_conv_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        let depth = prop_oneof![3 => extent(), 1 => 140..=460_usize];
        (extent(), depth, extent(), any::<u64>())
            .prop_map(|(pixels, depth, channels, seed)| Self::new(pixels, depth, channels, seed))
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let (channels, depth) = (self.weights.channels(), self.weights.depth());
        let layout = setup.layout.unwrap_or(pointwise_conv_f16::layout(setup.isa, channels, depth));
        let bytes = pointwise_conv_f16::scratch_bytes(setup.isa, channels, depth)
            * setup.scratch_percent
            / 100;
        let mut output = rubbish(self.input.len() / depth * channels);
        self.weights.with(layout, |filter, epilogue| {
            with_scratch(bytes, |scratch| {
                cell(
                    &mut pointwise_conv_f16::Args::new(pointwise_conv_f16::Operands {
                        input: &self.input,
                        filter,
                        epilogue,
                        output: &mut output,
                        scratch,
                    })
                    .unwrap(),
                );
            });
        });
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.pointwise_conv_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        let weights = &self.weights;
        let pixel = |pixel: &[F16]| {
            let values: Vec<f64> = pixel.iter().map(real).collect();
            let channel = |channel| {
                let product = |(step, value): (usize, &f64)| value * weights.weight(channel, step);
                weights.real(channel, values.iter().enumerate().map(product))
            };
            (0..weights.channels()).map(channel).collect::<Vec<_>>()
        };
        self.input.chunks(weights.depth()).flat_map(pixel).collect()
    }

    fn weights(&mut self) -> Option<&mut Weights> {
        Some(&mut self.weights)
    }

    fn clamp(&self) -> ClampF16 {
        self.weights.clamp
    }

    fn plant_bug(&mut self) {
        self.weights.lose_last();
    }
}

/// Fully connected.
#[derive(Clone, Debug)]
pub(crate) struct FullyConnected(PointwiseConv);

impl HalfCase for FullyConnected {
    type Args<'a> = fully_connected_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        let depth = prop_oneof![3 => extent(), 1 => 60..=460_usize];
        (depth, extent(), any::<u64>())
            .prop_map(|(depth, channels, seed)| Self(PointwiseConv::new(1, depth, channels, seed)))
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let weights = &self.0.weights;
        let (channels, depth) = (weights.channels(), weights.depth());
        let layout =
            setup.layout.unwrap_or(fully_connected_f16::layout(setup.isa, channels, depth));
        let bytes = fully_connected_f16::scratch_bytes(setup.isa, channels, depth)
            * setup.scratch_percent
            / 100;
        let mut output = rubbish(channels);
        weights.with(layout, |filter, epilogue| {
            with_scratch(bytes, |scratch| {
                cell(
                    &mut fully_connected_f16::Args::new(fully_connected_f16::Operands {
                        input: &self.0.input,
                        filter,
                        epilogue,
                        output: &mut output,
                        scratch,
                    })
                    .unwrap(),
                );
            });
        });
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.fully_connected_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        self.0.real()
    }

    fn weights(&mut self) -> Option<&mut Weights> {
        self.0.weights()
    }

    fn clamp(&self) -> ClampF16 {
        self.0.weights.clamp
    }

    /// The last two biases are one.
    fn plant_bug(&mut self) {
        if let [.., neighbour, last] = &mut self.0.weights.bias[..] {
            *last = *neighbour;
        }
    }
}

/// Average or maximum pooling.
#[derive(Clone, Debug)]
struct Pool {
    geometry: Geometry,
    input: Vec<F16>,
    clamp: ClampF16,
}

impl Pool {
    fn strategy() -> impl Strategy<Value = Self> {
        (extent(), any::<u64>()).prop_flat_map(|(channels, seed)| {
            geometry(channels, channels).prop_map(move |geometry| {
                let mut random = Random::new(seed);
                let input = random.halves(geometry.input().checked_len().unwrap());
                Self { geometry, input, clamp: random.clamp_f16() }
            })
        })
    }

    /// For every output the values of the taps inside the input.
    fn taps(&self) -> Vec<Vec<f64>> {
        let channels = self.geometry.output().channels;
        let mut taps = vec![vec![]; self.geometry.output().checked_len().unwrap()];
        for_each_tap(&self.geometry, |pixel, _, place| {
            for (channel, taps) in taps[pixel * channels..][..channels].iter_mut().enumerate() {
                taps.extend(place.map(|place| real(&self.input[place + channel])));
            }
        });
        taps
    }
}

fn mean(values: &[f64]) -> (f64, f64) {
    let (count, magnitude) = (values.len() as f64, values.iter().map(|v| v.abs()).sum::<f64>());
    (values.iter().sum::<f64>() / count, sum_error(values.len(), magnitude) / count)
}

/// Average pooling.
#[derive(Clone, Debug)]
pub(crate) struct AvgPool(Pool);

impl HalfCase for AvgPool {
    type Args<'a> = avg_pool_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        Pool::strategy().prop_map(Self).boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let Pool { geometry, clamp, .. } = self.0;
        windows(&geometry, &self.0.input, setup.ring, |input, first_row, output| {
            let operands = avg_pool_f16::Operands { geometry, input, clamp, first_row, output };
            cell(&mut avg_pool_f16::Args::new(operands).unwrap());
        })
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.avg_pool_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        self.0.taps().iter().map(|taps| mean(taps)).collect()
    }

    fn clamp(&self) -> ClampF16 {
        self.0.clamp
    }

    /// The last value is missing.
    fn plant_bug(&mut self) {
        *self.0.input.last_mut().unwrap() = F16::default();
    }
}

/// Maximum pooling.
#[derive(Clone, Debug)]
pub(crate) struct MaxPool(Pool);

impl HalfCase for MaxPool {
    type Args<'a> = max_pool_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        Pool::strategy().prop_map(Self).boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let Pool { geometry, clamp, .. } = self.0;
        windows(&geometry, &self.0.input, setup.ring, |input, first_row, output| {
            let operands = max_pool_f16::Operands { geometry, input, clamp, first_row, output };
            cell(&mut max_pool_f16::Args::new(operands).unwrap());
        })
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.max_pool_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        let max = |taps: &Vec<f64>| taps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.0.taps().iter().map(|taps| (max(taps), 0.0)).collect()
    }

    fn clamp(&self) -> ClampF16 {
        self.0.clamp
    }

    /// The largest value so far starts at zero.
    fn plant_bug(&mut self) {
        for value in &mut self.0.input {
            *value = if value.to_f32() > 0.0 { *value } else { F16::default() };
        }
    }
}

/// Global average pooling.
#[derive(Clone, Debug)]
pub(crate) struct GlobalAvgPool {
    channels: usize,
    input: Vec<F16>,
    clamp: ClampF16,
}

impl HalfCase for GlobalAvgPool {
    type Args<'a> = global_avg_pool_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        (extent(), extent(), any::<u64>())
            .prop_map(|(channels, pixels, seed)| {
                let mut random = Random::new(seed);
                let input = random.halves(channels * pixels);
                Self { channels, input, clamp: random.clamp_f16() }
            })
            .boxed()
    }

    fn run(&self, _: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let mut output = rubbish(self.channels);
        let operands = global_avg_pool_f16::Operands {
            input: &self.input,
            clamp: self.clamp,
            output: &mut output,
        };
        cell(&mut global_avg_pool_f16::Args::new(operands).unwrap());
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.global_avg_pool_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        let channel = |channel| {
            let values = self.input.iter().skip(channel).step_by(self.channels);
            mean(&values.map(real).collect::<Vec<_>>())
        };
        (0..self.channels).map(channel).collect()
    }

    fn clamp(&self) -> ClampF16 {
        self.clamp
    }

    /// The last channel is one pixel short.
    fn plant_bug(&mut self) {
        *self.input.last_mut().unwrap() = F16::default();
    }
}

/// Addition.
#[derive(Clone, Debug)]
pub(crate) struct Add {
    lhs: Vec<F16>,
    rhs: Vec<F16>,
    clamp: ClampF16,
}

impl HalfCase for Add {
    type Args<'a> = add_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        (prop_oneof![extent(), 1..=300_usize], any::<u64>())
            .prop_map(|(len, seed)| {
                let mut random = Random::new(seed);
                let (lhs, rhs) = (random.halves(len), random.halves(len));
                Self { lhs, rhs, clamp: random.clamp_f16() }
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let mut output = if setup.in_place { self.lhs.clone() } else { rubbish(self.rhs.len()) };
        let operands = add_f16::Operands {
            lhs: (!setup.in_place).then_some(&self.lhs),
            rhs: &self.rhs,
            clamp: self.clamp,
            output: &mut output,
        };
        cell(&mut add_f16::Args::new(operands).unwrap());
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.add_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        let sum = |(a, b)| real(a) + real(b);
        let sums = self.lhs.iter().zip(&self.rhs).map(sum);
        sums.map(|sum| (sum, sum.abs() * exp2(-24.0))).collect()
    }

    fn clamp(&self) -> ClampF16 {
        self.clamp
    }

    /// A subnormal counts as zero.
    fn plant_bug(&mut self) {
        for value in self.lhs.iter_mut().chain(&mut self.rhs) {
            if value.to_bits() & 0x7c00 == 0 {
                *value = F16::default();
            }
        }
    }
}

/// Softmax.
#[derive(Clone, Debug)]
pub(crate) struct Softmax {
    depth: usize,
    beta: f32,
    input: Vec<F16>,
}

impl HalfCase for Softmax {
    type Args<'a> = softmax_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        let depth = prop_oneof![extent(), 100..=300_usize];
        (depth, 1..=3_usize, any::<u64>())
            .prop_map(|(depth, rows, seed)| {
                let mut random = Random::new(seed);
                let beta = random.pick(&[1.0, 1.0, 0.5, 3.0]);
                Self { depth, beta, input: random.halves(depth * rows) }
            })
            .boxed()
    }

    fn run(&self, _: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let mut output = rubbish(self.input.len());
        let operands = softmax_f16::Operands {
            input: &self.input,
            depth: self.depth,
            beta: self.beta,
            output: &mut output,
        };
        cell(&mut softmax_f16::Args::new(operands).unwrap());
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.softmax_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        let mut all = vec![];
        for row in self.input.chunks(self.depth) {
            let max = row.iter().map(real).fold(f64::NEG_INFINITY, f64::max);
            let x = |value| (real(value) - max) * f64::from(self.beta);
            let sum: f64 = row.iter().map(|value| exp(x(value))).sum();
            all.extend(row.iter().map(|value| {
                let probability = exp(x(value)) / sum;
                let exponential = exp2(-21.0) + x(value).abs() * exp2(-23.0);
                let relative = sum_error(self.depth + 15, 1.0) + exponential;
                (probability, probability * relative)
            }));
        }
        all
    }

    fn clamp(&self) -> ClampF16 {
        ClampF16 { min: 0.0, max: 1.0 }
    }

    /// The sum loses its last value.
    fn plant_bug(&mut self) {
        *self.input.last_mut().unwrap() = F16::from_f32(-F16::MAX);
    }
}

/// Activation clamp.
#[derive(Clone, Debug)]
pub(crate) struct ClampAll {
    input: Vec<F16>,
    clamp: ClampF16,
}

impl HalfCase for ClampAll {
    type Args<'a> = clamp_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        (prop_oneof![extent(), 1..=200_usize], any::<u64>())
            .prop_map(|(len, seed)| {
                let mut random = Random::new(seed);
                Self { input: random.halves(len), clamp: random.clamp_f16() }
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let mut output =
            if setup.in_place { self.input.clone() } else { rubbish(self.input.len()) };
        let operands = clamp_f16::Operands {
            input: (!setup.in_place).then_some(&self.input),
            clamp: self.clamp,
            output: &mut output,
        };
        cell(&mut clamp_f16::Args::new(operands).unwrap());
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.clamp_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        self.input.iter().map(|value| (real(value), 0.0)).collect()
    }

    fn clamp(&self) -> ClampF16 {
        self.clamp
    }

    /// The upper bound is too low.
    fn plant_bug(&mut self) {
        self.clamp.max = self.clamp.min;
    }
}

/// From int8.
#[derive(Clone, Debug)]
pub(crate) struct Dequantize {
    input: Vec<i8>,
    scale: f32,
    zero_point: i8,
}

impl HalfCase for Dequantize {
    type Args<'a> = dequantize_f16::Args<'a>;

    fn strategy() -> BoxedStrategy<Self> {
        (prop_oneof![extent(), 1..=200_usize], any::<u64>())
            .prop_map(|(len, seed)| {
                let mut random = Random::new(seed);
                Self {
                    input: random.int8s(len),
                    scale: narrow(exp2(random.real(-24.0, 12.0))),
                    zero_point: random.int8(),
                }
            })
            .boxed()
    }

    fn run(&self, _: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<F16> {
        let mut output = rubbish(self.input.len());
        let operands = dequantize_f16::Operands {
            input: &self.input,
            scale: self.scale,
            zero_point: self.zero_point,
            output: &mut output,
        };
        cell(&mut dequantize_f16::Args::new(operands).unwrap());
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.dequantize_f16(args);
    }

    fn real(&self) -> Vec<(f64, f64)> {
        let zero_point = f64::from(self.zero_point);
        let product = |&value: &i8| (f64::from(value) - zero_point) * f64::from(self.scale);
        let products = self.input.iter().map(product);
        products.map(|product| (product, product.abs() * exp2(-24.0))).collect()
    }

    fn clamp(&self) -> ClampF16 {
        ClampF16::NONE
    }

    /// The zero point is forgotten.
    fn plant_bug(&mut self) {
        self.zero_point = 0;
    }
}

/// To int8.
#[derive(Clone, Debug)]
pub(crate) struct QuantizeF16 {
    input: Vec<F16>,
    inverse_scale: f32,
    zero_point: i8,
}

impl Case for QuantizeF16 {
    type Args<'a> = quantize_f16::Args<'a>;

    fn strategy(_: bool) -> BoxedStrategy<Self> {
        (prop_oneof![extent(), 1..=200_usize], any::<u64>())
            .prop_map(|(len, seed)| {
                let mut random = Random::new(seed);
                Self {
                    input: random.halves(len),
                    inverse_scale: narrow(exp2(random.real(-12.0, 20.0))),
                    zero_point: random.int8(),
                }
            })
            .boxed()
    }

    fn run(&self, _: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let mut output = rubbish(self.input.len());
        let operands = quantize_f16::Operands {
            input: &self.input,
            inverse_scale: self.inverse_scale,
            zero_point: self.zero_point,
            output: &mut output,
        };
        cell(&mut quantize_f16::Args::new(operands).unwrap());
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.quantize_f16(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let zero_point = f64::from(self.zero_point);
        let steps = |value| real(value) * f64::from(self.inverse_scale) + zero_point;
        (self.input.iter().map(steps).collect(), 0.5 + 1e-4)
    }

    /// The zero point is forgotten.
    fn plant_bug(&mut self) {
        self.zero_point = 0;
    }
}
