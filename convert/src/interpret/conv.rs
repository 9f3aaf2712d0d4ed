//! Convolutions and matrix products.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::graph::{Param, Shape, Window};

/// `output += W x` over im2col columns; the filter is `[O, KH, KW, I]`.
pub(super) fn conv(
    (shape, x): (Shape, &[f32]),
    filter: &Param,
    window: &Window,
    (out_shape, output): (Shape, &mut [f32]),
    columns: &mut Vec<f32>,
) {
    let depth = filter.len() / out_shape.channels();
    let is_point = *window == Window::POINT;
    if is_point {
        return product(x, &filter.data, depth, output);
    }
    let out = out_shape.extent();
    let rows = (COLUMNS_LEN / (out.width * depth)).clamp(1, out.height);
    let row_len = out.width * out_shape.channels();
    for (block, output) in output.chunks_mut(rows * row_len).enumerate() {
        let first = block * rows;
        columns.clear();
        columns.resize(output.len() / out_shape.channels() * depth, 0.0);
        im2col((shape, x), window, first, out.width, columns);
        product(columns, &filter.data, depth, output);
    }
}

/// One row of `columns` for every output pixel, from output row `first` on.
fn im2col(
    (shape, x): (Shape, &[f32]),
    window: &Window,
    first: usize,
    out_width: usize,
    columns: &mut [f32],
) {
    let (input, channels) = (shape.extent(), shape.channels());
    let (kernel, padding) = (window.kernel, window.padding);
    let depth = kernel.area() * channels;
    for (pixel, column) in columns.chunks_exact_mut(depth).enumerate() {
        let (row, col) = (first + pixel / out_width, pixel % out_width);
        let rows = Taps::new(row * window.stride.height, padding.top, input.height);
        let cols = Taps::new(col * window.stride.width, padding.left, input.width);
        for (tap_row, from_row) in rows.of(kernel.height, window.dilation.height) {
            for (tap_col, from_col) in cols.of(kernel.width, window.dilation.width) {
                let from = (from_row * input.width + from_col) * channels;
                let to = (tap_row * kernel.width + tap_col) * channels;
                column[to..to + channels].copy_from_slice(&x[from..from + channels]);
            }
        }
    }
}

/// `output += w x`, every channel on its own; the filter is `[1, KH, KW, C * multiplier]`.
pub(super) fn depthwise(
    (shape, x): (Shape, &[f32]),
    filter: &Param,
    window: &Window,
    (out_shape, output): (Shape, &mut [f32]),
) {
    let (input, channels) = (shape.extent(), shape.channels());
    let (outputs, out_width) = (out_shape.channels(), out_shape.extent().width);
    let multiplier = outputs / channels;
    let (kernel, padding) = (window.kernel, window.padding);
    for (pixel, sums) in output.chunks_exact_mut(outputs).enumerate() {
        let (row, col) = (pixel / out_width, pixel % out_width);
        let rows = Taps::new(row * window.stride.height, padding.top, input.height);
        let cols = Taps::new(col * window.stride.width, padding.left, input.width);
        for (tap_row, from_row) in rows.of(kernel.height, window.dilation.height) {
            for (tap_col, from_col) in cols.of(kernel.width, window.dilation.width) {
                let from = (from_row * input.width + from_col) * channels;
                let x = &x[from..from + channels];
                let tap = (tap_row * kernel.width + tap_col) * outputs;
                let taps = &filter.data[tap..tap + outputs];
                if multiplier == 1 {
                    for ((sum, x), tap) in sums.iter_mut().zip(x).zip(taps) {
                        *sum += x * tap;
                    }
                } else {
                    for (output, (sum, tap)) in sums.iter_mut().zip(taps).enumerate() {
                        *sum += x[output / multiplier] * tap;
                    }
                }
            }
        }
    }
}

/// `output[m, n] = a[m, k] w[n, k]^T`.
pub(super) fn product(a: &[f32], w: &[f32], k: usize, output: &mut [f32]) {
    let (m, n) = (a.len() / k, w.len() / k);
    let a = ArrayView2::from_shape((m, k), a).expect("whole rows");
    let w = ArrayView2::from_shape((n, k), w).expect("whole rows");
    let mut output = ArrayViewMut2::from_shape((m, n), output).expect("whole rows");
    general_mat_mul(1.0, &a, &w.t(), 0.0, &mut output);
}

/// The taps of a window that lie inside the input, along one axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    start: usize,
    before: usize,
    input: usize,
}

impl Taps {
    /// Of the window whose first tap is `start`, counted from `before` places ahead of the input.
    pub(crate) fn new(start: usize, before: usize, input: usize) -> Self {
        Self { start, before, input }
    }

    /// `(tap, place in the input)`.
    pub(crate) fn of(
        self,
        kernel: usize,
        dilation: usize,
    ) -> impl Iterator<Item = (usize, usize)> + Clone {
        let Self { start, before, input } = self;
        let inside = move |tap: usize| {
            let place = (start + tap * dilation).checked_sub(before)?;
            (place < input).then_some((tap, place))
        };
        (0..kernel).filter_map(inside)
    }
}

/// Floats of im2col at once; stays within the second-level cache.
const COLUMNS_LEN: usize = 1 << 17;
