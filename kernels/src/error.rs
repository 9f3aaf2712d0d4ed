//! What can be wrong with the arguments of a kernel.

use core::fmt;

/// A mismatch between slices and shapes, found before a kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ShapeError {
    /// An extent, stride, dilation or padding is zero or out of range.
    Extent,
    /// A window lies wholly outside the input.
    Window,
    /// The input slice does not hold the input shape.
    InputLen,
    /// The output slice does not hold the output rows.
    OutputLen,
    /// The packed weights do not have the length that shape and layout give.
    FilterLen,
    /// A per-channel table does not have one entry a channel.
    ParameterLen,
    /// The layout is not one of power-of-two blocks.
    Layout,
    /// The channels of input and output do not go together.
    Channels,
    /// An operation in place has no room for the rows under its window.
    Scratch,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extent => "an extent, stride, dilation or padding is zero or out of range",
            Self::Window => "a window lies wholly outside the input",
            Self::InputLen => "the input slice does not hold the input shape",
            Self::OutputLen => "the output slice does not hold the output rows",
            Self::FilterLen => "the packed weights do not have the length of their layout",
            Self::ParameterLen => "a per-channel table does not have one entry a channel",
            Self::Layout => "the weight layout is not made of power-of-two blocks",
            Self::Channels => "the channels of input and output do not go together",
            Self::Scratch => "an operation in place has no room for the rows under its window",
        })
    }
}

impl core::error::Error for ShapeError {}
