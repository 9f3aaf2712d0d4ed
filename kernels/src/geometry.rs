//! Shapes, windows and row views: checked products, no bare tuples.

#[cfg(target_arch = "aarch64")]
use crate::F16;
use crate::ShapeError;
use core::ops::Range;

/// The largest extent of any axis; keeps every coordinate inside `i32` on every machine.
pub const MAX_EXTENT: usize = 1 << 16;

/// Height, width and channels of one feature map; activations are `[height, width, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Values of a pixel.
    pub channels: usize,
}

impl Shape {
    /// A shape from its three extents.
    #[must_use]
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// Values in the whole map, or `None` when an extent is zero or out of range or the product
    /// does not fit.
    #[must_use]
    pub const fn checked_len(&self) -> Option<usize> {
        if self.height == 0 || self.width == 0 || self.channels == 0 {
            return None;
        }
        if self.height > MAX_EXTENT || self.width > MAX_EXTENT || self.channels > MAX_EXTENT {
            return None;
        }
        match self.height.checked_mul(self.width) {
            Some(pixels) => pixels.checked_mul(self.channels),
            None => None,
        }
    }

    /// Values in one row.
    #[must_use]
    pub const fn row_len(&self) -> usize {
        self.width.saturating_mul(self.channels)
    }

    /// Pixels in the map.
    #[must_use]
    pub const fn pixels(&self) -> usize {
        self.height.saturating_mul(self.width)
    }
}

/// A sliding window. Padding at the bottom and right follows from the output's extent: a tap
/// that falls outside the input reads the padding value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Taps down.
    pub kernel_height: usize,
    /// Taps across.
    pub kernel_width: usize,
    /// Input rows between two output rows.
    pub stride_height: usize,
    /// Input columns between two output columns.
    pub stride_width: usize,
    /// Input rows between two taps.
    pub dilation_height: usize,
    /// Input columns between two taps.
    pub dilation_width: usize,
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
}

impl Window {
    /// The window of a 1x1 operation: one tap, stride one, no padding.
    pub const UNIT: Self = Self {
        kernel_height: 1,
        kernel_width: 1,
        stride_height: 1,
        stride_width: 1,
        dilation_height: 1,
        dilation_width: 1,
        pad_top: 0,
        pad_left: 0,
    };

    /// Number of taps.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.kernel_height * self.kernel_width
    }

    /// Whether it is 3x3 without gaps, what most depthwise tiles are written for.
    pub(crate) const fn is_plain_3x3(&self) -> bool {
        self.kernel_height == 3
            && self.kernel_width == 3
            && self.dilation_height == 1
            && self.dilation_width == 1
    }

    /// Input rows from the first tap to the last, both included.
    #[must_use]
    pub const fn span_height(&self) -> usize {
        (self.kernel_height - 1) * self.dilation_height + 1
    }

    /// Input columns from the first tap to the last, both included.
    #[must_use]
    pub const fn span_width(&self) -> usize {
        (self.kernel_width - 1) * self.dilation_width + 1
    }
}

/// Input shape, output shape and window of one operation, checked against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    input: Shape,
    output: Shape,
    window: Window,
}

impl Geometry {
    /// Checks that all extents are in range and that every window has at least one tap inside
    /// the input.
    ///
    /// # Errors
    /// [`ShapeError::Extent`] for an extent that is zero or over [`MAX_EXTENT`];
    /// [`ShapeError::Window`] when some window lies outside the input altogether.
    pub const fn new(input: Shape, output: Shape, window: Window) -> Result<Self, ShapeError> {
        if input.checked_len().is_none() || output.checked_len().is_none() {
            return Err(ShapeError::Extent);
        }
        if let Err(error) = check_axis(
            input.height,
            output.height,
            window.kernel_height,
            window.stride_height,
            window.dilation_height,
            window.pad_top,
        ) {
            return Err(error);
        }
        if let Err(error) = check_axis(
            input.width,
            output.width,
            window.kernel_width,
            window.stride_width,
            window.dilation_width,
            window.pad_left,
        ) {
            return Err(error);
        }
        Ok(Self { input, output, window })
    }

    /// Shape of the input map.
    #[must_use]
    pub const fn input(&self) -> Shape {
        self.input
    }

