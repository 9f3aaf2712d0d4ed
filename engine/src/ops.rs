//! Operations: a record decoded into checked kernel operands, and run.
//!
//! Decoding is the proof and the preparation at once: [`Model::parse`](crate::Model::parse)
//! decodes every record to show that it can be, a session decodes it again to run it.

mod elementwise;
#[cfg(feature = "half")]
mod half;
mod pool;
mod softmax;
mod weighted;

use crate::blob::Blob;
use crate::error::OpFault;
use crate::format::{self, IN_PLACE, OpKind};
use crate::model::TensorView;
use core::ops::Range;
use mote_kernels::{Clamp, Filter, Geometry, Isa, Kernels, Shape, ShapeError, Window};

pub use elementwise::{Add, Clamped, Lookup, Pad};
#[cfg(feature = "half")]
pub use half::HalfOp;
pub use pool::{GlobalPool, Pool};
pub use softmax::Softmax;
pub use weighted::{Matrix, Windowed};

/// A decoded operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Op<'a> {
    /// Convolution.
    Conv(Windowed<'a>),
    /// 1x1 convolution.
    PointwiseConv(Matrix<'a>),
    /// Depthwise convolution.
    DepthwiseConv(Windowed<'a>),
    /// Fully connected.
    FullyConnected(Matrix<'a>),
    /// Addition.
    Add(Add),
    /// Average pooling.
    AvgPool(Pool),
    /// Maximum pooling.
    MaxPool(Pool),
    /// Global average pooling.
    GlobalAvgPool(GlobalPool),
    /// Softmax.
    Softmax(Softmax),
    /// Padding.
    Pad(Pad),
    /// Activation clamp.
    Clamp(Clamped),
    /// Element-wise function by table.
    Lookup(Lookup<'a>),
    /// An operation on halves.
    #[cfg(feature = "half")]
    Half(HalfOp<'a>),
}

impl<'a> Op<'a> {
    /// `proven` when it was decoded before: the numbers of every channel are then known to be
    /// sound.
    pub(crate) fn decode(blob: &Blob<'a>, index: usize, proven: bool) -> Result<Self, OpFault> {
        let record = Record::new(blob, index, proven)?;
        // What is not linked leaves no code behind: a guard is a constant.
        Ok(match record.kind {
            OpKind::Conv if OpKind::Conv.is_linked() => Self::Conv(Windowed::decode(&record)?),
            OpKind::PointwiseConv if OpKind::PointwiseConv.is_linked() => {
                Self::PointwiseConv(Matrix::decode_pointwise(&record)?)
            }
            OpKind::DepthwiseConv if OpKind::DepthwiseConv.is_linked() => {
                Self::DepthwiseConv(Windowed::decode(&record)?)
            }
            OpKind::FullyConnected if OpKind::FullyConnected.is_linked() => {
                Self::FullyConnected(Matrix::decode_fully_connected(&record)?)
            }
            OpKind::Add if OpKind::Add.is_linked() => Self::Add(Add::decode(&record)?),
            OpKind::AvgPool if OpKind::AvgPool.is_linked() => Self::AvgPool(Pool::decode(&record)?),
            OpKind::MaxPool if OpKind::MaxPool.is_linked() => Self::MaxPool(Pool::decode(&record)?),
            OpKind::GlobalAvgPool if OpKind::GlobalAvgPool.is_linked() => {
                Self::GlobalAvgPool(GlobalPool::decode(&record)?)
            }
            OpKind::Softmax if OpKind::Softmax.is_linked() => {
                Self::Softmax(Softmax::decode(&record)?)
            }
            OpKind::Pad if OpKind::Pad.is_linked() => Self::Pad(Pad::decode(&record)?),
            OpKind::Clamp if OpKind::Clamp.is_linked() => Self::Clamp(Clamped::decode(&record)?),
            OpKind::Lookup if OpKind::Lookup.is_linked() => Self::Lookup(Lookup::decode(&record)?),
            #[cfg(feature = "half")]
            half if half.is_linked() => Self::Half(HalfOp::decode(&record, half)?),
            _ => return Err(OpFault::Kind { code: record.op.kind }),
        })
    }

    /// Runs in `arena`. A parsed model never yields an error here; a caller that has one anyway
    /// sees which operand did not fit.
    #[inline(never)]
    pub(crate) fn run(&self, kernels: &Kernels, arena: &mut [i8]) -> Result<(), ShapeError> {
        match self {
            Self::Conv(op) if OpKind::Conv.is_linked() => op.run(kernels, arena),
            Self::PointwiseConv(op) if OpKind::PointwiseConv.is_linked() => {
                op.run_pointwise(kernels, arena)
            }
            Self::DepthwiseConv(op) if OpKind::DepthwiseConv.is_linked() => {
                op.run_depthwise(kernels, arena)
            }
            Self::FullyConnected(op) if OpKind::FullyConnected.is_linked() => {
                op.run_fully_connected(kernels, arena)
            }
            Self::Add(op) if OpKind::Add.is_linked() => op.run(kernels, arena),
            Self::AvgPool(op) if OpKind::AvgPool.is_linked() => op.run_average(kernels, arena),
            Self::MaxPool(op) if OpKind::MaxPool.is_linked() => op.run_max(kernels, arena),
            Self::GlobalAvgPool(op) if OpKind::GlobalAvgPool.is_linked() => op.run(kernels, arena),
            Self::Softmax(op) if OpKind::Softmax.is_linked() => op.run(kernels, arena),
            Self::Pad(op) if OpKind::Pad.is_linked() => op.run(kernels, arena),
            Self::Clamp(op) if OpKind::Clamp.is_linked() => op.run(kernels, arena),
            Self::Lookup(op) if OpKind::Lookup.is_linked() => op.run(kernels, arena),
            #[cfg(feature = "half")]
            Self::Half(op) => op.run(kernels, arena),
            _ => Ok(()),
        }
    }

    /// Where it works, and the parts that its output may be computed in, each for itself: operations
    /// whose work is worth several threads.
    #[cfg(feature = "threads")]
    pub(crate) const fn shared(&self) -> Option<(&Place, Parts)> {
        Some(match self {
            Self::Conv(op) => (&op.place, Parts::Rows(op.geometry.output().height)),
            Self::DepthwiseConv(op) => (&op.place, Parts::Rows(op.geometry.output().height)),
            Self::PointwiseConv(op) => (&op.place, Parts::Pixels(op.pixels)),
            #[cfg(feature = "half")]
            Self::Half(op) => return op.shared(),
            _ => return None,
        })
    }

    /// Runs an operation of [`shared`](Self::shared) on part of its output, from `first_row` on; of
    /// one that goes by pixels the input is a part as well.
    #[cfg(feature = "threads")]
    pub(crate) fn run_part(
        &self,
        kernels: &Kernels,
        windows: Windows<'_>,
        first_row: usize,
    ) -> Result<(), ShapeError> {
        match self {
            Self::Conv(op) => op.run_rows(kernels, windows, first_row),
            Self::DepthwiseConv(op) => op.run_depthwise_rows(kernels, windows, first_row),
            Self::PointwiseConv(op) => op.run_pixels(kernels, windows),
            #[cfg(feature = "half")]
            Self::Half(op) => op.run_rows(kernels, windows, first_row),
            _ => Ok(()),
        }
    }

    /// Its scratch in the arena; empty for most.
    #[must_use]
    pub const fn scratch(&self) -> Range<usize> {
        match self {
            Self::Conv(op) => op.place.scratch(),
            Self::DepthwiseConv(op) => op.place.scratch(),
            Self::PointwiseConv(op) | Self::FullyConnected(op) => op.place.scratch(),
            #[cfg(feature = "half")]
            Self::Half(op) => op.scratch(),
            _ => 0..0,
        }
    }

    /// Whether the kernels of `isa` compute it without scalar code.
    pub(crate) fn is_taken(&self, isa: Isa) -> bool {
        let scratch = self.scratch().len();
        match self {
            Self::Conv(op) => op.is_taken(isa, scratch),
            Self::DepthwiseConv(op) => op.is_taken_depthwise(isa, scratch),
            Self::PointwiseConv(op) => op.is_taken_pointwise(isa, scratch),
            Self::FullyConnected(op) => op.is_taken_fully_connected(isa, scratch),
            // The other cells leave nothing to scalar code that is not linked with them.
            _ => true,
        }
    }

    /// Its packed weights.
    const fn filter(&self) -> Option<&Filter<'a>> {
        match self {
            Self::Conv(op) => Some(&op.filter),
            Self::DepthwiseConv(op) => Some(&op.filter),
            Self::PointwiseConv(op) | Self::FullyConnected(op) => Some(&op.filter),
            _ => None,
        }
    }

    /// What decoding leaves unchecked because it takes a look at every weight.
    pub(crate) fn prove_weights(&self) -> Result<(), OpFault> {
        match self.filter() {
            Some(filter) if !filter.tails_are_zero() || !filter.weights_are_in_range() => {
                Err(OpFault::Weights)
            }
            None => match self {
                #[cfg(feature = "half")]
                Self::Half(op) => op.prove_weights(),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Its numbers of weights and of channels with a bias; 0 for operations without weights.
    #[must_use]
    pub const fn parameters(&self) -> (usize, usize) {
        match (self.filter(), self) {
            (Some(filter), _) => (filter.channels() * filter.depth(), filter.channels()),
            #[cfg(feature = "half")]
            (None, Self::Half(op)) => op.parameters(),
            (None, _) => (0, 0),
        }
    }

    /// Multiply-accumulates of one run; 0 for operations without weights.
    #[must_use]
    pub fn macs(&self) -> u64 {
        match self {
            Self::Conv(op) => product(op.geometry.output().pixels(), op.filter),
            Self::PointwiseConv(op) => product(op.pixels, op.filter),
            Self::FullyConnected(op) => product(1, op.filter),
            Self::DepthwiseConv(op) => product(op.geometry.output().pixels(), op.filter),
            #[cfg(feature = "half")]
            Self::Half(op) => op.macs(),
            _ => 0,
        }
    }
}

fn product<T: Copy>(pixels: usize, filter: Filter<'_, T>) -> u64 {
    (pixels as u64) * (filter.channels() as u64) * (filter.depth() as u64)
}

/// What an operation's output is made of.
#[cfg(feature = "threads")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parts {
    /// So many rows, each of which reads several of the input.
    Rows(usize),
    /// So many pixels, each of which reads one of the input.
    Pixels(usize),
}

/// The windows of a [`Place`] as slices.
pub(crate) struct Windows<'s> {
    pub(crate) input: &'s [i8],
    pub(crate) output: &'s mut [i8],
    pub(crate) scratch: &'s mut [i8],
}

/// First input, when it lies apart, second input, and output.
type Binary<'s> = (Option<&'s [i8]>, &'s [i8], &'s mut [i8]);

/// Arena windows of an operation with one input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    input: (usize, usize),
    output: (usize, usize),
    scratch: (usize, usize),
    in_place: bool,
}

impl Place {
    /// [`split`](Self::split), where the output takes the place of the input with a copy of the input,
    /// for which `copy` must have room.
    #[cfg(feature = "threads")]
    pub(crate) fn split_from<'s>(
        &self,
        arena: &'s mut [i8],
        copy: &'s mut [i8],
    ) -> Result<Windows<'s>, ShapeError> {
        if !self.in_place {
            return self.split(arena);
        }
        let source = arena.get(self.input.0..self.input.1).ok_or(ShapeError::InputLen)?;
        let input = copy.get_mut(..source.len()).ok_or(ShapeError::InputLen)?;
        input.copy_from_slice(source);
        let [output, scratch] = arena
            .get_disjoint_mut([self.output.0..self.output.1, self.scratch()])
            .map_err(|_| ShapeError::OutputLen)?;
        Ok(Windows { input, output, scratch })
    }

    /// Bytes of the copy that [`split_from`](Self::split_from) makes.
    #[cfg(feature = "threads")]
    pub(crate) const fn copy_bytes(&self) -> usize {
        if self.in_place { self.input.1 - self.input.0 } else { 0 }
    }

    const fn scratch(&self) -> Range<usize> {
        self.scratch.0..self.scratch.1
    }

    /// Input, output and scratch as slices, the output apart from the input.
    fn split<'s>(&self, arena: &'s mut [i8]) -> Result<Windows<'s>, ShapeError> {
        let windows = [self.input.0..self.input.1, self.output.0..self.output.1, self.scratch()];
        let [input, output, scratch] =
            arena.get_disjoint_mut(windows).map_err(|_| ShapeError::InputLen)?;
        Ok(Windows { input, output, scratch })
    }

    /// Input, when it lies apart, and output.
    fn split_elementwise<'s>(
        &self,
        arena: &'s mut [i8],
    ) -> Result<(Option<&'s [i8]>, &'s mut [i8]), ShapeError> {
        if self.in_place {
            let output =
                arena.get_mut(self.output.0..self.output.1).ok_or(ShapeError::OutputLen)?;
            return Ok((None, output));
        }
        let Windows { input, output, .. } = self.split(arena)?;
        Ok((Some(input), output))
    }

    /// Both inputs, the second one at `rhs`, and the output.
    fn split_binary<'s>(
        &self,
        arena: &'s mut [i8],
        rhs: (usize, usize),
    ) -> Result<Binary<'s>, ShapeError> {
        let [lhs, rhs, output] = [self.input, rhs, self.output].map(|(start, end)| start..end);
        let overlap = |_| ShapeError::InputLen;
        if self.in_place {
            let [rhs, output] = arena.get_disjoint_mut([rhs, output]).map_err(overlap)?;
            Ok((None, rhs, output))
        } else if lhs == rhs {
            // A map added to itself.
            let [input, output] = arena.get_disjoint_mut([rhs, output]).map_err(overlap)?;
            let input: &[i8] = input;
            Ok((Some(input), input, output))
        } else {
            let [lhs, rhs, output] = arena.get_disjoint_mut([lhs, rhs, output]).map_err(overlap)?;
            Ok((Some(lhs), rhs, output))
        }
    }
}

