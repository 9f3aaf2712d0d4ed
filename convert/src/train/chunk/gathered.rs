//! Products over windows, picture by picture, or over all pictures at once where no padding is in the way.

use std::borrow::Cow;

use pulp::Arch;

use crate::train::depthwise;
use crate::train::product::{self, Panels};
use crate::train::windows::Gather;

pub(super) fn pictures(values: &[f32], count: usize) -> core::slice::ChunksExact<'_, f32> {
    values.chunks_exact(values.len() / count)
}

#[allow(clippy::too_many_arguments, reason = "what a product is made of")]
pub(super) fn multiply<'p>(
    gather: &Gather,
    count: usize,
    x: &[f32],
    weights: impl IntoIterator<Item = &'p Panels> + Copy,
    channels: usize,
    (bias, clamp): (Option<&[f32]>, (f32, f32)),
    y: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let run = |x: &[f32], part, weights, y: &mut [f32]| {
        Arch::new().dispatch(product::Multiply { x, part, channels, weights, bias, clamp, y });
    };
    if let (Some(part), Some(weights)) = (gather.flattened(count), weights.into_iter().next()) {
        return run(x, &part, weights, y);
    }
    let len = y.len() / count;
    for (x, y) in pictures(x, count).zip(y.chunks_exact_mut(len)) {
        let x = gather.padded(x, scratch);
        for (part, weights) in gather.parts.iter().zip(weights) {
            run(x, part, weights, y);
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "what a product is made of")]
pub(super) fn multiply_depthwise(
    gather: &Gather,
    count: usize,
    x: &[f32],
    weights: &[f32],
    channels: usize,
    (bias, clamp): (Option<&[f32]>, (f32, f32)),
    y: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let len = y.len() / count;
    for (x, y) in pictures(x, count).zip(y.chunks_exact_mut(len)) {
        let x = gather.padded(x, scratch);
        for part in &gather.parts {
            let y = &mut *y;
            Arch::new().dispatch(depthwise::Multiply {
                x,
                part,
                weights,
                bias,
                channels,
                clamp,
                y,
            });
        }
    }
}

pub(super) fn correlate(
    gather: &Gather,
    count: usize,
    x: &[f32],
    dy: &[f32],
    (channels, width): (usize, usize),
    gradient: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let mut run = |x: &[f32], part, dy: &[f32]| {
        Arch::new().dispatch(product::Correlate { x, part, channels, dy, width, gradient });
    };
    if let Some(part) = gather.flattened(count) {
        return run(x, &part, dy);
    }
    for (x, dy) in pictures(x, count).zip(pictures(dy, count)) {
        run(gather.padded(x, scratch), &gather.parts[0], dy);
    }
}

/// Every channel `multiplier` times.
pub(super) fn spread_channels(x: &[f32], multiplier: usize) -> Cow<'_, [f32]> {
    match multiplier {
        1 => Cow::Borrowed(x),
        _ => x.iter().flat_map(|&x| core::iter::repeat_n(x, multiplier)).collect(),
    }
}
