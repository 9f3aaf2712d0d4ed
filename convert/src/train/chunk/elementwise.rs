//! What needs no neighbours.

use pulp::Arch;

use crate::graph::Quantization;
use crate::random::SplitMix;

/// `gamma / sqrt(variance + epsilon)`.
pub(super) fn norm_scale(gamma: Option<&[f32]>, inverse: &[f32]) -> Vec<f32> {
    match gamma {
        Some(gamma) => gamma.iter().zip(inverse).map(|(gamma, inverse)| gamma * inverse).collect(),
        None => inverse.to_vec(),
    }
}

/// No slope where the activation clamped.
pub(super) fn mask(dy: &mut [f32], y: &[f32], (min, max): (f32, f32)) {
    if (min, max) != (f32::NEG_INFINITY, f32::INFINITY) {
        // A product, since a choice would not become vector code.
        let factor = move |y: f32| f32::from(u8::from(y > min) & u8::from(y < max));
        Arch::new().dispatch(move || dy.iter_mut().zip(y).for_each(|(dy, y)| *dy *= factor(*y)));
    }
}

/// To the nearest of 256 steps.
#[allow(clippy::cast_precision_loss, reason = "a zero point lies within int8")]
pub(super) fn round(x: &[f32], Quantization { scale, zero_point }: Quantization, y: &mut [f32]) {
    let zero = zero_point as f32;
    Arch::new().dispatch(move || {
        for (y, x) in y.iter_mut().zip(x) {
            let step = (x / scale).round_ties_even().max(-128.0 - zero).min(127.0 - zero);
            *y = step * scale;
        }
    });
}

/// Between which numbers rounding does not clip.
#[allow(clippy::cast_precision_loss, reason = "a zero point lies within int8")]
pub(super) fn ends(Quantization { scale, zero_point }: Quantization) -> (f32, f32) {
    let end = |step: f32| (step - zero_point as f32) * scale;
    (end(-128.5), end(127.5))
}

/// Zeroes a share of the elements and scales up the others. What is dropped depends on the seed, the layer and the
/// picture's place in the batch.
pub(in crate::train) fn drop_out(
    values: &mut [f32],
    len: usize,
    (seed, step, first): (u64, usize, usize),
    rate: f32,
) {
    let scale = 1.0 / (1.0 - rate);
    for (picture, values) in values.chunks_exact_mut(len).enumerate() {
        let mut random = SplitMix::new(
            SplitMix::mix(seed)
                ^ SplitMix::mix(step as u64).rotate_left(1)
                ^ SplitMix::mix((first + picture) as u64).rotate_left(2),
        );
        for value in values {
            *value = if random.unit() < rate { 0.0 } else { *value * scale };
        }
    }
}
