//! `Blob -> Model`: proves every shape, table, packing length and plan window once.

use crate::blob::{Blob, saturating_u32};
use crate::error::{OpFault, ParseError, TensorFault};
use crate::format::{self, ElementType, MetadataKey, NO_TENSOR, Numerics, OpKind};
use crate::ops::Op;
use core::ops::Range;
use mote_kernels::{Clamp, ClampF16, F16, Isa, Shape, round_half_even};

/// A network that borrows everything from its blob. A `Model` is a proof: every operation it
/// yields can be run in an arena of [`arena_bytes`](Self::arena_bytes) without another check.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    blob: Blob<'a>,
}

impl<'a> Model<'a> {
    /// Parses and proves a blob.
    ///
    /// # Errors
    /// [`ParseError`] naming the record that is not sound.
    // Its frame is gone before a session runs.
    #[inline(never)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let model = Self { blob: Blob::parse(bytes)? };
        model.prove()?;
        Ok(model)
    }

    /// The blob.
    #[must_use]
    pub const fn blob(&self) -> &Blob<'a> {
        &self.blob
    }

    /// Bytes of arena that a session needs.
    #[must_use]
    pub const fn arena_bytes(&self) -> usize {
        self.blob.arena_bytes()
    }

    /// The contract the blob was made for.
    #[must_use]
    pub const fn numerics(&self) -> Numerics {
        self.blob.numerics()
    }

    /// Bytes that the per-channel tables take for one channel: bias, multiplier and shift, or
    /// bias and scale.
    #[must_use]
    pub const fn channel_bytes(&self) -> usize {
        match self.numerics() {
            Numerics::Tflite => 9,
            Numerics::Fp32 => 8,
        }
    }

    /// Number of operations.
    #[must_use]
    pub const fn op_count(&self) -> usize {
        self.blob.ops().len()
    }

    /// Operation `index`, decoded; `None` past the end.
    #[must_use]
    pub fn op(&self, index: usize) -> Option<Op<'a>> {
        Op::decode(&self.blob, index, true).ok()
    }

    /// The first operation that the kernels of a microcontroller's `isa` leave to scalar code, which is
    /// linked by feature `fallback`: packed for another machine, or of a kind that they are not written
    /// for. None for every other instruction set.
    #[must_use]
    pub fn first_not_taken(&self, isa: Isa) -> Option<usize> {
        (0..self.op_count())
            .find(|&index| Op::decode(&self.blob, index, true).is_ok_and(|op| !op.is_taken(isa)))
    }

    /// Kind of operation `index`.
    #[must_use]
    pub fn kind(&self, index: usize) -> Option<OpKind> {
        OpKind::from_code(self.blob.ops().get(index)?.kind)
    }

    /// Number of tensors: the input and one output an operation.
    #[must_use]
    pub const fn tensor_count(&self) -> usize {
        self.blob.tensors().len()
    }

    /// Tensor `index`: 0 is the network's input, `i + 1` the output of operation `i`.
    #[must_use]
    pub fn tensor(&self, index: usize) -> Option<TensorView> {
        self.blob.tensors().get(index).map(TensorView::new)
    }

    /// The network's input.
    #[must_use]
    pub fn input(&self) -> TensorView {
        self.tensor(0).unwrap_or(TensorView::NOTHING)
    }

    /// The network's output.
    #[must_use]
    pub fn output(&self) -> TensorView {
        self.tensor(self.op_count()).unwrap_or(TensorView::NOTHING)
    }

    /// Name of tensor `index`, which is also the name of the operation that writes it.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&'a str> {
        self.blob.metadata(MetadataKey::Names)?.lines().nth(index)
    }

    /// Name of class `index`.
    #[must_use]
    pub fn label(&self, index: usize) -> Option<&'a str> {
        self.blob.metadata(MetadataKey::Labels)?.lines().nth(index)
    }

    /// Whether some of its tensors are halves.
    #[must_use]
    pub fn has_halves(&self) -> bool {
        self.blob.tensors().iter().any(|tensor| tensor.element == ElementType::F16.code())
    }

    fn prove(&self) -> Result<(), ParseError> {
        let mut families = 0_u32;
        for (index, tensor) in self.blob.tensors().iter().enumerate() {
            self.prove_tensor(tensor)
                .map_err(|fault| ParseError::Tensor { index: small(index), fault })?;
        }
        for (index, record) in self.blob.ops().iter().enumerate() {
            self.prove_inputs(index, record)
                .and_then(|()| Op::decode(&self.blob, index, false))
                .and_then(|op| {
                    families |= 1_u32.wrapping_shl(u32::from(record.kind));
                    op.prove_weights()?;
                    self.prove_scratch(index, record, &op)
                })
                .map_err(|fault| ParseError::Op { index: small(index), fault })?;
        }
        if families != self.blob.families() {
            return Err(ParseError::Header {
                offset: saturating_u32(core::mem::offset_of!(format::Header, families)),
            });
        }
        self.prove_lifetimes()
    }

    fn prove_tensor(&self, tensor: &format::Tensor) -> Result<(), TensorFault> {
        let view = TensorView::new(tensor);
        let len = view.shape.checked_len().ok_or(TensorFault::Shape)?;
        let element = ElementType::from_code(tensor.element).ok_or(TensorFault::Element)?;
        let sound = match element {
            ElementType::I8 => tensor.scale.is_finite() && tensor.scale > 0.0,
            ElementType::F16 => tensor.scale == 1.0 && tensor.zero_point == 0,
        };
        if !sound {
            return Err(TensorFault::Scale);
        }
        let bytes = len.checked_mul(element.bytes()).ok_or(TensorFault::Window)?;
        let aligned = view.offset.is_multiple_of(format::ALIGNMENT);
        match view.offset.checked_add(bytes) {
            Some(end) if aligned && end <= self.arena_bytes() => Ok(()),
            _ => Err(TensorFault::Window),
        }
    }

    /// Operation `i` reads tensors up to `i` and writes tensor `i + 1`, so that order and
    /// definition need no further field.
    fn prove_inputs(&self, index: usize, record: &format::Op) -> Result<(), OpFault> {
        let kind = OpKind::from_code(record.kind).ok_or(OpFault::Kind { code: record.kind })?;
        let [first, second] = record.inputs;
        let binary = kind.is_binary();
        if usize::from(first) > index
            || (binary && usize::from(second) > index)
            || (!binary && second != NO_TENSOR)
        {
            return Err(OpFault::Input);
        }
        Ok(())
    }

    fn prove_scratch(&self, index: usize, record: &format::Op, op: &Op<'_>) -> Result<(), OpFault> {
        let scratch = op.scratch();
        if scratch.is_empty() {
            // Most kinds have no use for scratch, and then no window that is checked here.
            return if record.scratch_bytes == 0 { Ok(()) } else { Err(OpFault::Scratch) };
        }
        if scratch.end > self.arena_bytes() || !scratch.start.is_multiple_of(format::ALIGNMENT) {
            return Err(OpFault::Scratch);
        }
        let in_use = (0..self.tensor_count())
            .filter(|&tensor| self.is_live(tensor, index))
            .filter_map(|tensor| self.tensor(tensor))
            .any(|tensor| overlap(&tensor.window(), &scratch));
        if in_use { Err(OpFault::Scratch) } else { Ok(()) }
    }

    /// Whether tensor `tensor` holds something while operation `op` runs.
    fn is_live(&self, tensor: usize, op: usize) -> bool {
        let Some(record) = self.blob.tensors().get(tensor) else { return false };
        tensor <= op + 1 && usize::from(record.last_use) >= op
    }

    fn prove_lifetimes(&self) -> Result<(), ParseError> {
        let fault = |index: usize, fault| Err(ParseError::Tensor { index: small(index), fault });
        let (tensors, ops) = (self.blob.tensors(), self.blob.ops());
        for (index, tensor) in tensors.iter().enumerate() {
            let readers = ops
                .iter()
                .enumerate()
                .filter(|(_, op)| op.inputs.iter().any(|&input| usize::from(input) == index));
            let last = if index == ops.len() {
                // The output is read by the caller.
                Some(ops.len())
            } else {
                readers.map(|(reader, _)| reader).next_back()
            };
            if last != Some(usize::from(tensor.last_use)) {
                return fault(index, TensorFault::LastUse);
            }
            let window = TensorView::new(tensor).window();
            for (earlier, other) in tensors.iter().enumerate().take(index) {
                // Tensor `index` is written by operation `index - 1`.
                let writer = index - 1;
                let needed = usize::from(other.last_use) >= writer;
                if needed && overlap(&window, &TensorView::new(other).window()) {
                    let in_place = ops.get(writer).is_some_and(|op| {
                        op.flags & format::IN_PLACE != 0
                            && usize::from(op.inputs[0]) == earlier
                            && usize::from(other.last_use) == writer
                            && tensor.offset == other.offset
                    });
                    if !in_place {
                        return fault(index, TensorFault::Overlap { with: small(earlier) });
                    }
                }
            }
        }
        Ok(())
    }
}

