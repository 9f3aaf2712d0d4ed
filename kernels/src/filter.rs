//! Packed weights: one layout description for every weighted family.

use crate::{F16, ShapeError};

/// How a `[channels, depth]` weight matrix is interleaved in memory.
///
/// `channels` is the number of output channels, `depth` the number of depth steps that lie side
/// by side: memory is `[channels / C][depth / D][C][D]` with zeros in the tail blocks. A depth
/// step is one `(tap, input channel)` in `[kernel_height, kernel_width, input_channels]` order
/// for convolutions, one tap for depthwise, one input for fully connected.
///
/// [Narrow](Self::narrow) layouts hold no weight of -128; the [woven](Self::WOVEN) layout has
/// blocks of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    channels: u8,
    depth: u8,
    narrow: bool,
    woven: bool,
}

impl Layout {
    /// One output channel after the other: `[channels, depth]` as it is.
    pub const PLAIN: Self = Self { channels: 1, depth: 1, narrow: false, woven: false };

    /// Four channels by four depth steps for machines that multiply pairs of int16 (`SMLAD`).
    ///
    /// A block is eight little-endian int16 `w[even channel] + 256 * w[odd channel]`, in the order
    /// `[step 0, 2 | 1, 3][channels 0 and 1 | 2 and 3][even step | odd step]`. Read as it is, a
    /// word multiplies both channels at once; its sign-extended low bytes multiply the even one,
    /// and the difference is 256 times the odd one.
    pub const WOVEN: Self = Self { channels: 4, depth: 4, narrow: false, woven: true };

    /// [`code`](Self::code) of the woven layout.
    const WOVEN_CODE: [u8; 2] = [4, 0x84];
    /// What the [`code`](Self::code) of a narrow layout adds to the depth.
    const NARROW_CODE: u8 = 0x40;

    /// A layout of `channels` by `depth` blocks.
    ///
    /// # Errors
    /// [`ShapeError::Layout`] unless both are powers of two from 1 to 128.
    pub const fn new(channels: u8, depth: u8) -> Result<Self, ShapeError> {
        if !channels.is_power_of_two() || !depth.is_power_of_two() {
            return Err(ShapeError::Layout);
        }
        Ok(Self { channels, depth, narrow: false, woven: false })
    }

    /// The same blocks without -128, for machines that add two products in 16 bits.
    ///
    /// # Errors
    /// [`ShapeError::Layout`] for a woven layout or a depth above 32.
    pub const fn narrow(self) -> Result<Self, ShapeError> {
        if self.woven || self.depth > 32 {
            return Err(ShapeError::Layout);
        }
        Ok(Self { narrow: true, ..self })
    }

    /// The layout that a blob calls `code`.
    ///
    /// # Errors
    /// [`ShapeError::Layout`] for a code that no layout has.
    pub const fn from_code(code: [u8; 2]) -> Result<Self, ShapeError> {
        let [channels, depth] = code;
        if channels == Self::WOVEN_CODE[0] && depth == Self::WOVEN_CODE[1] {
            return Ok(Self::WOVEN);
        }
        if depth > Self::NARROW_CODE && depth < 2 * Self::NARROW_CODE {
            return match Self::new(channels, depth - Self::NARROW_CODE) {
                Ok(layout) => layout.narrow(),
                Err(error) => Err(error),
            };
        }
        Self::new(channels, depth)
    }

    /// What a blob calls it: channels and depth of a block, 64 more for a narrow one; 4 and 132
    /// for the woven one.
    #[must_use]
    pub const fn code(self) -> [u8; 2] {
        if self.woven {
            Self::WOVEN_CODE
        } else if self.narrow {
            [self.channels, self.depth + Self::NARROW_CODE]
        } else {
            [self.channels, self.depth]
        }
    }

    /// Whether it can hold every one of `weights`: -128, which no quantizer makes, is beyond the
    /// narrow ones and the woven one.
    #[must_use]
    pub fn holds(self, weights: &[i8]) -> bool {
        !(self.woven || self.narrow) || !weights.contains(&i8::MIN)
    }

    /// Output channels in a block.
    #[must_use]
    pub const fn channels(self) -> usize {
        self.channels as usize
    }

    /// Depth steps in a block.
    #[must_use]
    pub const fn depth(self) -> usize {
        self.depth as usize
    }

    /// Values that a `[channels, depth]` matrix takes in this layout.
    #[must_use]
    pub const fn packed_len(self, channels: usize, depth: usize) -> Option<usize> {
        let (block_channels, block_depth) = (self.channels(), self.depth());
        let (Some(channels), Some(depth)) = (
            channels.checked_next_multiple_of(block_channels),
            depth.checked_next_multiple_of(block_depth),
        ) else {
            return None;
        };
        channels.checked_mul(depth)
    }

