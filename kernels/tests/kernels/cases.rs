//! Cases of every family: shapes biased to the edges of tiles, values biased to the extremes.
//!
//! A case owns everything a kernel reads. [`Case::run`] lays it out as asked and runs a cell.

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::Range;

use libm::{exp, exp2, floor, log2, round};
use mote_kernels::{
    Clamp, Epilogue, Filter, Geometry, Isa, Kernels, Layout, Requantize, Rescale, Rows, Shape,
    Window, add_s8, avg_pool_s8, clamp_s8, conv_s8, depthwise_conv_s8, fully_connected_s8,
    global_avg_pool_s8, lookup_s8, max_pool_s8, pack, pad_s8, pointwise_conv_s8, softmax_s8,
};
use proptest::prelude::*;

pub(crate) use crate::cases_f16::*;

/// How a case is put before a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Layout of the weights; `None` is what the cell of `isa` asks for.
    pub(crate) layout: Option<Layout>,
    /// Scratch in hundredths of what the cell of `isa` asks for.
    pub(crate) scratch_percent: usize,
    /// Whose wishes for layout and scratch count.
    pub(crate) isa: Isa,
    /// Windows row by row through a ring of this many more slots than the window spans.
    pub(crate) ring: Option<usize>,
    /// Element-wise families work in place.
    pub(crate) in_place: bool,
}

impl Setup {
    /// As a planned blob for `isa` does it.
    pub(crate) fn planned(isa: Isa) -> Self {
        Self { layout: None, scratch_percent: 100, isa, ring: None, in_place: false }
    }

    /// Every way there is, the planned one first.
    pub(crate) fn all(isa: Isa) -> Vec<Self> {
        let planned = Self::planned(isa);
        let in_place = [100, 0, 60].map(|percent| (true, percent));
        let mut all = vec![planned];
        all.extend(in_place.map(|(in_place, scratch_percent)| Self {
            in_place,
            scratch_percent,
            ..planned
        }));
        all.extend([0, 1].map(|slots| Self { ring: Some(slots), ..planned }));
        all.extend([0, 13, 60, 230].map(|scratch_percent| Self { scratch_percent, ..planned }));
        for (channels, depth) in
            [(1, 1), (1, 4), (2, 1), (4, 2), (4, 16), (8, 1), (8, 2), (16, 8), (128, 128)]
        {
            all.push(Self { layout: Layout::new(channels, depth).ok(), ..planned });
        }
        all.push(Self { layout: Some(Layout::WOVEN), ..planned });
        all
    }
}

/// One call of a kernel.
pub(crate) trait Case: Clone + core::fmt::Debug + 'static {
    /// The family's arguments.
    type Args<'a>;
    /// Cases that are as bad as a blob can be, or `sane` ones, whose result means something.
    fn strategy(sane: bool) -> BoxedStrategy<Self>;
    /// Lays the case out and has `cell` compute it.
    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8>;
    /// The family's entry in the table.
    fn call(kernels: &Kernels, args: &mut Self::Args<'_>);
    /// The real result in steps of the output, not clamped, and the family's bound on the
    /// distance to it in steps.
    fn reference(&self) -> (Vec<f64>, f64);
    /// The case with the bound of cells that add in halves, where the family has such cells.
    fn in_halves(&self) -> Option<Self> {
        None
    }
    /// Range of the output.
    fn clamp(&self) -> Clamp {
        Clamp::NONE
    }
    /// What a subtly wrong kernel might compute instead.
    fn plant_bug(&mut self);

    /// `output` in the steps that [`reference`](Self::reference) counts in.
    fn steps(&self, output: &[i8]) -> Vec<f64> {
        output.iter().map(|&value| f64::from(value)).collect()
    }

    /// What clamping makes of a real result in steps.
    fn clamped(&self, real: f64) -> f64 {
        real.clamp(f64::from(self.clamp().min), f64::from(self.clamp().max))
    }

    /// Whether every value of `output` lies within the bound of its [reference](Self::reference); what
    /// is wrong otherwise.
    fn keeps_bound(&self, output: &[i8]) -> Result<(), String> {
        let (output, (reference, bound)) = (self.steps(output), self.reference());
        if output.len() != reference.len() {
            return Err(format!("{} values for {}", output.len(), reference.len()));
        }
        for (index, (&output, &real)) in output.iter().zip(&reference).enumerate() {
            // Clamping moves no two values apart, so the bound holds after it as well.
            let distance = (output - self.clamped(real)).abs();
            if distance.is_nan() || distance > bound {
                return Err(format!("{output} for {real} at {index}, bound {bound}"));
            }
        }
        Ok(())
    }

    /// `run` with the cell of `kernels`.
    fn output(&self, kernels: &Kernels, setup: Setup) -> Vec<i8> {
        self.run(setup, &|args| Self::call(kernels, args))
    }
}