/// An activation tensor and its place in the arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorView {
    /// `[height, width, channels]`.
    pub shape: Shape,
    /// Byte offset in the arena.
    pub offset: usize,
    /// How its values are stored.
    pub element: ElementType,
    /// Real value of one step.
    pub scale: f32,
    /// Stored value of real zero.
    pub zero_point: i8,
    /// Index of the last operation that reads it.
    pub last_use: usize,
}

impl TensorView {
    pub(crate) const NOTHING: Self = Self {
        shape: Shape::new(0, 0, 0),
        offset: 0,
        element: ElementType::I8,
        scale: 1.0,
        zero_point: 0,
        last_use: 0,
    };

    pub(crate) fn new(tensor: &format::Tensor) -> Self {
        Self {
            shape: Shape::new(
                tensor.height as usize,
                tensor.width as usize,
                tensor.channels as usize,
            ),
            offset: tensor.offset as usize,
            // What it is not, `prove_tensor` refuses.
            element: ElementType::from_code(tensor.element).unwrap_or(ElementType::I8),
            scale: tensor.scale,
            zero_point: tensor.zero_point,
            last_use: usize::from(tensor.last_use),
        }
    }

    /// Number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.shape.checked_len() {
            Some(len) => len,
            None => 0,
        }
    }

    /// Whether there are no values; never true for a tensor of a parsed model.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes in the arena.
    #[must_use]
    pub const fn window(&self) -> Range<usize> {
        self.offset..self.offset.saturating_add(self.bytes())
    }

    /// Number of bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.len().saturating_mul(self.element.bytes())
    }

    /// The real value of the int8 `value`.
    #[must_use]
    pub fn dequantize(&self, value: i8) -> f32 {
        f32::from(i16::from(value) - i16::from(self.zero_point)) * self.scale
    }

    /// The real values of `stored`, bytes of this tensor.
    pub fn reals<'s>(&self, stored: &'s [i8]) -> impl Iterator<Item = f32> + use<'s> {
        let tensor = *self;
        stored.chunks_exact(tensor.element.bytes()).map(move |bytes| match *bytes {
            [low, high] => {
                F16::from_bits(u16::from_le_bytes([low.cast_unsigned(), high.cast_unsigned()]))
                    .to_f32()
            }
            _ => tensor.dequantize(bytes.first().copied().unwrap_or(tensor.zero_point)),
        })
    }

    /// Stores `reals` into `to`, bytes of this tensor: int8 nearest and saturated, ties to even, or the
    /// nearest half.
    pub fn store(&self, reals: impl IntoIterator<Item = f32>, to: &mut [i8]) {
        for (to, real) in to.chunks_exact_mut(self.element.bytes()).zip(reals) {
            match to {
                [low, high] => {
                    let bits = ClampF16::NONE.apply(real).to_bits().to_le_bytes();
                    [*low, *high] = bits.map(u8::cast_signed);
                }
                to => {
                    let steps = round_half_even(real / self.scale);
                    let stored = Clamp::NONE.apply(steps + i32::from(self.zero_point));
                    to.fill(stored);
                }
            }
        }
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn small(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}