    /// Position of weight (`channel`, `step`) in a matrix of `depth` steps; in the woven layout
    /// that of the int16 which holds it.
    #[must_use]
    #[inline]
    pub(crate) const fn index(self, channel: usize, step: usize, depth: usize) -> usize {
        // The block sizes are powers of two: shifts, not divisions.
        let (channel_bits, depth_bits) =
            (self.channels.trailing_zeros(), self.depth.trailing_zeros());
        let block = (channel >> channel_bits)
            .wrapping_mul(depth.wrapping_add(self.depth() - 1) >> depth_bits)
            .wrapping_add(step >> depth_bits);
        let (row, column) = (channel & (self.channels() - 1), step & (self.depth() - 1));
        (block << (channel_bits + depth_bits))
            + if self.woven {
                ((column & 1) << 3) + ((row >> 1) << 2) + (column & 2)
            } else {
                (row << depth_bits) + column
            }
    }
}

/// A `[channels, depth]` weight matrix in some [`Layout`]: int8, or halves.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a, T = i8> {
    data: &'a [T],
    layout: Layout,
    channels: usize,
    depth: usize,
}

impl<'a, T: Copy> Filter<'a, T> {
    /// # Errors
    /// [`ShapeError::FilterLen`] when `data` does not hold exactly the packed matrix.
    pub fn new(
        data: &'a [T],
        layout: Layout,
        channels: usize,
        depth: usize,
    ) -> Result<Self, ShapeError> {
        if layout.packed_len(channels, depth) != Some(data.len()) {
            return Err(ShapeError::FilterLen);
        }
        Ok(Self { data, layout, channels, depth })
    }

    /// The packed weights.
    #[must_use]
    pub const fn data(&self) -> &'a [T] {
        self.data
    }

    /// The layout of [`data`](Self::data).
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Output channels.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Depth steps.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// Whether `is_zero(channel, step)` for every place in the tails of the last blocks.
    fn tails_are(&self, is_zero: impl Fn(usize, usize) -> bool) -> bool {
        let (block_channels, block_depth) = (self.layout.channels(), self.layout.depth());
        // Checked: the optimizer does not know that a layout's blocks are never empty.
        let (Some(channels), Some(depth)) = (
            self.channels.checked_next_multiple_of(block_channels),
            self.depth.checked_next_multiple_of(block_depth),
        ) else {
            return false;
        };
        (0..channels).all(|channel| {
            let first = if channel < self.channels { self.depth } else { 0 };
            (first..depth).all(|step| is_zero(channel, step))
        })
    }
}

impl Filter<'_> {
    /// Whether the tails of the last blocks are zeros. Cells multiply them with whatever lies
    /// beyond the activations and count on it.
    #[must_use]
    pub fn tails_are_zero(&self) -> bool {
        self.tails_are(|channel, step| self.at(channel, step) == 0)
    }

    /// Whether the layout can [hold](Layout::holds) what its bytes say: no -128 in a narrow one, no
    /// odd channel of the woven one beyond `[-127, 127]`. Cells count on it when they add two
    /// products in 16 bits, or up to 512 in 24.
    #[must_use]
    pub fn weights_are_in_range(&self) -> bool {
        if !self.layout.woven {
            return self.layout.holds(self.data);
        }
        let in_range =
            |&[even, odd]: &[i8; 2]| (-127..=127).contains(&(i32::from(odd) + i32::from(even < 0)));
        self.data.as_chunks::<2>().0.iter().all(in_range)
    }

    /// Weight of output channel `channel` at depth step `step`; zero outside the matrix.
    #[must_use]
    #[cfg_attr(armv7em, inline(never))] // For fallbacks and proofs, which share it.
    #[cfg_attr(not(armv7em), inline)]
    pub fn at(&self, channel: usize, step: usize) -> i32 {
        let place = self.layout.index(channel, step, self.depth);
        let byte = |place: usize| self.data.get(place).copied().map_or(0, i32::from);
        let weight = byte(place);
        if self.layout.woven && channel & 1 == 1 {
            // A negative even channel borrows one from the odd.
            byte(place + 1) + i32::from(weight < 0)
        } else {
            weight
        }
    }

    /// `sum(values[i] * weight(channel, first_step + i))`.
    #[must_use]
    #[inline]
    pub fn dot(&self, channel: usize, first_step: usize, values: &[i8]) -> i32 {
        let product =
            |sum: i32, value: i8, weight: i32| sum.wrapping_add(i32::from(value) * weight);
        if self.layout == Layout::PLAIN {
            let start = channel.wrapping_mul(self.depth).wrapping_add(first_step);
            let weights = self.data.get(start..).unwrap_or(&[]);
            return values.iter().zip(weights).fold(0, |sum, (&v, &w)| product(sum, v, w.into()));
        }
        values
            .iter()
            .zip(first_step..)
            .fold(0, |sum, (&value, step)| product(sum, value, self.at(channel, step)))
    }

    /// `value * sum(weight(channel, step))` over `steps` steps from `first_step` on.
    #[must_use]
    #[inline]
    pub fn sum(&self, channel: usize, first_step: usize, steps: usize, value: i8) -> i32 {
        (first_step..first_step.wrapping_add(steps))
            .fold(0_i32, |sum, step| sum.wrapping_add(i32::from(value) * self.at(channel, step)))
    }
}

