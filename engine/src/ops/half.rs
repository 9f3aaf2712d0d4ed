//! Operations on halves: decoded as those on int8 are, with f32 bounds in place of int8 ones.

#[cfg(feature = "threads")]
use super::Parts;
use super::{Place, Record, Windows, product};
use crate::error::OpFault;
use crate::format::OpKind;
use bytemuck::{AnyBitPattern, NoUninit};
use core::ops::Range;
use mote_kernels::{
    ClampF16, EpilogueF16, F16, Filter, Geometry, Kernels, Layout, Rows, Shape, ShapeError,
    add_f16, avg_pool_f16, clamp_f16, conv_f16, depthwise_conv_f16, dequantize_f16,
    fully_connected_f16, global_avg_pool_f16, max_pool_f16, pad_s8, pointwise_conv_f16,
    quantize_f16, softmax_f16,
};

/// A decoded operation on halves, and its place in the arena.
#[derive(Clone, Copy, Debug)]
pub struct HalfOp<'a> {
    place: Place,
    what: What<'a>,
}

#[derive(Clone, Copy, Debug)]
enum What<'a> {
    Conv(Geometry, Weights<'a>),
    PointwiseConv(usize, Weights<'a>),
    DepthwiseConv(Geometry, Weights<'a>),
    FullyConnected(Weights<'a>),
    /// The second input, and the range.
    Add((usize, usize), ClampF16),
    AvgPool(Geometry, ClampF16),
    MaxPool(Geometry, ClampF16),
    GlobalAvgPool(ClampF16),
    /// Values of a row, and the factor of the exponents.
    Softmax(usize, f32),
    /// Shapes in bytes, rows above, columns to the left.
    Pad([Shape; 2], [usize; 2]),
    Clamp(ClampF16),
    /// Scale and zero point of the int8 tensor.
    Quantize(f32, i8),
    Dequantize(f32, i8),
}

#[derive(Clone, Copy, Debug)]
struct Weights<'a> {
    filter: Filter<'a, F16>,
    epilogue: EpilogueF16<'a>,
}

impl<'a> HalfOp<'a> {
    pub(super) fn decode(record: &Record<'_, 'a>, kind: OpKind) -> Result<Self, OpFault> {
        let (input, output) = record.shapes();
        let (channels, elementwise) = (output.channels, input == output);
        let fits = |sound| if sound { Ok(()) } else { Err(OpFault::Shape(ShapeError::OutputLen)) };
        let weights = |depth| Weights::decode(record, channels, depth);
        let what = match kind {
            OpKind::ConvF16 => {
                let geometry = record.geometry()?;
                let depth = geometry.window().taps() * input.channels;
                What::Conv(geometry, weights(depth)?)
            }
            OpKind::PointwiseConvF16 => {
                fits(input.height == output.height && input.width == output.width)?;
                What::PointwiseConv(output.pixels(), weights(input.channels)?)
            }
            OpKind::DepthwiseConvF16 => {
                let geometry = record.geometry()?;
                fits(channels.is_multiple_of(input.channels))?;
                What::DepthwiseConv(geometry, weights(geometry.window().taps())?)
            }
            OpKind::FullyConnectedF16 => {
                fits(output.pixels() == 1)?;
                What::FullyConnected(weights(record.input.len())?)
            }
            OpKind::AddF16 => return Self::decode_add(record),
            OpKind::AvgPoolF16 | OpKind::MaxPoolF16 => {
                let (geometry, clamp) = (record.geometry()?, clamp(record)?);
                fits(input.channels == channels)?;
                match kind {
                    OpKind::AvgPoolF16 => What::AvgPool(geometry, clamp),
                    _ => What::MaxPool(geometry, clamp),
                }
            }
            OpKind::GlobalAvgPoolF16 => {
                fits(output.pixels() == 1 && input.channels == channels)?;
                What::GlobalAvgPool(clamp(record)?)
            }
            OpKind::SoftmaxF16 => {
                fits(elementwise)?;
                What::Softmax(channels, super::real(record.number::<0>())?)
            }
            OpKind::PadF16 => decode_pad(record)?,
            OpKind::ClampF16 => {
                let (place, what) = (record.place_elementwise()?, What::Clamp(clamp(record)?));
                return Ok(Self { place, what });
            }
            OpKind::QuantizeF16 => {
                fits(elementwise)?;
                What::Quantize(record.output.scale, record.output.zero_point)
            }
            OpKind::DequantizeF16 => {
                fits(elementwise)?;
                What::Dequantize(record.input.scale, record.input.zero_point)
            }
            int8 => return Err(OpFault::Kind { code: int8.code() }),
        };
        Ok(Self { place: record.place_apart()?, what })
    }

    fn decode_add(record: &Record<'_, 'a>) -> Result<Self, OpFault> {
        let (place, second) = (record.place_elementwise()?, record.second_input()?);
        if second.len() != record.output.len() {
            return Err(OpFault::Shape(ShapeError::InputLen));
        }
        if place.in_place && second.offset == record.output.offset {
            return Err(OpFault::InPlace);
        }
        let rhs = second.window();
        Ok(Self { place, what: What::Add((rhs.start, rhs.end), clamp(record)?) })
    }

    pub(super) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        match self.what {
            What::Add(rhs, clamp) => return self.run_add(kernels, arena, rhs, clamp),
            What::Clamp(clamp) => {
                let (input, output) = self.place.split_elementwise(arena)?;
                let input = input.map(cast::<F16>).transpose()?;
                let operands = clamp_f16::Operands { input, clamp, output: cast_mut(output)? };
                kernels.clamp_f16(&mut clamp_f16::Args::new(operands)?);
                return Ok(());
            }
            _ => {}
        }
        self.run_rows(kernels, self.place.split(arena)?, 0)
    }

    /// What the windows hold; of an operation with a geometry, the output's rows from `first_row` on.
    pub(super) fn run_rows(
        &self,
        kernels: &Kernels,
        Windows { input, output, scratch }: Windows<'_>,
        first_row: usize,
    ) -> Result<(), ShapeError> {
        match self.what {
            What::Conv(geometry, Weights { filter, epilogue }) => {
                let (input, output) = (rows(input, &geometry)?, cast_mut(output)?);
                kernels.conv_f16(&mut conv_f16::Args::new(conv_f16::Operands {
                    geometry,
                    input,
                    filter,
                    epilogue,
                    first_row,
                    output,
                    scratch,
                })?);
            }
            What::DepthwiseConv(geometry, Weights { filter, epilogue }) => {
                let (input, output) = (rows(input, &geometry)?, cast_mut(output)?);
                let operands = depthwise_conv_f16::Operands {
                    geometry,
                    input,
                    filter,
                    epilogue,
                    first_row,
                    output,
                };
                kernels.depthwise_conv_f16(&mut depthwise_conv_f16::Args::new(operands)?);
            }
            What::PointwiseConv(_, Weights { filter, epilogue }) => {
                let (input, output) = (cast(input)?, cast_mut(output)?);
                let operands =
                    pointwise_conv_f16::Operands { input, filter, epilogue, output, scratch };
                kernels.pointwise_conv_f16(&mut pointwise_conv_f16::Args::new(operands)?);
            }
            What::FullyConnected(Weights { filter, epilogue }) => {
                let (input, output) = (cast(input)?, cast_mut(output)?);
                let operands =
                    fully_connected_f16::Operands { input, filter, epilogue, output, scratch };
                kernels.fully_connected_f16(&mut fully_connected_f16::Args::new(operands)?);
            }
            What::AvgPool(geometry, clamp) => {
                let (input, output) = (rows(input, &geometry)?, cast_mut(output)?);
                let operands = avg_pool_f16::Operands { geometry, input, clamp, first_row, output };
                kernels.avg_pool_f16(&mut avg_pool_f16::Args::new(operands)?);
            }
            What::MaxPool(geometry, clamp) => {
                let (input, output) = (rows(input, &geometry)?, cast_mut(output)?);
                let operands = max_pool_f16::Operands { geometry, input, clamp, first_row, output };
                kernels.max_pool_f16(&mut max_pool_f16::Args::new(operands)?);
            }
            What::GlobalAvgPool(clamp) => {
                let (input, output) = (cast(input)?, cast_mut(output)?);
                let operands = global_avg_pool_f16::Operands { input, clamp, output };
                kernels.global_avg_pool_f16(&mut global_avg_pool_f16::Args::new(operands)?);
            }
            What::Softmax(depth, beta) => {
                let (input, output) = (cast(input)?, cast_mut(output)?);
                let operands = softmax_f16::Operands { input, depth, beta, output };
                kernels.softmax_f16(&mut softmax_f16::Args::new(operands)?);
            }
            What::Pad([input_shape, output_shape], [top, left]) => {
                kernels.pad_s8(&mut pad_s8::Args::new(pad_s8::Operands {
                    input,
                    input_shape,
                    output_shape,
                    top,
                    left,
                    value: 0,
                    output,
                })?);
            }
            What::Quantize(scale, zero_point) => {
                let (input, inverse_scale) = (cast(input)?, 1.0 / scale);
                let operands = quantize_f16::Operands { input, inverse_scale, zero_point, output };
                kernels.quantize_f16(&mut quantize_f16::Args::new(operands)?);
            }
            What::Dequantize(scale, zero_point) => {
                let output = cast_mut(output)?;
                let operands = dequantize_f16::Operands { input, scale, zero_point, output };
                kernels.dequantize_f16(&mut dequantize_f16::Args::new(operands)?);
            }
            What::Add(..) | What::Clamp(_) => {}
        }
        Ok(())
    }

    fn run_add(
        &self,
        kernels: &Kernels,
        arena: &mut [i8],
        rhs: (usize, usize),
        clamp: ClampF16,
    ) -> Result<(), ShapeError> {
        let (lhs, rhs, output) = self.place.split_binary(arena, rhs)?;
        let lhs = lhs.map(cast::<F16>).transpose()?;
        let (rhs, output) = (cast(rhs)?, cast_mut(output)?);
        kernels.add_f16(&mut add_f16::Args::new(add_f16::Operands { lhs, rhs, clamp, output })?);
        Ok(())
    }

    /// See [`Op::shared`](super::Op::shared).
    #[cfg(feature = "threads")]
    pub(super) const fn shared(&self) -> Option<(&Place, Parts)> {
        let parts = match self.what {
            What::Conv(geometry, _) | What::DepthwiseConv(geometry, _) => {
                Parts::Rows(geometry.output().height)
            }
            What::PointwiseConv(pixels, _) => Parts::Pixels(pixels),
            _ => return None,
        };
        Some((&self.place, parts))
    }

    pub(super) const fn scratch(&self) -> Range<usize> {
        match self.what {
            What::Conv(..) | What::PointwiseConv(..) | What::FullyConnected(_) => {
                self.place.scratch()
            }
            _ => 0..0,
        }
    }

    const fn weights(&self) -> Option<(usize, Filter<'a, F16>)> {
        match self.what {
            What::Conv(geometry, weights) | What::DepthwiseConv(geometry, weights) => {
                Some((geometry.output().pixels(), weights.filter))
            }
            What::PointwiseConv(pixels, weights) => Some((pixels, weights.filter)),
            What::FullyConnected(weights) => Some((1, weights.filter)),
            _ => None,
        }
    }

    pub(super) fn prove_weights(&self) -> Result<(), OpFault> {
        match self.weights() {
            Some((_, filter)) if !filter.is_sound() => Err(OpFault::Weights),
            _ => Ok(()),
        }
    }

    pub(super) const fn parameters(&self) -> (usize, usize) {
        match self.weights() {
            Some((_, filter)) => (filter.channels() * filter.depth(), filter.channels()),
            None => (0, 0),
        }
    }

    pub(super) fn macs(&self) -> u64 {
        self.weights().map_or(0, |(pixels, filter)| product(pixels, filter))
    }
}

impl<'a> Weights<'a> {
    fn decode(record: &Record<'_, 'a>, channels: usize, depth: usize) -> Result<Self, OpFault> {
        let layout = Layout::from_code(record.op.layout)?;
        if layout == Layout::WOVEN {
            return Err(OpFault::Shape(ShapeError::Layout));
        }
        let weights = bytemuck::try_cast_slice(record.weights()?).map_err(|_| OpFault::Weights)?;
        let bias = record.table::<f32>(record.op.bias_offset, channels)?;
        if !record.proven && !bias.iter().all(|bias| bias.is_finite()) {
            return Err(OpFault::Number);
        }
        Ok(Self {
            filter: Filter::<F16>::new(weights, layout, channels, depth)?,
            epilogue: EpilogueF16 { bias, clamp: clamp(record)? },
        })
    }
}

/// The first two numbers.
#[allow(clippy::cast_sign_loss, reason = "f32 bits are stored as i32")]
fn clamp(record: &Record<'_, '_>) -> Result<ClampF16, OpFault> {
    let bound = |bits: i32| f32::from_bits(bits as u32);
    let clamp = ClampF16 { min: bound(record.number::<0>()), max: bound(record.number::<1>()) };
    clamp.check().map_err(|_| OpFault::Number)?;
    Ok(clamp)
}

/// Zero halves are zero bytes, so that padding works on bytes: twice the channels.
fn decode_pad<'a>(record: &Record<'_, '_>) -> Result<What<'a>, OpFault> {
    let (input, output) = record.shapes();
    let [top, left] = record.op.pad.map(usize::from);
    let fits = top + input.height <= output.height && left + input.width <= output.width;
    let bytes = |shape: Shape| Shape { channels: 2 * shape.channels, ..shape };
    let shapes = [bytes(input), bytes(output)];
    let sound = shapes.iter().all(|shape| shape.checked_len().is_some());
    if !fits || !sound || input.channels != output.channels {
        return Err(OpFault::Shape(ShapeError::Extent));
    }
    Ok(What::Pad(shapes, [top, left]))
}

/// The whole input of a window.
fn rows<'a>(input: &'a [i8], geometry: &Geometry) -> Result<Rows<'a, F16>, ShapeError> {
    Rows::whole(cast(input)?, geometry.input())
}

/// Bytes of the arena as halves; a session has checked that they lie on even addresses.
fn cast<T: AnyBitPattern>(bytes: &[i8]) -> Result<&[T], ShapeError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| ShapeError::InputLen)
}

/// See [`cast`].
fn cast_mut<T: AnyBitPattern + NoUninit>(bytes: &mut [i8]) -> Result<&mut [T], ShapeError> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| ShapeError::OutputLen)
}