/// Numbers without a library, so that a case shrinks by its shape and not by its values.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    pub(crate) fn real(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[allow(clippy::cast_possible_truncation, reason = "a random byte")]
    pub(crate) fn int8(&mut self) -> i8 {
        self.next() as i8
    }

    #[allow(clippy::cast_possible_truncation, reason = "a random word")]
    fn int32(&mut self) -> i32 {
        self.next() as i32
    }

    /// Mostly uniform, sometimes only extremes, sometimes one extreme.
    pub(crate) fn int8s(&mut self, len: usize) -> Vec<i8> {
        match self.below(8) {
            0 => vec![-128; len],
            1 => vec![127; len],
            2 => (0..len).map(|_| self.pick(&[-128, 127])).collect(),
            3 => (0..len).map(|_| self.pick(&[-128, -127, -1, 0, 1, 127])).collect(),
            _ => (0..len).map(|_| self.int8()).collect(),
        }
    }

    /// Weights of any size, or all of them at most a half or a quarter, of which cells may add more
    /// products before they widen.
    fn smaller_weights(&mut self, count: usize) -> Vec<i8> {
        let shift = self.pick(&[0, 0, 1, 2]);
        self.weights(count).into_iter().map(|weight| weight >> shift).collect()
    }

    /// Mostly as quantizers make them, without -128.
    fn weights(&mut self, len: usize) -> Vec<i8> {
        let mut weights = self.int8s(len);
        if self.below(4) > 0 {
            weights.iter_mut().for_each(|weight| *weight = (*weight).max(-127));
        }
        weights
    }

    fn clamp(&mut self) -> Clamp {
        let (a, b) = (self.int8(), self.int8());
        match self.below(3) {
            0 => Clamp { min: a.min(b), max: a.max(b) },
            1 => Clamp { min: a, max: 127 },
            _ => Clamp::NONE,
        }
    }

    fn rescale(&mut self, float: bool, sane: bool) -> Rescale {
        if sane {
            let factor = exp2(self.real(-16.0, 0.5));
            return if float { real_to_float(factor) } else { real_to_fixed(factor) };
        }
        if float {
            let scale = exp2(self.real(-24.0, 3.0));
            #[allow(clippy::cast_possible_truncation, reason = "rounded to f32")]
            let scale = self.pick(&[
                0.0,
                f32::MAX,
                f32::MIN_POSITIVE,
                1e-40,
                0.5,
                scale as f32,
                scale as f32,
            ]);
            Rescale::Float { scale }
        } else {
            let significand = (self.int32() & 0x3fff_ffff) | 1 << 30;
            let multiplier = self.pick(&[0, 1 << 30, i32::MAX, significand, significand]);
            let usual = i8::try_from(self.below(14)).unwrap();
            let any = self.int8();
            Rescale::FixedPoint { multiplier, shift: self.pick(&[0, 30, -31, any, -usual, -usual]) }
        }
    }
}

fn real_to_float(factor: f64) -> Rescale {
    #[allow(clippy::cast_possible_truncation, reason = "rounded to f32")]
    Rescale::Float { scale: factor as f32 }
}

/// The nearest multiplier and shift.
fn real_to_fixed(factor: f64) -> Rescale {
    let shift = floor(log2(factor)) + 1.0;
    #[allow(clippy::cast_possible_truncation, reason = "in range by construction")]
    let (multiplier, shift) = (round(factor * exp2(31.0 - shift)) as i64, shift as i8);
    match i32::try_from(multiplier) {
        Ok(multiplier) => Rescale::FixedPoint { multiplier, shift },
        Err(_) => Rescale::FixedPoint { multiplier: 1 << 30, shift: shift + 1 },
    }
}

fn factor(rescale: Rescale) -> f64 {
    match rescale {
        Rescale::FixedPoint { multiplier, shift } => {
            f64::from(multiplier) * exp2(f64::from(shift) - 31.0)
        }
        Rescale::Float { scale } => f64::from(scale),
    }
}

/// Half a step of the last rounding; before it, `tflite` rounds once more, by half a step that
/// the shift then divides; `fp32` has three relative errors of 2^-24.
fn rescale_bound(rescale: Rescale) -> f64 {
    match rescale {
        Rescale::FixedPoint { shift, .. } => 0.5 + 0.5 * exp2(f64::from(shift.min(0))) + 1e-6,
        Rescale::Float { .. } => 0.5 + 1e-4,
    }
}

/// The owned form of an [`Epilogue`].
#[derive(Clone, Debug)]
pub(crate) struct Requant {
    pub(crate) bias: Vec<i32>,
    pub(crate) rescale: Vec<Rescale>,
    pub(crate) zero_point: i8,
    pub(crate) clamp: Clamp,
}

impl Requant {
    fn new(random: &mut Random, channels: usize, float: bool, sane: bool) -> Self {
        let bias = |random: &mut Random| {
            if sane {
                return random.int32() >> 14;
            }
            let (any, small) = (random.int32(), random.int32() >> 12);
            random.pick(&[any, small, small, 0, i32::MAX, i32::MIN])
        };
        Self {
            bias: (0..channels).map(|_| bias(random)).collect(),
            rescale: (0..channels).map(|_| random.rescale(float, sane)).collect(),
            zero_point: random.int8(),
            clamp: random.clamp(),
        }
    }

