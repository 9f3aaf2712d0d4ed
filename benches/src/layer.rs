//! A case with its data, packed for one instruction set.

use crate::cases::{Case, Op};
use mote_kernels::{
    Clamp, Epilogue, Filter, Geometry, Isa, Kernels, Layout, Requantize, Rescale, Rows, Shape,
    ShapeError, add_s8, avg_pool_s8, clamp_s8, conv_s8, depthwise_conv_s8, fully_connected_s8,
    global_avg_pool_s8, lookup_s8, max_pool_s8, pack, pad_s8, pointwise_conv_s8, softmax_s8,
};

/// The numerics contract of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numerics {
    /// Q31 multiplier and shift.
    Tflite,
    /// One f32 multiply.
    Fp32,
}

/// Everything that one call of a kernel reads and writes.
#[derive(Debug)]
pub struct Layer {
    case: Case,
    numerics: Numerics,
    kernels: Kernels,
    input: Vec<i8>,
    filter: Vec<i8>,
    layout: Layout,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<i8>,
    scale: Vec<f32>,
    table: [i8; 256],
    output: Vec<i8>,
    /// 16-byte aligned, as the engine's arena is.
    scratch: Vec<u128>,
    scratch_bytes: usize,
}

impl Layer {
    /// # Errors
    /// [`ShapeError`] when the case's shapes do not go together.
    pub fn new(case: Case, numerics: Numerics, kernels: Kernels) -> Result<Self, ShapeError> {
        let isa = kernels.isa();
        let geometry = case.geometry();
        let (input, output, channels, depth) = lens(&case, geometry);
        let (layout, scratch_bytes) = plan(isa, &case, geometry, channels, depth);
        let mut random = Random(1);
        let plain = random.int8s(channels * depth);
        let mut filter = vec![0; layout.packed_len(channels, depth).unwrap_or(0)];
        if depth > 0 {
            pack(&plain, layout, channels, depth, &mut filter)?;
        }
        Ok(Self {
            case,
            numerics,
            kernels,
            input: random.int8s(input),
            filter,
            layout,
            bias: vec![1000; channels],
            multiplier: vec![0x5555_5555; channels],
            shift: vec![-9; channels],
            scale: vec![0.0013; channels],
            table: core::array::from_fn(|_| random.int8()),
            output: vec![0; output],
            scratch: vec![0; scratch_bytes.div_ceil(16)],
            scratch_bytes,
        })
    }

    /// What the last run wrote.
    #[must_use]
    pub fn output(&self) -> &[i8] {
        &self.output
    }

    /// Runs the layer once.
    ///
    /// # Errors
    /// [`ShapeError`] when the case's shapes do not go together.
    pub fn run(&mut self) -> Result<(), ShapeError> {
        let (kernels, channels) = (self.kernels, self.bias.len());
        let (depth, sum) = (lens(&self.case, self.case.geometry()).3, self.sum());
        let (input, output) = (&self.input[..], &mut self.output[..]);
        let scratch = bytemuck::cast_slice_mut::<u128, i8>(&mut self.scratch);
        let scratch = &mut scratch[..self.scratch_bytes];
        let epilogue = Epilogue {
            bias: &self.bias,
            requantize: match self.numerics {
                Numerics::Tflite => {
                    Requantize::FixedPoint { multiplier: &self.multiplier, shift: &self.shift }
                }
                Numerics::Fp32 => Requantize::Float { scale: &self.scale },
            },
            zero_point: -3,
            clamp: Clamp::NONE,
        };
        let filter = |depth| Filter::new(&self.filter, self.layout, channels, depth);
        let clamp = Clamp::NONE;
        match (self.case.op, self.case.geometry()) {
            (Op::Conv(..), Some(geometry)) => {
                kernels.conv_s8(&mut conv_s8::Args::new(conv_s8::Operands {
                    geometry,
                    input: Rows::whole(input, geometry.input())?,
                    filter: filter(depth)?,
                    epilogue,
                    pad_value: -1,
                    first_row: 0,
                    output,
                    scratch,
                })?);
            }
            (Op::Depthwise(..), Some(geometry)) => {
                let operands = depthwise_conv_s8::Operands {
                    geometry,
                    input: Some(Rows::whole(input, geometry.input())?),
                    filter: filter(depth)?,
                    epilogue,
                    pad_value: -1,
                    first_row: 0,
                    output,
                    scratch,
                };
                kernels.depthwise_conv_s8(&mut depthwise_conv_s8::Args::new(operands)?);
            }
            (Op::Pointwise(..), _) => {
                let filter = filter(depth)?;
                let operands =
                    pointwise_conv_s8::Operands { input, filter, epilogue, output, scratch };
                kernels.pointwise_conv_s8(&mut pointwise_conv_s8::Args::new(operands)?);
            }
            (Op::FullyConnected(..), _) => {
                let filter = filter(depth)?;
                let operands =
                    fully_connected_s8::Operands { input, filter, epilogue, output, scratch };
                kernels.fully_connected_s8(&mut fully_connected_s8::Args::new(operands)?);
            }
            (Op::Add(len), _) => {
                let (lhs, rhs) = input.split_at(len);
                let operands =
                    add_s8::Operands { lhs: Some(lhs), rhs, sum, zero_point: -3, clamp, output };
                kernels.add_s8(&mut add_s8::Args::new(operands)?);
            }
            (Op::AvgPool(..), Some(geometry)) => {
                let input = Rows::whole(input, geometry.input())?;
                let operands =
                    avg_pool_s8::Operands { geometry, input, clamp, first_row: 0, output };
                kernels.avg_pool_s8(&mut avg_pool_s8::Args::new(operands)?);
            }
            (Op::MaxPool(..), Some(geometry)) => {
                let input = Rows::whole(input, geometry.input())?;
                let operands =
                    max_pool_s8::Operands { geometry, input, clamp, first_row: 0, output };
                kernels.max_pool_s8(&mut max_pool_s8::Args::new(operands)?);
            }
            (Op::GlobalAvgPool(..), _) => {
                let rescale = match self.numerics {
                    Numerics::Tflite => Rescale::FixedPoint { multiplier: 0x5555_5555, shift: -5 },
                    Numerics::Fp32 => Rescale::Float { scale: 0.02 },
                };
                let operands = global_avg_pool_s8::Operands {
                    input,
                    bias: 100,
                    rescale,
                    zero_point: -3,
                    clamp,
                    output,
                };
                kernels.global_avg_pool_s8(&mut global_avg_pool_s8::Args::new(operands)?);
            }
            (Op::Softmax(depth), _) => {
                let operands = softmax_s8::Operands {
                    input,
                    depth,
                    multiplier: 0x5555_5555,
                    left_shift: 22,
                    diff_min: -255,
                    output,
                };
                kernels.softmax_s8(&mut softmax_s8::Args::new(operands)?);
            }
            (Op::Pad(extent, channels), _) => {
                let operands = pad_s8::Operands {
                    input,
                    input_shape: Shape::new(extent, extent, channels),
                    output_shape: Shape::new(extent + 2, extent + 2, channels),
                    top: 1,
                    left: 1,
                    value: -1,
                    output,
                };
                kernels.pad_s8(&mut pad_s8::Args::new(operands)?);
            }
            (Op::Clamp(_), _) => {
                let clamp = Clamp { min: -20, max: 90 };
                let operands = clamp_s8::Operands { input: Some(input), clamp, output };
                kernels.clamp_s8(&mut clamp_s8::Args::new(operands)?);
            }
            (Op::Lookup(_), _) => {
                let operands =
                    lookup_s8::Operands { input: Some(input), table: &self.table, output };
                kernels.lookup_s8(&mut lookup_s8::Args::new(operands)?);
            }
            (Op::Conv(..) | Op::Depthwise(..) | Op::AvgPool(..) | Op::MaxPool(..), None) => {
                return Err(ShapeError::Window);
            }
        }
        Ok(())
    }

