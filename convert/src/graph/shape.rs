//! Shapes and windows; padding is always explicit.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::ShapeError;

/// The most elements that a tensor of one picture may have: a gigabyte of floats.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// A tensor's shape without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Vec<usize>", try_from = "Vec<usize>")]
pub enum Shape {
    /// A feature map, `[height, width, channels]`.
    Map {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
    },
    /// A plain vector, `[channels]`.
    Vector(usize),
}

impl Shape {
    /// `[h, w, c]` or `[c]`.
    ///
    /// # Errors
    /// Any other rank, an axis of 0, or more than [`MAX_ELEMENTS`].
    pub fn from_dims(dims: &[usize]) -> Result<Self, ShapeError> {
        let shape = match *dims {
            [height, width, channels] => Self::Map { height, width, channels },
            [channels] => Self::Vector(channels),
            _ => return Err(ShapeError::Rank { dims: dims.to_vec() }),
        };
        shape.checked()
    }

    /// Itself, when no axis is empty and the size is bearable.
    ///
    /// # Errors
    /// An axis of 0, or more than [`MAX_ELEMENTS`].
    pub fn checked(self) -> Result<Self, ShapeError> {
        Self::product(&self.dims()).map(|_| self)
    }

    /// Number of elements of a tensor of any rank.
    pub(crate) fn product(dims: &[usize]) -> Result<usize, ShapeError> {
        let product = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        match product {
            Some(0) => Err(ShapeError::Empty { dims: dims.to_vec() }),
            Some(elements) if elements <= MAX_ELEMENTS => Ok(elements),
            _ => Err(ShapeError::TooLarge { dims: dims.to_vec() }),
        }
    }

    /// As a list.
    #[must_use]
    pub fn dims(self) -> Vec<usize> {
        match self {
            Self::Map { height, width, channels } => vec![height, width, channels],
            Self::Vector(channels) => vec![channels],
        }
    }

    /// Number of elements of one picture.
    #[must_use]
    pub const fn elements(self) -> usize {
        match self {
            Self::Map { height, width, channels } => height * width * channels,
            Self::Vector(channels) => channels,
        }
    }

    /// Length of the last axis.
    #[must_use]
    pub const fn channels(self) -> usize {
        match self {
            Self::Map { channels, .. } | Self::Vector(channels) => channels,
        }
    }

    /// Height and width; a vector counts as one pixel.
    #[must_use]
    pub const fn extent(self) -> Extent {
        match self {
            Self::Map { height, width, .. } => Extent { height, width },
            Self::Vector(_) => Extent { height: 1, width: 1 },
        }
    }
}

impl From<Shape> for Vec<usize> {
    fn from(shape: Shape) -> Self {
        shape.dims()
    }
}

impl TryFrom<Vec<usize>> for Shape {
    type Error = ShapeError;

    fn try_from(dims: Vec<usize>) -> Result<Self, ShapeError> {
        Self::from_dims(&dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { height, width, channels } => write!(f, "{height}x{width}x{channels}"),
            Self::Vector(channels) => write!(f, "{channels}"),
        }
    }
}

/// Something with a height and a width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// Along the rows.
    pub height: usize,
    /// Along the columns.
    pub width: usize,
}

impl Extent {
    /// One by one.
    pub const ONE: Self = Self { height: 1, width: 1 };

    /// `height` by `width`.
    #[must_use]
    pub const fn new(height: usize, width: usize) -> Self {
        Self { height, width }
    }

    /// The same both ways.
    #[must_use]
    pub const fn square(side: usize) -> Self {
        Self { height: side, width: side }
    }

    /// `height * width`.
    #[must_use]
    pub const fn area(self) -> usize {
        self.height * self.width
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

/// Rows and columns added around a feature map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// None at all.
    pub const NONE: Self = Self { top: 0, bottom: 0, left: 0, right: 0 };

    /// Whether nothing is added.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Both paddings, one after the other.
    ///
    /// # Errors
    /// Sums that no feature map may have.
    pub fn plus(self, other: Self) -> Result<Self, ShapeError> {
        let sum = |a: usize, b: usize| {
            a.checked_add(b).filter(|&sum| sum <= MAX_ELEMENTS).ok_or(ShapeError::Padding)
        };
        Ok(Self {
            top: sum(self.top, other.top)?,
            bottom: sum(self.bottom, other.bottom)?,
            left: sum(self.left, other.left)?,
            right: sum(self.right, other.right)?,
        })
    }
}

/// What slides over a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Taps.
    pub kernel: Extent,
    /// Step between neighbouring outputs.
    pub stride: Extent,
    /// Step between neighbouring taps.
    pub dilation: Extent,
    /// Rows and columns around the input.
    pub padding: Padding,
}