    /// Shape of the output map.
    #[must_use]
    pub const fn output(&self) -> Shape {
        self.output
    }

    /// The window.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }

    /// The channels that tap (`ky`, `kx`) of output (`y`, `x`) reads, or `None` in the padding.
    #[must_use]
    #[cfg_attr(armv7em, inline(never))] // For fallbacks only, which share it.
    #[cfg_attr(not(armv7em), inline)]
    pub fn tap<'a, T>(
        &self,
        input: &Rows<'a, T>,
        y: usize,
        x: usize,
        ky: usize,
        kx: usize,
    ) -> Option<&'a [T]> {
        input.pixel(self.row(y, ky), self.column(x, kx))
    }

    /// Taps down whose row lies inside the input, for output row `y`.
    #[must_use]
    #[inline]
    pub fn rows_inside(&self, y: usize) -> Range<usize> {
        let Window { kernel_height, dilation_height, .. } = self.window;
        taps_inside(self.first_row(y), kernel_height, dilation_height, self.input.height)
    }

    /// Taps across whose column lies inside the input, for output column `x`.
    #[must_use]
    #[inline]
    pub fn columns_inside(&self, x: usize) -> Range<usize> {
        let Window { kernel_width, dilation_width, .. } = self.window;
        taps_inside(self.first_column(x), kernel_width, dilation_width, self.input.width)
    }

    /// The outputs of a row whose windows lie inside the input from left to right; none where taps lie
    /// apart.
    #[cfg(any(armv7em, target_arch = "aarch64"))]
    pub(crate) fn outputs_inside(&self) -> Range<usize> {
        let (window, width) = (self.window, self.output.width);
        let room = (self.input.width + window.pad_left).checked_sub(window.kernel_width);
        match room {
            Some(room) if window.dilation_width == 1 => {
                let stride = window.stride_width.max(1);
                let start = window.pad_left.div_ceil(stride).min(width);
                start..(room / stride + 1).min(width).max(start)
            }
            _ => 0..0,
        }
    }

    /// Row of tap `ky` of output row `y`; outside the input in the padding.
    #[must_use]
    #[inline]
    pub const fn row(&self, y: usize, ky: usize) -> isize {
        self.first_row(y) + (ky * self.window.dilation_height).cast_signed()
    }

    /// Column of tap `kx` of output column `x`; outside the input in the padding.
    #[must_use]
    #[inline]
    pub const fn column(&self, x: usize, kx: usize) -> isize {
        self.first_column(x) + (kx * self.window.dilation_width).cast_signed()
    }

    /// Row of the first tap of output row `y`; negative inside the top padding.
    #[must_use]
    pub const fn first_row(&self, y: usize) -> isize {
        (y * self.window.stride_height) as isize - self.window.pad_top as isize
    }

    /// Column of the first tap of output column `x`; negative inside the left padding.
    #[must_use]
    pub const fn first_column(&self, x: usize) -> isize {
        (x * self.window.stride_width) as isize - self.window.pad_left as isize
    }
}

#[inline]
fn taps_inside(first: isize, taps: usize, dilation: usize, extent: usize) -> Range<usize> {
    let before = (-first).max(0).unsigned_abs();
    let room = (extent.cast_signed() - first).max(0).unsigned_abs();
    let steps = |columns: usize| match dilation {
        // Nearly always, and a division less.
        0 | 1 => columns,
        _ => columns.div_ceil(dilation.max(1)),
    };
    let end = steps(room).min(taps);
    steps(before).min(end)..end
}

const fn check_axis(
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
) -> Result<(), ShapeError> {
    const MAX_STEP: usize = 255;
    if kernel == 0 || kernel > MAX_STEP || stride == 0 || stride > MAX_STEP {
        return Err(ShapeError::Extent);
    }
    if dilation == 0 || dilation > MAX_STEP || pad > MAX_STEP {
        return Err(ShapeError::Extent);
    }
    // The first window needs a tap at or after column 0, the last a tap before the end. Windows
    // in between then have one too unless dilation jumps over the whole input; refuse that.
    let span = (kernel - 1) * dilation + 1;
    if pad >= span || (output - 1) * stride >= pad + input {
        return Err(ShapeError::Window);
    }
    if dilation > 1 && dilation >= input && pad > 0 {
        return Err(ShapeError::Window);
    }
    Ok(())
}