    fn with<R>(&self, use_it: impl FnOnce(Epilogue<'_>) -> R) -> R {
        let (mut multiplier, mut shift, mut scale) = (vec![], vec![], vec![]);
        for rescale in &self.rescale {
            match *rescale {
                Rescale::FixedPoint { multiplier: m, shift: s } => {
                    multiplier.push(m);
                    shift.push(s);
                }
                Rescale::Float { scale: s } => scale.push(s),
            }
        }
        let requantize = if scale.is_empty() {
            Requantize::FixedPoint { multiplier: &multiplier, shift: &shift }
        } else {
            Requantize::Float { scale: &scale }
        };
        let Self { bias, zero_point, clamp, .. } = self;
        use_it(Epilogue { bias, requantize, zero_point: *zero_point, clamp: *clamp })
    }

    /// The real result for the exact sum of products.
    fn real(&self, channel: usize, sum: i64) -> f64 {
        let sum = sum + i64::from(self.bias[channel]);
        sum as f64 * factor(self.rescale[channel]) + f64::from(self.zero_point)
    }

    fn bound(&self) -> f64 {
        self.rescale.iter().map(|&rescale| rescale_bound(rescale)).fold(0.0, f64::max)
    }
}

/// Bytes and layout of a `[channels, depth]` filter; plain where the layout cannot hold it.
fn packed(plain: &[i8], layout: Layout, channels: usize) -> (Vec<i8>, Layout) {
    let layout = if layout.holds(plain) { layout } else { Layout::PLAIN };
    let depth = plain.len() / channels;
    let mut packed = vec![0x55; layout.packed_len(channels, depth).unwrap()];
    pack(plain, layout, channels, depth, &mut packed).unwrap();
    (packed, layout)
}

/// Scratch of some length at the alignment of an arena, full of rubbish.
pub(crate) fn with_scratch<R>(bytes: usize, use_it: impl FnOnce(&mut [i8]) -> R) -> R {
    let mut aligned = vec![0x5555_5555_5555_5555_5555_5555_5555_5555_u128; bytes.div_ceil(16)];
    use_it(&mut bytemuck::cast_slice_mut(&mut aligned)[..bytes])
}

/// Extents around the tiles of 4, 8, 16 and 32.
pub(crate) fn extent() -> impl Strategy<Value = usize> {
    prop_oneof![
        1..=4_usize,
        prop::sample::select(vec![5, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 40, 48, 65]),
    ]
}

/// Kernel, stride, dilation, padding before, input and output extent of one axis.
fn axis(inputs: Range<usize>) -> impl Strategy<Value = [usize; 6]> {
    let kernel = prop_oneof![Just(3_usize), 1..=5_usize];
    let stride = prop_oneof![Just(1_usize), 1..=3_usize];
    let dilation = prop_oneof![4 => Just(1_usize), 1 => Just(2_usize)];
    (kernel, stride, dilation, inputs).prop_flat_map(|(kernel, stride, dilation, input)| {
        let span = (kernel - 1) * dilation + 1;
        let pad = prop_oneof![Just(0), Just(span / 2), 0..span];
        pad.prop_flat_map(move |pad| {
            let most = (pad + input).div_ceil(stride);
            let output = prop_oneof![Just(most), 1..=most];
            output.prop_map(move |output| [kernel, stride, dilation, pad, input, output])
        })
    })
}

/// A window over a map of `inputs` channels to one of `outputs`.
pub(crate) fn geometry(inputs: usize, outputs: usize) -> impl Strategy<Value = Geometry> {
    geometry_of([inputs, outputs], [1..14, 1..14])
}

/// The same over an input of so many rows and columns.
fn geometry_of(
    [inputs, outputs]: [usize; 2],
    [rows, columns]: [Range<usize>; 2],
) -> impl Strategy<Value = Geometry> {
    (axis(rows), axis(columns)).prop_filter_map(
        "a window outside the input",
        move |(down, across)| {
            let window = Window {
                kernel_height: down[0],
                kernel_width: across[0],
                stride_height: down[1],
                stride_width: across[1],
                dilation_height: down[2],
                dilation_width: across[2],
                pad_top: down[3],
                pad_left: across[3],
            };
            let input = Shape::new(down[4], across[4], inputs);
            Geometry::new(input, Shape::new(down[5], across[5], outputs), window).ok()
        },
    )
}

/// Runs `rows(input, first_row, output)` for the whole output at once, or for each of its rows
/// through a ring.
pub(crate) fn windows<T: bytemuck::Pod>(
    geometry: &Geometry,
    input: &[T],
    ring: Option<usize>,
    mut rows: impl FnMut(Rows<'_, T>, usize, &mut [T]),
) -> Vec<T> {
    let (shape, window) = (geometry.input(), geometry.window());
    let mut output = rubbish(geometry.output().checked_len().unwrap());
    let Some(more) = ring else {
        rows(Rows::whole(input, shape).unwrap(), 0, &mut output);
        return output;
    };
    let slots = window.span_height().min(shape.height) + more;
    let row_len = shape.row_len();
    for (y, output) in output.chunks_mut(geometry.output().row_len()).enumerate() {
        let mut data = rubbish(slots * row_len);
        for tap in 0..window.span_height() {
            let row = geometry.first_row(y) + tap.cast_signed();
            if let Some(row) = usize::try_from(row).ok().filter(|&row| row < shape.height) {
                data[row % slots * row_len..][..row_len]
                    .copy_from_slice(&input[row * row_len..][..row_len]);
            }
        }
        rows(Rows::ring(&data, shape, slots).unwrap(), y, output);
    }
    output
}

/// What was in memory before.
pub(crate) fn rubbish<T: bytemuck::Pod>(len: usize) -> Vec<T> {
    vec![bytemuck::pod_read_unaligned(&[0x55; 8][..size_of::<T>()]); len]
}

/// Visits every tap of every output of a window: output, tap, place of the tap's first channel.
pub(crate) fn for_each_tap(
    geometry: &Geometry,
    mut visit: impl FnMut(usize, usize, Option<usize>),
) {
    let (input, output, window) = (geometry.input(), geometry.output(), geometry.window());
    for pixel in 0..output.pixels() {
        for tap in 0..window.taps() {
            let (ky, kx) = (tap / window.kernel_width, tap % window.kernel_width);
            let y = (pixel / output.width * window.stride_height + ky * window.dilation_height)
                .checked_sub(window.pad_top);
            let x = (pixel % output.width * window.stride_width + kx * window.dilation_width)
                .checked_sub(window.pad_left);
            let place = match (y, x) {
                (Some(y), Some(x)) if y < input.height && x < input.width => {
                    Some((y * input.width + x) * input.channels)
                }
                _ => None,
            };
            visit(pixel, tap, place);
        }
    }
}

/// Convolution.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    geometry: Geometry,
    input: Vec<i8>,
    filter: Vec<i8>,
    requant: Requant,
    pad_value: i8,
}

impl Case for Conv {
    type Args<'a> = conv_s8::Args<'a>;