impl Window {
    /// One tap, one step, no padding.
    pub const POINT: Self = Self {
        kernel: Extent::ONE,
        stride: Extent::ONE,
        dilation: Extent::ONE,
        padding: Padding::NONE,
    };

    /// `VALID`: no padding.
    #[must_use]
    pub const fn valid(kernel: Extent, stride: Extent, dilation: Extent) -> Self {
        Self { kernel, stride, dilation, padding: Padding::NONE }
    }

    /// `SAME` by TensorFlow's rule: `ceil(input / stride)` outputs, the odd row or column of padding goes below and to
    /// the right.
    ///
    /// # Errors
    /// Zero or absurd steps and kernels.
    pub fn same(
        input: Extent,
        kernel: Extent,
        stride: Extent,
        dilation: Extent,
    ) -> Result<Self, ShapeError> {
        let window = Self::valid(kernel, stride, dilation);
        let reach = window.reach()?;
        let around = |input: usize, reach: usize, stride: usize| {
            let covered = (input.div_ceil(stride).max(1) - 1).saturating_mul(stride);
            let total = covered.saturating_add(reach).saturating_sub(input);
            (total / 2, total - total / 2)
        };
        let (top, bottom) = around(input.height, reach.height, stride.height);
        let (left, right) = around(input.width, reach.width, stride.width);
        Ok(Self { padding: Padding { top, bottom, left, right }, ..window })
    }

    /// Rows and columns from the first to the last tap: `(kernel - 1) * dilation + 1`.
    ///
    /// # Errors
    /// Zero or absurd steps and kernels.
    pub fn reach(&self) -> Result<Extent, ShapeError> {
        let Self { kernel, stride, dilation, .. } = *self;
        let along = |kernel: usize, stride: usize, dilation: usize| {
            if kernel == 0 || stride == 0 || dilation == 0 || stride > MAX_ELEMENTS {
                return None;
            }
            (kernel - 1)
                .checked_mul(dilation)?
                .checked_add(1)
                .filter(|&reach| reach <= MAX_ELEMENTS)
        };
        match (
            along(kernel.height, stride.height, dilation.height),
            along(kernel.width, stride.width, dilation.width),
        ) {
            (Some(height), Some(width)) => Ok(Extent { height, width }),
            _ => Err(ShapeError::Window { window: *self }),
        }
    }

    /// Output rows and columns over an input of this extent.
    ///
    /// # Errors
    /// Zero or absurd steps and kernels, or a window larger than the padded input.
    pub fn output(&self, input: Extent) -> Result<Extent, ShapeError> {
        let reach = self.reach()?;
        let Padding { top, bottom, left, right } = self.padding;
        let along = |input: usize, before: usize, after: usize, reach: usize, stride: usize| {
            let padded = input.checked_add(before)?.checked_add(after)?;
            Some(padded.checked_sub(reach)? / stride + 1)
        };
        match (
            along(input.height, top, bottom, reach.height, self.stride.height),
            along(input.width, left, right, reach.width, self.stride.width),
        ) {
            (Some(height), Some(width)) => Ok(Extent { height, width }),
            _ => Err(ShapeError::WindowTooLarge { window: *self, input }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_follows_tensorflow() -> Result<(), ShapeError> {
        let same = |input, kernel, stride, dilation| {
            let window = Window::same(
                Extent::square(input),
                Extent::square(kernel),
                Extent::square(stride),
                Extent::square(dilation),
            )?;
            let output = window.output(Extent::square(input))?;
            assert_eq!(output.height, input.div_ceil(stride));
            Ok::<_, ShapeError>((window.padding.top, window.padding.bottom))
        };
        assert_eq!(same(32, 3, 1, 1)?, (1, 1));
        assert_eq!(same(32, 3, 2, 1)?, (0, 1));
        assert_eq!(same(33, 3, 2, 1)?, (1, 1));
        assert_eq!(same(32, 1, 2, 1)?, (0, 0));
        assert_eq!(same(7, 3, 1, 2)?, (2, 2));
        assert_eq!(same(10, 4, 1, 1)?, (1, 2));
        assert_eq!(same(1, 3, 5, 1)?, (1, 1));
        Ok(())
    }

    #[test]
    fn absurd_sizes_are_errors() {
        assert!(Shape::from_dims(&[usize::MAX, 2, 2]).is_err());
        assert!(Shape::from_dims(&[0]).is_err());
        assert!(Shape::from_dims(&[2, 2]).is_err());
        let huge = Window::valid(Extent::square(usize::MAX), Extent::ONE, Extent::square(3));
        assert!(huge.output(Extent::square(4)).is_err());
        let still = Window::valid(Extent::square(3), Extent::square(0), Extent::ONE);
        assert!(still.output(Extent::square(4)).is_err());
        let wide = Window::valid(Extent::square(5), Extent::ONE, Extent::ONE);
        assert!(wide.output(Extent::square(4)).is_err());
    }
}
