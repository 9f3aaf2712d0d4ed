//! Pools and padding, one picture at a time.

use crate::graph::{Op, Padding, Shape, Window};
use crate::interpret::{Taps, pool};

/// `y` of an op that moves or gathers pixels, before its activation.
pub(super) fn forward(op: &Op, (shape, x): (Shape, &[f32]), (out_shape, y): (Shape, &mut [f32])) {
    match op {
        Op::AvgPool { window, .. } => {
            y.fill(0.0);
            pool::average((shape, x), window, (out_shape, y));
        }
        Op::MaxPool { window, .. } => {
            y.fill(f32::NEG_INFINITY);
            pool::max((shape, x), window, (out_shape, y));
        }
        Op::GlobalAvgPool { .. } => pool::global_average((shape, x), y),
        Op::Pad(padding) => {
            y.fill(0.0);
            pool::pad((shape, x), *padding, (out_shape, y));
        }
        _ => y.copy_from_slice(x),
    }
}

/// Adds the slopes by `x` to `dx`.
pub(super) fn backward(
    op: &Op,
    (shape, x): (Shape, &[f32]),
    (out_shape, dy): (Shape, &[f32]),
    dx: &mut [f32],
) {
    let channels = shape.channels();
    match op {
        Op::AvgPool { window, .. } => {
            each_output(window, shape, out_shape, |output, taps| {
                #[allow(clippy::cast_precision_loss, reason = "taps are few")]
                let share = 1.0 / taps.len() as f32;
                for &tap in taps {
                    let dx = &mut dx[tap..tap + channels];
                    dx.iter_mut().zip(&dy[output..]).for_each(|(dx, dy)| *dx += dy * share);
                }
            });
        }
        Op::MaxPool { window, .. } => {
            each_output(window, shape, out_shape, |output, taps| {
                for channel in 0..channels {
                    // The first of equals, as elsewhere.
                    let first = taps.iter().copied().reduce(|best, tap| {
                        if x[tap + channel] > x[best + channel] { tap } else { best }
                    });
                    if let Some(first) = first {
                        dx[first + channel] += dy[output + channel];
                    }
                }
            });
        }
        Op::GlobalAvgPool { .. } => {
            #[allow(clippy::cast_precision_loss, reason = "pixels of one map")]
            let share = 1.0 / shape.extent().area() as f32;
            for dx in dx.chunks_exact_mut(channels) {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy * share);
            }
        }
        Op::Pad(Padding { top, left, .. }) => {
            let row = shape.extent().width * channels;
            let out_row = out_shape.extent().width * channels;
            let rows = dy.chunks_exact(out_row).skip(*top);
            for (dx, dy) in dx.chunks_exact_mut(row).zip(rows) {
                let dy = &dy[left * channels..][..row];
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            }
        }
        _ => dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy),
    }
}

/// Every output pixel's start with the starts of the input pixels under its window.
fn each_output(
    window: &Window,
    shape: Shape,
    out_shape: Shape,
    mut visit: impl FnMut(usize, &[usize]),
) {
    let (input, output, channels) = (shape.extent(), out_shape.extent(), shape.channels());
    let mut taps = Vec::new();
    for pixel in 0..output.area() {
        let (row, col) = (pixel / output.width, pixel % output.width);
        let rows = Taps::new(row * window.stride.height, window.padding.top, input.height);
        let cols = Taps::new(col * window.stride.width, window.padding.left, input.width);
        taps.clear();
        for (_, row) in rows.of(window.kernel.height, window.dilation.height) {
            let places = cols.of(window.kernel.width, window.dilation.width);
            taps.extend(places.map(|(_, col)| (row * input.width + col) * channels));
        }
        visit(pixel * channels, &taps);
    }
}