    fn sum(&self) -> add_s8::Sum {
        match self.numerics {
            Numerics::Tflite => add_s8::Sum::FixedPoint {
                offset: [3, -5],
                multiplier: [0x4000_0000, 0x6789_abcd],
                shift: [0, -1],
                left_shift: 20,
                output_multiplier: 0x5555_5555,
                output_shift: -18,
            },
            Numerics::Fp32 => {
                add_s8::Sum::Linear { multiplier: [1_234_567, 765_432], bias: 524_288, shift: 20 }
            }
        }
    }
}

/// Lengths of input and output, and channels and depth of the filter.
fn lens(case: &Case, geometry: Option<Geometry>) -> (usize, usize, usize, usize) {
    let len = |shape: Shape| shape.checked_len().unwrap_or(0);
    if let Some(geometry) = geometry {
        let (input, output) = (geometry.input(), geometry.output());
        let depth = match case.op {
            Op::Conv(..) => geometry.window().taps() * input.channels,
            Op::Depthwise(..) => geometry.window().taps(),
            _ => 0,
        };
        return (len(input), len(output), output.channels, depth);
    }
    match case.op {
        Op::Pointwise(pixels, depth, channels) => {
            (pixels * depth, pixels * channels, channels, depth)
        }
        Op::FullyConnected(depth, channels) => (depth, channels, channels, depth),
        Op::Add(len) => (2 * len, len, 1, 0),
        Op::GlobalAvgPool(pixels, channels) => (pixels * channels, channels, channels, 0),
        Op::Softmax(len) | Op::Clamp(len) | Op::Lookup(len) => (len, len, 1, 0),
        Op::Pad(extent, channels) => {
            (extent * extent * channels, (extent + 2) * (extent + 2) * channels, channels, 0)
        }
        Op::Conv(..) | Op::Depthwise(..) | Op::AvgPool(..) | Op::MaxPool(..) => (0, 0, 0, 0),
    }
}

fn plan(
    isa: Isa,
    case: &Case,
    geometry: Option<Geometry>,
    channels: usize,
    depth: usize,
) -> (Layout, usize) {
    match (case.op, geometry) {
        (Op::Conv(..), Some(geometry)) => {
            (conv_s8::layout(isa, &geometry), conv_s8::scratch_bytes(isa, &geometry))
        }
        (Op::Depthwise(..), Some(geometry)) => (
            depthwise_conv_s8::layout(isa, &geometry),
            depthwise_conv_s8::scratch_bytes(isa, &geometry),
        ),
        (Op::Pointwise(..), _) => (
            pointwise_conv_s8::layout(isa, channels, depth),
            pointwise_conv_s8::scratch_bytes(isa, channels, depth),
        ),
        (Op::FullyConnected(..), _) => (
            fully_connected_s8::layout(isa, channels, depth),
            fully_connected_s8::scratch_bytes(isa, channels, depth),
        ),
        _ => (Layout::PLAIN, 0),
    }
}

/// Numbers without a library.
struct Random(u64);

impl Random {
    fn int8(&mut self) -> i8 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.to_le_bytes()[7].cast_signed()
    }

    fn int8s(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.int8()).collect()
    }
}