/// A record with the tensors it names.
pub(crate) struct Record<'b, 'a> {
    blob: &'b Blob<'a>,
    op: &'a format::Op,
    kind: OpKind,
    input: TensorView,
    output: TensorView,
    proven: bool,
}

impl<'b, 'a> Record<'b, 'a> {
    fn new(blob: &'b Blob<'a>, index: usize, proven: bool) -> Result<Self, OpFault> {
        let op = blob.ops().get(index).ok_or(OpFault::Input)?;
        let tensor =
            |index: usize| blob.tensors().get(index).map(TensorView::new).ok_or(OpFault::Input);
        let (input, output) = (tensor(usize::from(op.inputs[0]))?, tensor(index + 1)?);
        let kind = OpKind::from_code(op.kind).ok_or(OpFault::Kind { code: op.kind })?;
        if (input.element, output.element) != kind.elements() {
            return Err(OpFault::Element);
        }
        Ok(Self { blob, op, kind, input, output, proven })
    }

    fn second_input(&self) -> Result<TensorView, OpFault> {
        let index = usize::from(self.op.inputs[1]);
        let second = self.blob.tensors().get(index).map(TensorView::new).ok_or(OpFault::Input)?;
        if second.element == self.input.element { Ok(second) } else { Err(OpFault::Element) }
    }

