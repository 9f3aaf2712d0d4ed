//! Which axis of a map runs along the words of a plane of the Armv7E-M cell.

use crate::Geometry;

/// One axis of a 3x3 depthwise convolution.
#[cfg_attr(not(armv7em), allow(dead_code, reason = "only the size is asked for elsewhere"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) stride: usize,
    pub(crate) pad: usize,
    /// Bytes from a pixel to the next in the input, and in the output.
    pub(crate) bytes: [usize; 2],
}

/// Both axes: outputs are computed four at a time `along` a plane, which is the width unless the
/// height leaves over less.
#[cfg_attr(not(armv7em), allow(dead_code, reason = "only the size is asked for elsewhere"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axes {
    pub(crate) along: Axis,
    pub(crate) across: Axis,
    pub(crate) are_swapped: bool,
}

/// Bytes of planes that are worth it.
const PLANES: usize = 2048;

impl Axes {
    pub(crate) const fn new(geometry: &Geometry) -> Self {
        let (input, output, window) = (geometry.input(), geometry.output(), geometry.window());
        let width = Axis {
            input: input.width,
            output: output.width,
            stride: window.stride_width,
            pad: window.pad_left,
            bytes: [input.channels, output.channels],
        };
        let height = Axis {
            input: input.height,
            output: output.height,
            stride: window.stride_height,
            pad: window.pad_top,
            bytes: [input.row_len(), output.row_len()],
        };
        let usual = Self { along: width, across: height, are_swapped: false };
        let swapped = Self { along: height, across: width, are_swapped: true };
        // Swapped, nothing of the input is left to be read when the first output is written.
        let fits = height.stride <= 2 && swapped.bytes(swapped.all_rows()) <= PLANES;
        if fits && swapped.cost() < usual.cost() { swapped } else { usual }
    }

    /// Words of a plane: two pixels each, for outputs rounded up to pairs.
    pub(crate) const fn plane_words(&self) -> usize {
        let pairs = self.along.output.div_ceil(2);
        if self.along.stride == 2 { 2 * pairs + 1 } else { pairs + 1 }
    }

    /// Rows of planes at a time: those of one output at least, then as many as lie within 2 KiB.
    pub(crate) const fn plane_rows(&self) -> usize {
        let (down, height) = (self.across.stride, self.across.output);
        // Neither divisor is ever zero, which the optimizer does not know.
        let more = match PLANES.checked_div(self.bytes(1)) {
            Some(room) if room > 3 => match (room - 3).checked_div(down) {
                Some(more) => more,
                None => 0,
            },
            _ => 0,
        };
        (if more < height { more } else { height.saturating_sub(1) }) * down + 3
    }

    const fn all_rows(&self) -> usize {
        self.across.output.saturating_sub(1).saturating_mul(self.across.stride).saturating_add(3)
    }

    const fn bytes(&self, rows: usize) -> usize {
        self.plane_words().saturating_mul(16).saturating_mul(rows)
    }

    /// Instructions, more or less: fours, then pairs, of each row.
    const fn cost(&self) -> usize {
        let (fours, pairs) = (self.along.output / 4, (self.along.output % 4).div_ceil(2));
        let row = fours.saturating_mul(70).saturating_add(pairs * 47 + 20);
        self.across.output.saturating_mul(row)
    }
}

#[cfg(test)]
mod tests {
    use super::Axes;
    use crate::{Geometry, Shape, Window};

    /// A 3x3 window that keeps the extents of the map.
    fn axes(height: usize, width: usize) -> Axes {
        let window =
            Window { kernel_height: 3, kernel_width: 3, pad_top: 1, pad_left: 1, ..Window::UNIT };
        let shape = Shape::new(height, width, 8);
        Axes::new(&Geometry::new(shape, shape, window).expect("sound"))
    }

    #[test]
    fn the_axis_that_leaves_over_less_runs_along_the_planes() {
        assert!(axes(25, 5).are_swapped);
        assert!(!axes(5, 25).are_swapped);
        assert!(!axes(12, 12).are_swapped);
        assert!(!axes(48, 48).are_swapped);
    }

    #[test]
    fn swapped_planes_hold_the_whole_map() {
        for (height, width) in [(25, 5), (9, 1), (40, 3), (64, 5)] {
            let axes = axes(height, width);
            assert!(!axes.are_swapped || axes.plane_rows() == width + 2);
        }
        // Worth it, but too large to be held.
        assert!(!axes(64, 13).are_swapped);
    }
}
