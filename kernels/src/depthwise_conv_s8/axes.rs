//! Which axis of a map runs along the words of a plane of the Armv7E-M cell, and along the columns of the
//! Helium one.

use crate::Geometry;

/// One axis of a 3x3 depthwise convolution.
#[cfg_attr(not(mve), allow(dead_code, reason = "only the size is asked for elsewhere"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) stride: usize,
    pub(crate) pad: usize,
    /// Bytes from a pixel to the next in the input, and in the output.
    pub(crate) bytes: [usize; 2],
}

/// Both axes: outputs are computed four at a time `along` a plane or columns, which is the width unless
/// the height leaves over less.
#[cfg_attr(not(mve), allow(dead_code, reason = "only the size is asked for elsewhere"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axes {
    pub(crate) along: Axis,
    pub(crate) across: Axis,
    pub(crate) are_swapped: bool,
}

/// Bytes of planes that are worth it.
const PLANES: usize = 2048;
/// Bytes of columns that are worth it, and those of a whole map.
const COLUMNS: usize = 4096;
const ALL_COLUMNS: usize = 8192;

impl Axes {
    pub(crate) const fn new(geometry: &Geometry) -> Self {
        let (usual, swapped) = Self::both(geometry);
        // Swapped, nothing of the input is left to be read when the first output is written.
        let fits = swapped.along.stride <= 2 && swapped.bytes(swapped.all_rows()) <= PLANES;
        if fits && swapped.cost() < usual.cost() { swapped } else { usual }
    }

    /// Those of the Helium cell.
    pub(crate) const fn of_columns(geometry: &Geometry) -> Self {
        let (usual, swapped) = Self::both(geometry);
        let bytes = swapped.step_bytes().saturating_mul(swapped.all_steps());
        let fits = swapped.along.stride <= 2 && bytes <= ALL_COLUMNS;
        if fits && swapped.columns_cost() < usual.columns_cost() { swapped } else { usual }
    }

    /// The usual axes, and the swapped ones.
    const fn both(geometry: &Geometry) -> (Self, Self) {
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
        (usual, Self { along: height, across: width, are_swapped: true })
    }

    /// Columns along a row of the input, for outputs in fours.
    pub(crate) const fn columns(&self) -> usize {
        (4 * self.along.output.div_ceil(4)).saturating_sub(1).saturating_mul(self.along.stride) + 3
    }

    /// Rows of the output that share the columns of four rows of the input: a step.
    pub(crate) const fn together(&self) -> usize {
        if self.across.stride == 1 { 2 } else { 1 }
    }

    /// Steps whose columns are made before they are used: as many as are worth it, or, swapped, all.
    pub(crate) const fn steps(&self) -> usize {
        let all = self.all_steps();
        match COLUMNS.checked_div(self.step_bytes()) {
            _ if self.are_swapped => all,
            Some(room) if room > 1 && room < all => room,
            Some(room) if room > 1 => all,
            _ => 1,
        }
    }

    const fn all_steps(&self) -> usize {
        self.across.output.div_ceil(self.together())
    }

    const fn step_bytes(&self) -> usize {
        self.columns().saturating_mul(64)
    }

    /// Instructions, more or less: fours of each step.
    const fn columns_cost(&self) -> usize {
        let (step, last) = (self.columns_step_cost(self.together()), self.columns_step_cost(1));
        let whole = match self.across.output.checked_div(self.together()) {
            Some(whole) => whole,
            None => 0,
        };
        let odd = self.all_steps() - whole;
        whole.saturating_mul(step).saturating_add(odd * last)
    }

    const fn columns_step_cost(&self, rows: usize) -> usize {
        let four = if rows == 2 { 36 } else { 21 };
        self.along.output.div_ceil(4).saturating_mul(four).saturating_add(12)
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
    fn columns_run_along_the_axis_that_leaves_over_less() {
        let shape = |height, width| {
            let window = Window {
                kernel_height: 3,
                kernel_width: 3,
                pad_top: 1,
                pad_left: 1,
                ..Window::UNIT
            };
            let shape = Shape::new(height, width, 8);
            Axes::of_columns(&Geometry::new(shape, shape, window).expect("sound"))
        };
        let (tall, wide, square) = (shape(25, 5), shape(5, 25), shape(12, 12));
        assert!(tall.are_swapped && !wide.are_swapped && !square.are_swapped);
        // All of its columns are made before an output is written.
        assert_eq!((tall.columns(), tall.steps()), (30, 3));
        assert_eq!((wide.columns(), wide.steps()), (30, 2));
        assert!(!shape(255, 5).are_swapped);
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