    fn strategy(sane: bool) -> BoxedStrategy<Self> {
        let channels = prop_oneof![(1..=5_usize), extent()];
        (channels, extent(), any::<u64>(), any::<bool>())
            .prop_flat_map(move |(inputs, outputs, seed, float)| {
                geometry(inputs, outputs).prop_map(move |geometry| {
                    let mut random = Random(seed);
                    let depth = geometry.window().taps() * inputs;
                    Self {
                        geometry,
                        input: random.int8s(geometry.input().checked_len().unwrap()),
                        filter: random.weights(outputs * depth),
                        requant: Requant::new(&mut random, outputs, float, sane),
                        pad_value: random.int8(),
                    }
                })
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let Self { geometry, pad_value, .. } = self;
        let channels = geometry.output().channels;
        let layout = setup.layout.unwrap_or(conv_s8::layout(setup.isa, geometry));
        let (filter, layout) = packed(&self.filter, layout, channels);
        let filter = Filter::new(&filter, layout, channels, self.filter.len() / channels).unwrap();
        let bytes = conv_s8::scratch_bytes(setup.isa, geometry) * setup.scratch_percent / 100;
        windows(geometry, &self.input, setup.ring, |input, first_row, output| {
            self.requant.with(|epilogue| {
                with_scratch(bytes, |scratch| {
                    cell(
                        &mut conv_s8::Args::new(conv_s8::Operands {
                            geometry: *geometry,
                            input,
                            filter,
                            epilogue,
                            pad_value: *pad_value,
                            first_row,
                            output,
                            scratch,
                        })
                        .unwrap(),
                    );
                });
            });
        })
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.conv_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let (inputs, outputs) = (self.geometry.input().channels, self.geometry.output().channels);
        let depth = self.filter.len() / outputs;
        let mut sums = vec![0_i64; self.geometry.output().checked_len().unwrap()];
        for_each_tap(&self.geometry, |pixel, tap, place| {
            for (channel, sum) in sums[pixel * outputs..][..outputs].iter_mut().enumerate() {
                for index in 0..inputs {
                    let value = place.map_or(self.pad_value, |place| self.input[place + index]);
                    let weight = self.filter[channel * depth + tap * inputs + index];
                    *sum += i64::from(value) * i64::from(weight);
                }
            }
        });
        let real = |(i, &sum): (usize, &i64)| self.requant.real(i % outputs, sum);
        (sums.iter().enumerate().map(real).collect(), self.requant.bound())
    }

    fn clamp(&self) -> Clamp {
        self.requant.clamp
    }

    /// The last depth step is lost when their number is odd.
    fn plant_bug(&mut self) {
        let depth = self.filter.len() / self.geometry.output().channels;
        if depth % 2 == 1 {
            self.filter.iter_mut().skip(depth - 1).step_by(depth).for_each(|weight| *weight = 0);
        }
    }
}

/// Depthwise convolution.
#[derive(Clone, Debug)]
pub(crate) struct DepthwiseConv {
    geometry: Geometry,
    input: Vec<i8>,
    filter: Vec<i8>,
    requant: Requant,
    pad_value: i8,
}

impl Case for DepthwiseConv {
    type Args<'a> = depthwise_conv_s8::Args<'a>;

    fn strategy(sane: bool) -> BoxedStrategy<Self> {
        let multiplier = prop_oneof![4 => Just(1_usize), 1 => 2..=3_usize, 1 => Just(8_usize)];
        (extent(), multiplier, any::<u64>(), any::<bool>())
            .prop_flat_map(move |(inputs, multiplier, seed, float)| {
                let outputs = inputs * multiplier;
                // Now and then more rows than are computed together.
                let extents = prop_oneof![9 => Just([1..14, 1..14]), 1 => Just([36..42, 1..5])];
                let map =
                    extents.prop_flat_map(move |extents| geometry_of([inputs, outputs], extents));
                map.prop_map(move |geometry| {
                    let mut random = Random(seed);
                    Self {
                        geometry,
                        input: random.int8s(geometry.input().checked_len().unwrap()),
                        filter: random.smaller_weights(outputs * geometry.window().taps()),
                        requant: Requant::new(&mut random, outputs, float, sane),
                        pad_value: random.int8(),
                    }
                })
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let Self { geometry, pad_value, .. } = self;
        let channels = geometry.output().channels;
        let layout = setup.layout.unwrap_or(depthwise_conv_s8::layout(setup.isa, geometry));
        let (filter, layout) = packed(&self.filter, layout, channels);
        let filter = Filter::new(&filter, layout, channels, geometry.window().taps()).unwrap();
        let run = |bytes: usize, input: Option<Rows<'_>>, first_row, output: &mut [i8]| {
            self.requant.with(|epilogue| {
                with_scratch(bytes, |scratch| {
                    cell(
                        &mut depthwise_conv_s8::Args::new(depthwise_conv_s8::Operands {
                            geometry: *geometry,
                            input,
                            filter,
                            epilogue,
                            pad_value: *pad_value,
                            first_row,
                            output,
                            scratch,
                        })
                        .unwrap(),
                    );
                });
            });
        };
        if setup.in_place && depthwise_conv_s8::can_run_in_place(geometry) {
            let mut map = self.input.clone();
            let ring = depthwise_conv_s8::ring_bytes(geometry);
            let bytes = depthwise_conv_s8::in_place_scratch_bytes(setup.isa, geometry);
            run((bytes * setup.scratch_percent / 100).max(ring), None, 0, &mut map);
            map.truncate(geometry.output().checked_len().unwrap());
            return map;
        }
        let bytes =
            depthwise_conv_s8::scratch_bytes(setup.isa, geometry) * setup.scratch_percent / 100;
        windows(geometry, &self.input, setup.ring, |input, first_row, output| {
            run(bytes, Some(input), first_row, output);
        })
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.depthwise_conv_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let (inputs, outputs) = (self.geometry.input().channels, self.geometry.output().channels);
        let taps = self.geometry.window().taps();
        let mut sums = vec![0_i64; self.geometry.output().checked_len().unwrap()];
        for_each_tap(&self.geometry, |pixel, tap, place| {
            for (channel, sum) in sums[pixel * outputs..][..outputs].iter_mut().enumerate() {
                let from = channel / (outputs / inputs);
                let value = place.map_or(self.pad_value, |place| self.input[place + from]);
                *sum += i64::from(value) * i64::from(self.filter[channel * taps + tap]);
            }
        });
        let real = |(i, &sum): (usize, &i64)| self.requant.real(i % outputs, sum);
        (sums.iter().enumerate().map(real).collect(), self.requant.bound())
    }

    fn clamp(&self) -> Clamp {
        self.requant.clamp
    }

    /// Padding reads one too little.
    fn plant_bug(&mut self) {
        self.pad_value = self.pad_value.saturating_sub(1);
    }
}

/// Pointwise convolution.
#[derive(Clone, Debug)]
pub(crate) struct PointwiseConv {
    depth: usize,
    input: Vec<i8>,
    filter: Vec<i8>,
    requant: Requant,
}

impl PointwiseConv {
    /// Pixels and weights of one value each, `depth` steps. The outputs of channel `i` tell sums that are
    /// four apart as long as the pixel's value is the `i`-th one.
    pub(crate) fn uniform(depth: usize, values: &[i8], weight: i8) -> Self {
        let products = |&value: &i8| {
            let depth = i32::try_from(depth).unwrap();
            i32::from(value) * i32::from(weight) * depth
        };
        let quarter = Rescale::FixedPoint { multiplier: 1 << 30, shift: -1 };
        Self {
            depth,
            input: values.iter().flat_map(|&value| vec![value; depth]).collect(),
            filter: vec![weight; depth * values.len()],
            requant: Requant {
                bias: values.iter().map(|value| 100 - products(value)).collect(),
                rescale: vec![quarter; values.len()],
                zero_point: 0,
                clamp: Clamp::NONE,
            },
        }
    }
}

impl Case for PointwiseConv {
    type Args<'a> = pointwise_conv_s8::Args<'a>;

    fn strategy(sane: bool) -> BoxedStrategy<Self> {
        (extent(), extent(), extent(), any::<u64>(), any::<bool>())
            .prop_map(move |(depth, channels, pixels, seed, float)| {
                let mut random = Random(seed);
                Self {
                    depth,
                    input: random.int8s(pixels * depth),
                    filter: random.weights(channels * depth),
                    requant: Requant::new(&mut random, channels, float, sane),
                }
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let (depth, channels) = (self.depth, self.requant.bias.len());
        let layout = setup.layout.unwrap_or(pointwise_conv_s8::layout(setup.isa, channels, depth));
        let (filter, layout) = packed(&self.filter, layout, channels);
        let filter = Filter::new(&filter, layout, channels, depth).unwrap();
        let bytes = pointwise_conv_s8::scratch_bytes(setup.isa, channels, depth)
            * setup.scratch_percent
            / 100;
        let mut output = vec![0x55; self.input.len() / depth * channels];
        self.requant.with(|epilogue| {
            with_scratch(bytes, |scratch| {
                cell(
                    &mut pointwise_conv_s8::Args::new(pointwise_conv_s8::Operands {
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
        kernels.pointwise_conv_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let mut real = vec![];
        for pixel in self.input.chunks(self.depth) {
            for (channel, filter) in self.filter.chunks(self.depth).enumerate() {
                let products = pixel.iter().zip(filter).map(|(&x, &w)| i64::from(x) * i64::from(w));
                real.push(self.requant.real(channel, products.sum()));
            }
        }
        (real, self.requant.bound())
    }

    fn clamp(&self) -> Clamp {
        self.requant.clamp
    }

    /// The last channel of an incomplete block takes its neighbour's bias.
    fn plant_bug(&mut self) {
        if let [.., neighbour, last] = &mut self.requant.bias[..] {
            *last = *neighbour;
        }
    }
}

/// Fully connected.
#[derive(Clone, Debug)]
pub(crate) struct FullyConnected(PointwiseConv);

impl Case for FullyConnected {
    type Args<'a> = fully_connected_s8::Args<'a>;

    fn strategy(sane: bool) -> BoxedStrategy<Self> {
        let depth = prop_oneof![3 => extent(), 1 => 60..=300_usize];
        (depth, extent(), any::<u64>(), any::<bool>())
            .prop_map(move |(depth, channels, seed, float)| {
                let mut random = Random(seed);
                Self(PointwiseConv {
                    depth,
                    input: random.int8s(depth),
                    filter: random.weights(channels * depth),
                    requant: Requant::new(&mut random, channels, float, sane),
                })
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let (depth, channels) = (self.0.depth, self.0.requant.bias.len());
        let layout = setup.layout.unwrap_or(fully_connected_s8::layout(setup.isa, channels, depth));
        let (filter, layout) = packed(&self.0.filter, layout, channels);
        let filter = Filter::new(&filter, layout, channels, depth).unwrap();
        let bytes = fully_connected_s8::scratch_bytes(setup.isa, channels, depth)
            * setup.scratch_percent
            / 100;
        let mut output = vec![0x55; channels];
        self.0.requant.with(|epilogue| {
            with_scratch(bytes, |scratch| {
                cell(
                    &mut fully_connected_s8::Args::new(fully_connected_s8::Operands {
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
        kernels.fully_connected_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        self.0.reference()
    }

    fn clamp(&self) -> Clamp {
        self.0.requant.clamp
    }

    /// Weights of -128, outside the symmetric range, are taken for -127.
    fn plant_bug(&mut self) {
        self.0.filter.iter_mut().for_each(|weight| *weight = (*weight).max(-127));
    }
}

/// Average or maximum pooling.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    geometry: Geometry,
    input: Vec<i8>,
    clamp: Clamp,
}

impl Pool {
    fn strategy() -> impl Strategy<Value = Self> {
        (extent(), any::<u64>()).prop_flat_map(|(channels, seed)| {
            geometry(channels, channels).prop_map(move |geometry| {
                let mut random = Random(seed);
                Self {
                    geometry,
                    input: random.int8s(geometry.input().checked_len().unwrap()),
                    clamp: random.clamp(),
                }
            })
        })
    }

    /// For every output the values of the taps inside the input.
    fn taps(&self) -> Vec<Vec<f64>> {
        let channels = self.geometry.output().channels;
        let mut taps = vec![vec![]; self.geometry.output().checked_len().unwrap()];
        for_each_tap(&self.geometry, |pixel, _, place| {
            for (channel, taps) in taps[pixel * channels..][..channels].iter_mut().enumerate() {
                taps.extend(place.map(|place| f64::from(self.input[place + channel])));
            }
        });
        taps
    }
}

/// Average pooling.
#[derive(Clone, Debug)]
pub(crate) struct AvgPool(Pool);

impl Case for AvgPool {
    type Args<'a> = avg_pool_s8::Args<'a>;

    fn strategy(_: bool) -> BoxedStrategy<Self> {
        Pool::strategy().prop_map(Self).boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let Pool { geometry, clamp, .. } = self.0;
        windows(&geometry, &self.0.input, setup.ring, |input, first_row, output| {
            let operands = avg_pool_s8::Operands { geometry, input, clamp, first_row, output };
            cell(&mut avg_pool_s8::Args::new(operands).unwrap());
        })
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.avg_pool_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let mean = |taps: &Vec<f64>| taps.iter().sum::<f64>() / taps.len() as f64;
        (self.0.taps().iter().map(mean).collect(), 0.5)
    }

    fn clamp(&self) -> Clamp {
        self.0.clamp
    }

    /// The first value counts one too much.
    fn plant_bug(&mut self) {
        self.0.input[0] = self.0.input[0].saturating_add(1);
    }
}

/// Maximum pooling.
#[derive(Clone, Debug)]
pub(crate) struct MaxPool(Pool);

impl Case for MaxPool {
    type Args<'a> = max_pool_s8::Args<'a>;

    fn strategy(_: bool) -> BoxedStrategy<Self> {
        Pool::strategy().prop_map(Self).boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let Pool { geometry, clamp, .. } = self.0;
        windows(&geometry, &self.0.input, setup.ring, |input, first_row, output| {
            let operands = max_pool_s8::Operands { geometry, input, clamp, first_row, output };
            cell(&mut max_pool_s8::Args::new(operands).unwrap());
        })
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.max_pool_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let max = |taps: &Vec<f64>| taps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (self.0.taps().iter().map(max).collect(), 0.0)
    }

    fn clamp(&self) -> Clamp {
        self.0.clamp
    }

    /// The comparison starts at -127.
    fn plant_bug(&mut self) {
        self.0.input.iter_mut().for_each(|value| *value = (*value).max(-127));
    }
}

/// Global average pooling.
#[derive(Clone, Debug)]
pub(crate) struct GlobalAvgPool {
    channels: usize,
    input: Vec<i8>,
    bias: i32,
    rescale: Rescale,
    zero_point: i8,
    clamp: Clamp,
}

impl Case for GlobalAvgPool {
    type Args<'a> = global_avg_pool_s8::Args<'a>;

    fn strategy(sane: bool) -> BoxedStrategy<Self> {
        (extent(), extent(), any::<u64>(), any::<bool>())
            .prop_map(move |(channels, pixels, seed, float)| {
                let mut random = Random(seed);
                let zero_point = i32::from(random.int8());
                let wild = random.int32();
                Self {
                    channels,
                    input: random.int8s(channels * pixels),
                    bias: if sane { -zero_point * i32::try_from(pixels).unwrap() } else { wild },
                    rescale: random.rescale(float, sane),
                    zero_point: random.int8(),
                    clamp: random.clamp(),
                }
            })
            .boxed()
    }

    fn run(&self, _: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let mut output = vec![0x55; self.channels];
        cell(
            &mut global_avg_pool_s8::Args::new(global_avg_pool_s8::Operands {
                input: &self.input,
                bias: self.bias,
                rescale: self.rescale,
                zero_point: self.zero_point,
                clamp: self.clamp,
                output: &mut output,
            })
            .unwrap(),
        );
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.global_avg_pool_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let real = |channel| {
            let values = self.input.iter().skip(channel).step_by(self.channels);
            let sum: f64 = values.map(|&value| f64::from(value)).sum();
            (sum + f64::from(self.bias)) * factor(self.rescale) + f64::from(self.zero_point)
        };
        ((0..self.channels).map(real).collect(), rescale_bound(self.rescale))
    }

    fn clamp(&self) -> Clamp {
        self.clamp
    }

    /// The last channel is one pixel short.
    fn plant_bug(&mut self) {
        if let Some(last) = self.input.last_mut() {
            *last = 0;
        }
    }
}

/// Addition.
#[derive(Clone, Debug)]
pub(crate) struct Add {
    lhs: Vec<i8>,
    rhs: Vec<i8>,
    sum: add_s8::Sum,
    zero_point: i8,
    clamp: Clamp,
}

impl Case for Add {
    type Args<'a> = add_s8::Args<'a>;

    fn strategy(sane: bool) -> BoxedStrategy<Self> {
        let len = prop_oneof![extent(), 1..=300_usize];
        (len, any::<u64>(), any::<bool>())
            .prop_map(move |(len, seed, float)| {
                let mut random = Random(seed);
                Self {
                    lhs: random.int8s(len),
                    rhs: random.int8s(len),
                    sum: match (float, sane) {
                        (true, _) => linear_sum(&mut random, sane),
                        (false, true) => fixed_sum(&mut random),
                        (false, false) => wild_fixed_sum(&mut random),
                    },
                    zero_point: random.int8(),
                    clamp: random.clamp(),
                }
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let mut output = if setup.in_place { self.lhs.clone() } else { vec![0x55; self.rhs.len()] };
        cell(
            &mut add_s8::Args::new(add_s8::Operands {
                lhs: (!setup.in_place).then_some(&self.lhs),
                rhs: &self.rhs,
                sum: self.sum,
                zero_point: self.zero_point,
                clamp: self.clamp,
                output: &mut output,
            })
            .unwrap(),
        );
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.add_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let real = |(&a, &b): (&i8, &i8)| {
            let (a, b) = (f64::from(a), f64::from(b));
            let sum = match self.sum {
                add_s8::Sum::FixedPoint {
                    offset,
                    multiplier,
                    shift,
                    left_shift,
                    output_multiplier,
                    output_shift,
                } => {
                    let scaled = |value, i: usize| {
                        let rescale =
                            Rescale::FixedPoint { multiplier: multiplier[i], shift: shift[i] };
                        (value + f64::from(offset[i])) * factor(rescale)
                    };
                    let output =
                        Rescale::FixedPoint { multiplier: output_multiplier, shift: output_shift };
                    (scaled(a, 0) + scaled(b, 1)) * exp2(f64::from(left_shift)) * factor(output)
                }
                // The bias holds the rounding half, which is no part of the result.
                add_s8::Sum::Linear { multiplier: [m0, m1], bias, shift } => {
                    (f64::from(bias) + a * f64::from(m0) + b * f64::from(m1))
                        / exp2(f64::from(shift))
                        - 0.5
                }
            };
            sum + f64::from(self.zero_point)
        };
        let bound = match self.sum {
            // Three roundings before the last, each half of 2^-20 steps or so.
            add_s8::Sum::FixedPoint { output_shift, .. } => {
                0.5 + 0.5 * exp2(f64::from(output_shift)) + 1e-3
            }
            add_s8::Sum::Linear { .. } => 0.5,
        };
        (self.lhs.iter().zip(&self.rhs).map(real).collect(), bound)
    }

    fn clamp(&self) -> Clamp {
        self.clamp
    }

    /// The inputs change places.
    fn plant_bug(&mut self) {
        core::mem::swap(&mut self.lhs, &mut self.rhs);
    }
}

fn linear_sum(random: &mut Random, sane: bool) -> add_s8::Sum {
    if sane {
        let shift = u8::try_from(18 + random.below(6)).unwrap();
        let multiplier = [0, 1].map(|_| random.int32() >> 11);
        let zero_points = [0, 1].map(|_| i32::from(random.int8()));
        let bias =
            (1 << (shift - 1)) - zero_points[0] * multiplier[0] - zero_points[1] * multiplier[1];
        return add_s8::Sum::Linear { multiplier, bias, shift };
    }
    add_s8::Sum::Linear {
        multiplier: [0, 1].map(|_| {
            let any = random.int32();
            random.pick(&[any, any >> 10, i32::MAX, i32::MIN])
        }),
        bias: random.int32(),
        shift: u8::try_from(random.below(32)).unwrap(),
    }
}

/// As TFLite prepares an addition of these scales, with the output's scale 1.
fn fixed_sum(random: &mut Random) -> add_s8::Sum {
    let scales = [0, 1].map(|_| exp2(random.real(-5.0, 1.0)));
    let twice = 2.0 * scales[0].max(scales[1]);
    let fixed = |factor| match real_to_fixed(factor) {
        Rescale::FixedPoint { multiplier, shift } => (multiplier, shift),
        Rescale::Float { .. } => unreachable!(),
    };
    let inputs = scales.map(|scale| fixed(scale / twice));
    let (output_multiplier, output_shift) = fixed(twice / f64::from(1 << 20));
    add_s8::Sum::FixedPoint {
        offset: [0, 1].map(|_| -i32::from(random.int8())),
        multiplier: inputs.map(|input| input.0),
        shift: inputs.map(|input| input.1),
        left_shift: 20,
        output_multiplier,
        output_shift,
    }
}

fn wild_fixed_sum(random: &mut Random) -> add_s8::Sum {
    let [a, b, output] = [0, 1, 2].map(|_| match random.rescale(false, false) {
        Rescale::FixedPoint { multiplier, shift } => (multiplier, shift),
        Rescale::Float { .. } => unreachable!(),
    });
    let any = random.int32();
    add_s8::Sum::FixedPoint {
        offset: [-i32::from(random.int8()), random.pick(&[-128, 127, 128, any])],
        multiplier: [a.0, b.0],
        shift: [a.1, b.1],
        left_shift: random.pick(&[20, 20, 20, 0, 7, 31]),
        output_multiplier: output.0,
        output_shift: output.1,
    }
}

/// Softmax.
#[derive(Clone, Debug)]
pub(crate) struct Softmax {
    depth: usize,
    input: Vec<i8>,
    scale: f64,
    multiplier: i32,
    left_shift: u8,
    diff_min: i32,
}

impl Case for Softmax {
    type Args<'a> = softmax_s8::Args<'a>;

    fn strategy(sane: bool) -> BoxedStrategy<Self> {
        let depth = prop_oneof![extent(), 100..=300_usize];
        (depth, 1..=3_usize, any::<u64>())
            .prop_map(move |(depth, rows, seed)| {
                let mut random = Random(seed);
                let scale = exp2(random.real(-8.0, 1.0));
                let prepared = softmax_scaling(scale);
                let wild_shift = u8::try_from(random.below(31)).unwrap();
                let wild = (random.int32() & i32::MAX, wild_shift, random.int32() >> 23);
                let (multiplier, left_shift, diff_min) =
                    if sane { prepared } else { random.pick(&[prepared, wild]) };
                let input = random.int8s(depth * rows);
                Self { depth, input, scale, multiplier, left_shift, diff_min }
            })
            .boxed()
    }

    fn run(&self, _: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let mut output = vec![0x55; self.input.len()];
        cell(
            &mut softmax_s8::Args::new(softmax_s8::Operands {
                input: &self.input,
                depth: self.depth,
                multiplier: self.multiplier,
                left_shift: self.left_shift,
                diff_min: self.diff_min,
                output: &mut output,
            })
            .unwrap(),
        );
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.softmax_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let mut real = vec![];
        for row in self.input.chunks(self.depth) {
            let max = f64::from(row.iter().copied().max().unwrap());
            let exp = |value: i8| exp((f64::from(value) - max) * self.scale);
            let sum: f64 = row.iter().map(|&value| exp(value)).sum();
            real.extend(row.iter().map(|&value| exp(value) / sum * 256.0 - 128.0));
        }
        (real, 0.6)
    }

    /// The sum loses its last value.
    fn plant_bug(&mut self) {
        if let Some(last) = self.input.last_mut() {
            *last = -128;
        }
    }
}

/// `(multiplier, left_shift, diff_min)` of a softmax with beta 1, as TFLite prepares them.
pub(crate) fn softmax_scaling(scale: f64) -> (i32, u8, i32) {
    let Rescale::FixedPoint { multiplier, shift } =
        real_to_fixed((scale * f64::from(1 << 26)).min(2_147_483_647.0))
    else {
        unreachable!()
    };
    let radius = floor(31.0 * exp2(26.0 - f64::from(shift)));
    #[allow(clippy::cast_possible_truncation, reason = "in range by construction")]
    (multiplier, shift.cast_unsigned(), -(radius as i32))
}

/// Padding.
#[derive(Clone, Debug)]
pub(crate) struct Pad {
    shape: Shape,
    /// Top, left, bottom, right.
    pads: [usize; 4],
    input: Vec<i8>,
    value: i8,
}

impl Case for Pad {
    type Args<'a> = pad_s8::Args<'a>;

    fn strategy(_: bool) -> BoxedStrategy<Self> {
        (1..=7_usize, 1..=7_usize, extent(), prop::array::uniform4(0..=3_usize), any::<u64>())
            .prop_map(|(height, width, channels, pads, seed)| {
                let mut random = Random(seed);
                Self {
                    shape: Shape::new(height, width, channels),
                    pads,
                    input: random.int8s(height * width * channels),
                    value: random.int8(),
                }
            })
            .boxed()
    }

    fn run(&self, _: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let ([top, left, bottom, right], shape) = (self.pads, self.shape);
        let output_shape =
            Shape::new(top + shape.height + bottom, left + shape.width + right, shape.channels);
        let mut output = vec![0x55; output_shape.checked_len().unwrap()];
        cell(
            &mut pad_s8::Args::new(pad_s8::Operands {
                input: &self.input,
                input_shape: shape,
                output_shape,
                top,
                left,
                value: self.value,
                output: &mut output,
            })
            .unwrap(),
        );
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.pad_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let ([top, left, bottom, right], shape) = (self.pads, self.shape);
        let mut real = vec![];
        for y in 0..top + shape.height + bottom {
            for x in 0..left + shape.width + right {
                for channel in 0..shape.channels {
                    let inside = (top..top + shape.height).contains(&y)
                        && (left..left + shape.width).contains(&x);
                    real.push(f64::from(if inside {
                        let pixel = (y - top) * shape.width + x - left;
                        self.input[pixel * shape.channels + channel]
                    } else {
                        self.value
                    }));
                }
            }
        }
        (real, 0.0)
    }

    /// The padding is zero instead of the zero point.
    fn plant_bug(&mut self) {
        self.value = 0;
    }
}

/// Activation clamp.
#[derive(Clone, Debug)]
pub(crate) struct ClampAll {
    input: Vec<i8>,
    clamp: Clamp,
}

impl Case for ClampAll {
    type Args<'a> = clamp_s8::Args<'a>;

    fn strategy(_: bool) -> BoxedStrategy<Self> {
        (prop_oneof![extent(), 1..=200_usize], any::<u64>())
            .prop_map(|(len, seed)| {
                let mut random = Random(seed);
                Self { input: random.int8s(len), clamp: random.clamp() }
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let mut output =
            if setup.in_place { self.input.clone() } else { vec![0x55; self.input.len()] };
        cell(
            &mut clamp_s8::Args::new(clamp_s8::Operands {
                input: (!setup.in_place).then_some(&self.input),
                clamp: self.clamp,
                output: &mut output,
            })
            .unwrap(),
        );
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.clamp_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        (self.input.iter().map(|&value| f64::from(value)).collect(), 0.0)
    }

    fn clamp(&self) -> Clamp {
        self.clamp
    }

    /// The upper bound is one too low.
    fn plant_bug(&mut self) {
        self.clamp.max = self.clamp.max.saturating_sub(1).max(self.clamp.min);
    }
}

/// Function by table.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    input: Vec<i8>,
    table: Vec<i8>,
}

impl Case for Lookup {
    type Args<'a> = lookup_s8::Args<'a>;

    fn strategy(_: bool) -> BoxedStrategy<Self> {
        (prop_oneof![extent(), 1..=400_usize], any::<u64>())
            .prop_map(|(len, seed)| {
                let mut random = Random(seed);
                let table = (0..256).map(|_| random.int8()).collect();
                Self { input: random.int8s(len), table }
            })
            .boxed()
    }

    fn run(&self, setup: Setup, cell: &dyn Fn(&mut Self::Args<'_>)) -> Vec<i8> {
        let mut output =
            if setup.in_place { self.input.clone() } else { vec![0x55; self.input.len()] };
        cell(
            &mut lookup_s8::Args::new(lookup_s8::Operands {
                input: (!setup.in_place).then_some(&self.input),
                table: self.table.first_chunk().unwrap(),
                output: &mut output,
            })
            .unwrap(),
        );
        output
    }

    fn call(kernels: &Kernels, args: &mut Self::Args<'_>) {
        kernels.lookup_s8(args);
    }

    fn reference(&self) -> (Vec<f64>, f64) {
        let entry = |&value: &i8| self.table[usize::try_from(i32::from(value) + 128).unwrap()];
        (self.input.iter().map(|value| f64::from(entry(value))).collect(), 0.0)
    }

    /// The table is read as if it began at 0.
    fn plant_bug(&mut self) {
        self.table.rotate_left(128);
    }
}
