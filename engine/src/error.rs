//! What can be wrong, and where.

use crate::format::{Numerics, VERSION_MAJOR};
use core::fmt;
use mote_kernels::ShapeError;

/// Why a blob was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer bytes than a header or than the header says.
    Truncated {
        /// Bytes that the blob should have.
        expected: u32,
        /// Bytes that are there.
        found: u32,
    },
    /// The blob does not start on a 16-byte boundary.
    Misaligned,
    /// The first bytes are not `MOTE`.
    Magic,
    /// The blob was written by a newer version of Mote.
    Version {
        /// Major version of the blob.
        major: u16,
        /// Minor version of the blob.
        minor: u16,
    },
    /// The bytes are not the ones that were written.
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// A field of the header has no meaning in this version, or names a contract that this program
    /// was built without.
    Header {
        /// Byte offset of the field.
        offset: u32,
    },
    /// A section lies outside the blob, is misaligned or is no whole number of records.
    Section {
        /// Byte offset, in the header, of the section's place.
        header_offset: u32,
    },
    /// Tensor `index` is not sound.
    Tensor {
        /// Index of the record.
        index: u16,
        /// What is wrong.
        fault: TensorFault,
    },
    /// Operation `index` is not sound.
    Op {
        /// Index of the record.
        index: u16,
        /// What is wrong.
        fault: OpFault,
    },
    /// The metadata entry at `offset` of its section is not sound.
    Metadata {
        /// Byte offset in the section.
        offset: u32,
    },
}

/// What is wrong with a tensor record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TensorFault {
    /// An extent is zero or too large.
    Shape,
    /// The element type is unknown.
    Element,
    /// The scale is not a positive finite number, or not that of halves, 1 without a zero point.
    Scale,
    /// The window leaves the arena.
    Window,
    /// `last_use` is not the last operation that reads it.
    LastUse,
    /// The window overlaps that of another tensor that is needed at the same time.
    Overlap {
        /// The other tensor.
        with: u16,
    },
}

/// What is wrong with an operation record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpFault {
    /// The kind is unknown in this version, or this program was built without its feature.
    Kind {
        /// The code found.
        code: u16,
    },
    /// An input is not the network's input or the output of an earlier operation.
    Input,
    /// A tensor does not have the element type that the kind reads or writes.
    Element,
    /// Shapes, window or lengths do not go together.
    Shape(ShapeError),
    /// The weights lie outside their section, the tails of their blocks are not zero, or
    /// one is beyond what its layout can say, or not finite.
    Weights,
    /// A per-channel table lies outside its section or is misaligned.
    Parameters,
    /// A number is out of the range of its meaning.
    Number,
    /// The scratch leaves the arena, overlaps a tensor in use or is too small.
    Scratch,
    /// This operation cannot work in place here.
    InPlace,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { expected, found } => write!(
                f,
                "the blob is truncated: {found} of {expected} bytes; copy or convert it again"
            ),
            Self::Misaligned => {
                f.write_str("the blob does not start on a 16-byte boundary; use include_model!")
            }
            Self::Magic => f.write_str("this is not a Mote blob; make one with `mote quantize`"),
            Self::Version { major, minor } => write!(
                f,
                "the blob has format {major}.{minor}, this engine reads up to {VERSION_MAJOR}.x; \
                 update Mote or convert the model again with this version"
            ),
            Self::Checksum { expected, found } => write!(
                f,
                "the blob is damaged: checksum {found:08x} instead of {expected:08x}; \
                 copy or convert it again"
            ),
            Self::Header { offset } => {
                write!(f, "header field at byte {offset} has no meaning; convert the model again")
            }
            Self::Section { header_offset } => write!(
                f,
                "the section named at byte {header_offset} of the header lies outside the blob; \
                 convert the model again"
            ),
            Self::Tensor { index, fault } => write!(f, "tensor {index}: {fault}"),
            Self::Op { index, fault } => write!(f, "operation {index}: {fault}"),
            Self::Metadata { offset } => {
                write!(f, "metadata entry at byte {offset} is not sound; convert the model again")
            }
        }
    }
}

impl fmt::Display for TensorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Shape => f.write_str("an extent is zero or too large"),
            Self::Element => f.write_str("unknown element type"),
            Self::Scale => {
                f.write_str("the scale is not a positive finite number, or not 1 for f16")
            }
            Self::Window => f.write_str("its window leaves the arena"),
            Self::LastUse => f.write_str("its last use is not the last operation that reads it"),
            Self::Overlap { with } => {
                write!(f, "its window overlaps that of tensor {with} while both are needed")
            }
        }
    }
}

impl fmt::Display for OpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kind { code } => write!(
                f,
                "kind {code} is unknown or not linked; update Mote or turn on its feature"
            ),
            Self::Input => f.write_str("an input is not made by an earlier operation"),
            Self::Element => f.write_str("a tensor has another element type than its kind takes"),
            Self::Shape(error) => error.fmt(f),
            Self::Weights => f.write_str(
                "its weights lie outside their section, or some are not what their layout allows",
            ),
            Self::Parameters => f.write_str("a per-channel table lies outside its section"),
            Self::Number => f.write_str("a number is out of range"),
            Self::Scratch => f.write_str("its scratch is too small or overlaps a tensor in use"),
            Self::InPlace => f.write_str("it cannot work in place here"),
        }
    }
}

impl core::error::Error for ParseError {}

impl From<ShapeError> for OpFault {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}

/// Why a session was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PlanError {
    /// The arena is smaller than the plan.
    ArenaTooSmall {
        /// Bytes that the model needs.
        needed: u32,
        /// Bytes that the arena has.
        found: u32,
    },
    /// The arena does not start on an even address, as halves want it, or on a 16-byte boundary, as
    /// kernels without scalar ones beside them do.
    ArenaMisaligned,
    /// The kernels leave an operation to scalar ones, and this program was built without those.
    NotPacked {
        /// Index of the operation.
        op: u16,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ArenaTooSmall { needed, found } => write!(
                f,
                "the arena has {found} bytes, the model needs {needed}; \
                 declare it as Arena<{{ model::ARENA_BYTES }}>"
            ),
            Self::ArenaMisaligned => {
                f.write_str("the arena does not start on the boundary that its operations take; declare it as Arena<..>")
            }
            Self::NotPacked { op } => write!(
                f,
                "operation {op} is not packed for this machine, and the scalar kernels are not \
                 linked; convert the model with the machine's --target, or turn on feature `fallback`"
            ),
        }
    }
}

impl core::error::Error for PlanError {}

/// The system gives no more threads; fewer may do.
#[cfg(feature = "threads")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadsError;

#[cfg(feature = "threads")]
impl fmt::Display for ThreadsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system gives no more threads; ask for fewer")
    }
}

#[cfg(feature = "threads")]
impl core::error::Error for ThreadsError {}

/// Why an input was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RunError {
    /// The input does not have the network's length.
    InputLen {
        /// Values that the network takes.
        expected: u32,
        /// Values given.
        found: u32,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InputLen { expected, found } => {
                write!(f, "the input has {found} values, the network takes {expected}")
            }
        }
    }
}

impl core::error::Error for RunError {}

impl fmt::Display for Numerics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
