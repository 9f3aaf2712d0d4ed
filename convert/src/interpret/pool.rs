//! Pooling and padding.

use super::conv::Taps;
use crate::graph::{Padding, Shape, Window};

/// Mean over the taps inside the input.
pub(crate) fn average(
    (shape, x): (Shape, &[f32]),
    window: &Window,
    (out_shape, output): (Shape, &mut [f32]),
) {
    slide(
        (shape, x),
        window,
        (out_shape, output),
        |sum, x| *sum += x,
        |sums, count| {
            sums.iter_mut().for_each(|sum| *sum /= count);
        },
    );
}

/// Largest of the taps inside the input.
pub(crate) fn max(
    (shape, x): (Shape, &[f32]),
    window: &Window,
    (out_shape, output): (Shape, &mut [f32]),
) {
    slide((shape, x), window, (out_shape, output), |max, x| *max = max.max(x), |_, _| {});
}

fn slide(
    (shape, x): (Shape, &[f32]),
    window: &Window,
    (out_shape, output): (Shape, &mut [f32]),
    gather: impl Fn(&mut f32, f32),
    finish: impl Fn(&mut [f32], f32),
) {
    let (input, channels) = (shape.extent(), shape.channels());
    let (kernel, padding) = (window.kernel, window.padding);
    let out_width = out_shape.extent().width;
    for (pixel, gathered) in output.chunks_exact_mut(channels).enumerate() {
        let (row, col) = (pixel / out_width, pixel % out_width);
        let rows = Taps::new(row * window.stride.height, padding.top, input.height);
        let cols = Taps::new(col * window.stride.width, padding.left, input.width);
        let mut count = 0.0;
        for (_, from_row) in rows.of(kernel.height, window.dilation.height) {
            for (_, from_col) in cols.of(kernel.width, window.dilation.width) {
                let from = (from_row * input.width + from_col) * channels;
                let pixel = &x[from..from + channels];
                gathered.iter_mut().zip(pixel).for_each(|(gathered, &x)| gather(gathered, x));
                count += 1.0;
            }
        }
        finish(gathered, count);
    }
}

/// Mean over all pixels.
pub(crate) fn global_average((shape, x): (Shape, &[f32]), output: &mut [f32]) {
    let channels = shape.channels();
    output.fill(0.0);
    let mut pixels = 0.0;
    for pixel in x.chunks_exact(channels) {
        output.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
        pixels += 1.0;
    }
    output.iter_mut().for_each(|sum| *sum /= pixels);
}

/// Copies into the middle of zeros.
pub(crate) fn pad(
    (shape, x): (Shape, &[f32]),
    padding: Padding,
    (out_shape, output): (Shape, &mut [f32]),
) {
    let channels = shape.channels();
    let (row_len, out_row_len) =
        (shape.extent().width * channels, out_shape.extent().width * channels);
    let rows = output.chunks_exact_mut(out_row_len).skip(padding.top);
    for (row, x) in rows.zip(x.chunks_exact(row_len)) {
        row[padding.left * channels..][..row_len].copy_from_slice(x);
    }
}