/// A walk through the output pixels of a call, row after row.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", mve))]
pub(crate) struct Walk {
    y: usize,
    x: usize,
    width: usize,
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", mve))]
impl Walk {
    pub(crate) const fn new(geometry: &Geometry, first_row: usize) -> Self {
        Self { y: first_row, x: 0, width: geometry.output.width }
    }

    /// The column of the next pixel.
    #[cfg(mve)]
    pub(crate) const fn x(&self) -> usize {
        self.x
    }

    /// The next `most` pixels, or as many as there are in their row: its number, and their columns.
    #[inline(always)]
    pub(crate) fn run(&mut self, most: usize) -> (usize, Range<usize>) {
        let (y, run) = (self.y, self.x..self.width.min(self.x + most));
        (self.y, self.x) = if run.end == self.width { (y + 1, 0) } else { (y, run.end) };
        (y, run)
    }
}

/// Rows of a feature map: the whole map, or the last few of them in a ring buffer.
///
/// Row `y` lies in slot `y % slots`; a map that is wholly in memory has as many slots as rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T = i8> {
    data: &'a [T],
    shape: Shape,
    slots: usize,
}

#[cfg(target_arch = "aarch64")]
impl<'a> Rows<'a, F16> {
    /// The same rows as bytes, two channels a half; `None` for a shape without room for them.
    pub(crate) fn bytes(&self) -> Option<Rows<'a, i8>> {
        let shape = Shape { channels: self.shape.channels.checked_mul(2)?, ..self.shape };
        Rows::ring(bytemuck::cast_slice(self.data), shape, self.slots).ok()
    }
}

impl<'a, T> Rows<'a, T> {
    /// The whole map.
    ///
    /// # Errors
    /// [`ShapeError::InputLen`] when `data` does not hold exactly `shape`.
    pub fn whole(data: &'a [T], shape: Shape) -> Result<Self, ShapeError> {
        if shape.checked_len() != Some(data.len()) {
            return Err(ShapeError::InputLen);
        }
        Ok(Self { data, shape, slots: shape.height })
    }

    /// A ring of `slots` rows of a map of shape `shape`; `slots` must cover the window's span.
    ///
    /// # Errors
    /// [`ShapeError::InputLen`] when `data` does not hold exactly `slots` rows.
    pub fn ring(data: &'a [T], shape: Shape, slots: usize) -> Result<Self, ShapeError> {
        if shape.checked_len().is_none()
            || slots == 0
            || slots.checked_mul(shape.row_len()) != Some(data.len())
        {
            return Err(ShapeError::InputLen);
        }
        Ok(Self { data, shape, slots })
    }

    /// Shape of the whole map, not of the part in memory.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Slots of the ring; equal to the height when the whole map is in memory.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Row `y`, or `None` in the padding above or below the map.
    #[must_use]
    #[inline]
    pub fn row(&self, y: isize) -> Option<&'a [T]> {
        let y = usize::try_from(y).ok().filter(|&y| y < self.shape.height)?;
        // A whole map needs no division.
        let slot = if y < self.slots { y } else { y.checked_rem(self.slots)? };
        let row_len = self.shape.row_len();
        self.data.get(slot * row_len..)?.get(..row_len)
    }

    /// What is in memory from value `start` on.
    #[cfg(armv7em)]
    pub(crate) fn onwards(&self, start: usize) -> Option<&'a [T]> {
        self.data.get(start..)
    }

    /// Row `y` and whatever follows it in memory, or `None` in the padding above or below.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", armv7em))]
    #[inline]
    pub(crate) fn row_onwards(&self, y: isize) -> Option<&'a [T]> {
        let y = usize::try_from(y).ok().filter(|&y| y < self.shape.height)?;
        let slot = if y < self.slots { y } else { y.checked_rem(self.slots)? };
        self.data.get(slot * self.shape.row_len()..)
    }

    /// The channels of pixel (`y`, `x`), or `None` in the padding.
    #[must_use]
    #[inline]
    pub fn pixel(&self, y: isize, x: isize) -> Option<&'a [T]> {
        let x = usize::try_from(x).ok().filter(|&x| x < self.shape.width)?;
        let channels = self.shape.channels;
        self.row(y)?.get(x * channels..)?.get(..channels)
    }
}