impl Filter<'_, F16> {
    /// Whether all weights are finite and the tails of the last blocks zeros.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.data.iter().all(|weight| weight.is_finite())
            && self.tails_are(|channel, step| self.at(channel, step) == 0.0)
    }

    /// Weight of output channel `channel` at depth step `step`; zero outside the matrix.
    #[must_use]
    #[inline]
    pub fn at(&self, channel: usize, step: usize) -> f32 {
        let place = self.layout.index(channel, step, self.depth);
        self.data.get(place).map_or(0.0, |weight| weight.to_f32())
    }

    /// `sum + values[0] * weight(channel, first_step) + ..`, added from left to right in f32. The
    /// products are exact: 11 bits times 11 bits.
    #[must_use]
    #[inline]
    pub fn dot(&self, sum: f32, channel: usize, first_step: usize, values: &[F16]) -> f32 {
        values
            .iter()
            .zip(first_step..)
            .fold(sum, |sum, (value, step)| sum + value.to_f32() * self.at(channel, step))
    }
}

/// Writes the plain `[channels, depth]` matrix `plain` in `layout` into `packed`.
///
/// # Errors
/// [`ShapeError::FilterLen`] when either slice has the wrong length, [`ShapeError::Layout`] when
/// the layout cannot [hold](Layout::holds) a weight.
pub fn pack(
    plain: &[i8],
    layout: Layout,
    channels: usize,
    depth: usize,
    packed: &mut [i8],
) -> Result<(), ShapeError> {
    if channels.checked_mul(depth) != Some(plain.len())
        || layout.packed_len(channels, depth) != Some(packed.len())
        || depth == 0
    {
        return Err(ShapeError::FilterLen);
    }
    if !layout.holds(plain) {
        return Err(ShapeError::Layout);
    }
    packed.fill(0);
    for (channel, row) in plain.chunks_exact(depth).enumerate() {
        for (step, &weight) in row.iter().enumerate() {
            let place = layout.index(channel, step, depth);
            let woven = layout.woven && channel & 1 == 1;
            // The even channel is there already and borrows from the odd one when negative.
            let borrow = i8::from(woven && packed.get(place).is_some_and(|&even| even < 0));
            if let Some(place) = packed.get_mut(place + usize::from(woven)) {
                *place = weight - borrow;
            }
        }
    }
    // An even channel without an odd one borrows from nothing.
    if layout.woven && !channels.is_multiple_of(2) {
        for step in 0..depth {
            let place = layout.index(channels - 1, step, depth);
            let borrow = -i8::from(packed.get(place).is_some_and(|&even| even < 0));
            if let Some(odd) = packed.get_mut(place + 1) {
                *odd = borrow;
            }
        }
    }
    Ok(())
}

/// [`pack`] for halves.
///
/// # Errors
/// [`ShapeError::FilterLen`] when either slice has the wrong length, [`ShapeError::Layout`] for the
/// woven layout.
pub fn pack_f16(
    plain: &[F16],
    layout: Layout,
    channels: usize,
    depth: usize,
    packed: &mut [F16],
) -> Result<(), ShapeError> {
    if channels.checked_mul(depth) != Some(plain.len())
        || layout.packed_len(channels, depth) != Some(packed.len())
        || depth == 0
    {
        return Err(ShapeError::FilterLen);
    }
    if layout.woven {
        return Err(ShapeError::Layout);
    }
    packed.fill(F16::default());
    for (channel, row) in plain.chunks_exact(depth).enumerate() {
        for (step, &weight) in row.iter().enumerate() {
            if let Some(place) = packed.get_mut(layout.index(channel, step, depth)) {
                *place = weight;
            }
        }
    }
    Ok(())
}
