//! Initial weights: the same for the same seed and layer name, on every machine, whatever the other layers are.

use sha2::{Digest, Sha256};

use crate::random::SplitMix;

/// How kernels begin; biases begin at 0, batch norms as the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Init {
    /// Uniform within `sqrt(6 / (fan_in + fan_out))`, Keras' default.
    Glorot,
    /// Convolutions normal with variance `2 / fan_out`, dense layers uniform within `1 / sqrt(fan_in)`, as torchvision's
    /// ResNets.
    He,
}

/// Inputs and outputs that one weight of a kernel has part in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fans {
    pub(super) fan_in: usize,
    pub(super) fan_out: usize,
    pub(super) is_dense: bool,
}

impl Init {
    /// `len` values of the layer's kernel; zeros without a seed.
    pub(super) fn kernel(self, seed: Option<u64>, layer: &str, len: usize, fans: Fans) -> Vec<f32> {
        let Some(seed) = seed else { return vec![0.0; len] };
        let Fans { fan_in, fan_out, is_dense } = fans;
        #[expect(clippy::cast_precision_loss, reason = "fans are far below 2^52")]
        let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
        let mut random = Random::new(seed, layer);
        let mut uniform = |limit: f64| (0..len).map(|_| narrow(random.signed() * limit)).collect();
        match self {
            Self::Glorot => uniform(libm::sqrt(6.0 / (fan_in + fan_out))),
            Self::He if is_dense => uniform(1.0 / libm::sqrt(fan_in)),
            Self::He => {
                let deviation = libm::sqrt(2.0 / fan_out);
                (0..len).map(|_| narrow(random.normal() * deviation)).collect()
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// A stream of its own for every seed and layer.
struct Random(SplitMix);

impl Random {
    fn new(seed: u64, layer: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(layer).finalize();
        let state = digest.iter().take(8).fold(0, |state, &byte| state << 8 | u64::from(byte));
        Self(SplitMix::new(state))
    }

    /// Uniform within 0 and 1, never 0.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn unit(&mut self) -> f64 {
        ((self.0.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Uniform within -1 and 1.
    fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// Mean 0, variance 1, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.unit()));
        radius * libm::cos(core::f64::consts::TAU * self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_rules() {
        let fans = |is_dense| Fans { fan_in: 24, fan_out: 8, is_dense };
        for (init, is_dense, variance) in [
            (Init::Glorot, false, 6.0 / 32.0 / 3.0),
            (Init::He, false, 2.0 / 8.0),
            (Init::He, true, 1.0 / 24.0 / 3.0),
        ] {
            let values = init.kernel(Some(3), "layer", 40_000, fans(is_dense));
            let mean = values.iter().sum::<f32>() / 40_000.0;
            let found = values.iter().map(|value| value * value).sum::<f32>() / 40_000.0;
            assert!(mean.abs() < 0.01 && (found / variance - 1.0).abs() < 0.03, "{mean} {found}");
        }
    }

    #[test]
    fn seed_and_layer_decide() {
        let fans = Fans { fan_in: 1, fan_out: 1, is_dense: false };
        let values = |seed, layer| Init::He.kernel(Some(seed), layer, 4, fans);
        assert_eq!(values(1, "a"), values(1, "a"));
        assert_ne!(values(1, "a"), values(2, "a"));
        assert_ne!(values(1, "a"), values(1, "b"));
        assert_eq!(Init::He.kernel(None, "a", 2, fans), [0.0, 0.0]);
    }
}