    fn in_place(&self) -> bool {
        self.op.flags & IN_PLACE != 0
    }

    /// Windows of an operation whose output may not share memory with its input.
    fn place_apart(&self) -> Result<Place, OpFault> {
        if self.in_place() { Err(OpFault::InPlace) } else { self.place() }
    }

    /// Windows of an element-wise operation: same length, and the same window when in place.
    fn place_elementwise(&self) -> Result<Place, OpFault> {
        if self.input.len() != self.output.len() {
            return Err(OpFault::Shape(ShapeError::InputLen));
        }
        if self.in_place() && self.input.offset != self.output.offset {
            return Err(OpFault::InPlace);
        }
        self.place()
    }

    fn place(&self) -> Result<Place, OpFault> {
        let start = self.op.scratch_offset as usize;
        let end = start.checked_add(self.op.scratch_bytes as usize).ok_or(OpFault::Scratch)?;
        let (input, output) = (self.input.window(), self.output.window());
        Ok(Place {
            input: (input.start, input.end),
            output: (output.start, output.end),
            scratch: if start == end { (0, 0) } else { (start, end) },
            in_place: self.in_place(),
        })
    }

    fn clamp(&self) -> Result<Clamp, OpFault> {
        let clamp = Clamp { min: self.op.clamp_min, max: self.op.clamp_max };
        if clamp.min <= clamp.max { Ok(clamp) } else { Err(OpFault::Number) }
    }

    fn geometry(&self) -> Result<Geometry, OpFault> {
        let op = self.op;
        let window = Window {
            kernel_height: usize::from(op.kernel[0]),
            kernel_width: usize::from(op.kernel[1]),
            stride_height: usize::from(op.stride[0]),
            stride_width: usize::from(op.stride[1]),
            dilation_height: usize::from(op.dilation[0]),
            dilation_width: usize::from(op.dilation[1]),
            pad_top: usize::from(op.pad[0]),
            pad_left: usize::from(op.pad[1]),
        };
        Ok(Geometry::new(self.input.shape, self.output.shape, window)?)
    }

    fn shapes(&self) -> (Shape, Shape) {
        (self.input.shape, self.output.shape)
    }

    fn weights(&self) -> Result<&'a [i8], OpFault> {
        let start = self.op.weights_offset as usize;
        start
            .checked_add(self.op.weights_bytes as usize)
            .and_then(|end| self.blob.weights().get(start..end))
            .ok_or(OpFault::Weights)
    }

    /// `count` entries of a per-channel table.
    fn table<T: bytemuck::Pod>(&self, offset: u32, count: usize) -> Result<&'a [T], OpFault> {
        let start = offset as usize;
        count
            .checked_mul(size_of::<T>())
            .and_then(|bytes| start.checked_add(bytes))
            .and_then(|end| self.blob.parameters().get(start..end))
            .and_then(|bytes| bytemuck::try_cast_slice(bytes).ok())
            .ok_or(OpFault::Parameters)
    }

    fn number<const I: usize>(&self) -> i32 {
        const { assert!(I < 12) };
        self.op.numbers[I]
    }

    /// Number `I` as a Q31 multiplier, which is never negative.
    fn multiplier<const I: usize>(&self) -> Result<i32, OpFault> {
        let multiplier = self.number::<I>();
        if multiplier < 0 { Err(OpFault::Number) } else { Ok(multiplier) }
    }

    /// Number `I`, which must lie in `min..=max`.
    fn small<const I: usize>(&self, min: i8, max: i8) -> Result<i8, OpFault> {
        i8::try_from(self.number::<I>())
            .ok()
            .filter(|value| (min..=max).contains(value))
            .ok_or(OpFault::Number)
    }
}

/// Shifts that a Q31 multiplier may come with.
const MIN_SHIFT: i8 = -31;
const MAX_SHIFT: i8 = 30;

#[allow(clippy::cast_sign_loss, reason = "f32 bits are stored as i32")]
fn real(bits: i32) -> Result<f32, OpFault> {
    let value = f32::from_bits(bits as u32);
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(OpFault::Number) }
}
