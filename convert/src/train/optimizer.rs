//! What a step makes of the gradients; Keras' formulas.

use super::TrainError;
use crate::graph::WeightRole;

/// An optimizer with what it remembers of earlier steps.
///
/// Weight decay is Keras' decoupled one, `w -= rate * decay * w`, and touches neither biases nor batch norms. (PyTorch's
/// SGD adds `decay * w` to the gradient instead; with momentum `m` that is `1 / (1 - m)` times as strong.)
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    rule: Rule,
    weight_decay: f32,
    iterations: u32,
    /// [`Rule::slots`] vectors for every trainable weight, in the graph's order.
    moments: Vec<(String, Vec<f32>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Sgd { momentum: f32, nesterov: bool },
    Adam { beta1: f32, beta2: f32, epsilon: f32 },
}

/// A trainable weight and what the loss says about it.
#[derive(Debug)]
pub(super) struct Parameter<'a> {
    pub(super) name: String,
    pub(super) role: WeightRole,
    pub(super) values: &'a mut [f32],
    pub(super) gradient: &'a [f32],
    /// What each value is counted in, as if `value / unit` were the weight; 1 when absent.
    pub(super) units: Option<Vec<f32>>,
}

impl Optimizer {
    /// `v = momentum * v - rate * g; w += v`, or with `nesterov` `w += momentum * v - rate * g`.
    #[must_use]
    pub fn sgd(momentum: f32, nesterov: bool, weight_decay: f32) -> Self {
        Self::new(Rule::Sgd { momentum, nesterov }, weight_decay)
    }

    /// Adam as Keras has it, `epsilon` added to the uncorrected root; Keras' defaults are 0.9, 0.999 and 1e-7.
    #[must_use]
    pub fn adam(beta1: f32, beta2: f32, epsilon: f32) -> Self {
        Self::new(Rule::Adam { beta1, beta2, epsilon }, 0.0)
    }

    /// Adam with decoupled weight decay; Keras' default decay is 0.004.
    #[must_use]
    pub fn adamw(beta1: f32, beta2: f32, epsilon: f32, weight_decay: f32) -> Self {
        Self::new(Rule::Adam { beta1, beta2, epsilon }, weight_decay)
    }

    fn new(rule: Rule, weight_decay: f32) -> Self {
        Self { rule, weight_decay, iterations: 0, moments: Vec::new() }
    }

    /// What it remembers, for a checkpoint: `iterations` first, then vectors named `slot/layer/weight`.
    #[must_use]
    pub fn state(&self) -> Vec<(String, Vec<f32>)> {
        let halves = [self.iterations >> 16, self.iterations & 0xffff];
        #[allow(clippy::cast_precision_loss, reason = "16 bits are exact")]
        let iterations = (ITERATIONS.to_owned(), halves.map(|half| half as f32).to_vec());
        core::iter::once(iterations).chain(self.moments.iter().cloned()).collect()
    }

    /// Goes on from a [`state`](Self::state) of an optimizer made alike.
    ///
    /// # Errors
    /// [`TrainError::OptimizerState`] for a state without its iterations. Whether the vectors fit the network shows in
    /// the next step.
    pub fn restore(&mut self, state: Vec<(String, Vec<f32>)>) -> Result<(), TrainError> {
        let mut state = state.into_iter();
        let first = state.next();
        let found = match &first {
            Some((name, halves)) if name == ITERATIONS => match halves[..] {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "saturates"
                )]
                [high, low] => Some(((high as u32) << 16) | (low as u32 & 0xffff)),
                _ => None,
            },
            _ => None,
        };
        let Some(iterations) = found else {
            let found = first.map_or_else(|| "nothing".to_owned(), |(name, _)| name);
            return Err(TrainError::OptimizerState { expected: ITERATIONS.to_owned(), found });
        };
        self.iterations = iterations;
        self.moments = state.collect();
        Ok(())
    }

    /// Moves every parameter against its gradient.
    pub(super) fn apply(
        &mut self,
        parameters: &mut [Parameter<'_>],
        rate: f32,
    ) -> Result<(), TrainError> {
        self.fit_moments(parameters)?;
        self.iterations = self.iterations.saturating_add(1);
        let mut moments = self.moments.chunks_exact_mut(self.rule.slots().len().max(1));
        for parameter in parameters {
            let decays = matches!(
                parameter.role,
                WeightRole::Kernel | WeightRole::DepthwiseKernel | WeightRole::DenseKernel
            );
            if self.weight_decay != 0.0 && decays {
                let keep = 1.0 - rate * self.weight_decay;
                parameter.values.iter_mut().for_each(|value| *value *= keep);
            }
            let ones = || core::iter::repeat_n(1.0, parameter.gradient.len()).collect();
            let units: Vec<f32> = parameter.units.take().unwrap_or_else(ones);
            // By the chain rule a weight counted in larger units has a larger gradient.
            let gradients = parameter.gradient.iter().zip(&units).map(|(slope, unit)| slope * unit);
            let pairs = parameter.values.iter_mut().zip(&units).zip(gradients);
            match (self.rule, moments.next()) {
                (Rule::Sgd { momentum, nesterov }, Some([(_, velocity)])) => {
                    for (((value, unit), gradient), velocity) in pairs.zip(velocity) {
                        *velocity = momentum * *velocity - rate * gradient;
                        *value += unit
                            * if nesterov {
                                momentum * *velocity - rate * gradient
                            } else {
                                *velocity
                            };
                    }
                }
                (Rule::Adam { beta1, beta2, epsilon }, Some([(_, first), (_, second)])) => {
                    let rate = rate * bias_correction(beta1, beta2, self.iterations);
                    for ((((value, unit), gradient), first), second) in pairs.zip(first).zip(second)
                    {
                        *first += (gradient - *first) * (1.0 - beta1);
                        *second += (gradient * gradient - *second) * (1.0 - beta2);
                        *value -= unit * (rate * *first / (second.sqrt() + epsilon));
                    }
                }
                _ => pairs.for_each(|((value, unit), gradient)| *value -= unit * (rate * gradient)),
            }
        }
        Ok(())
    }

    /// Zeros for a first step; otherwise proves that the vectors are those of `parameters`.
    fn fit_moments(&mut self, parameters: &[Parameter<'_>]) -> Result<(), TrainError> {
        let slots = self.rule.slots();
        let needed = parameters.iter().flat_map(|parameter| {
            slots.iter().map(|slot| (format!("{slot}/{}", parameter.name), parameter.values.len()))
        });
        if self.moments.is_empty() {
            self.moments = needed.map(|(name, len)| (name, vec![0.0; len])).collect();
            return Ok(());
        }
        let mut found = self.moments.iter();
        let describe = |name: &str, len: usize| format!("`{name}` of {len} values");
        for (name, len) in needed {
            let there = found.next();
            if there.is_none_or(|(other, values)| *other != name || values.len() != len) {
                let found = there.map_or("nothing".to_owned(), |(n, v)| describe(n, v.len()));
                return Err(TrainError::OptimizerState { expected: describe(&name, len), found });
            }
        }
        match found.next() {
            None => Ok(()),
            Some((name, values)) => Err(TrainError::OptimizerState {
                expected: "nothing more".to_owned(),
                found: describe(name, values.len()),
            }),
        }
    }
}

impl Rule {
    fn slots(self) -> &'static [&'static str] {
        match self {
            Self::Sgd { momentum: 0.0, .. } => &[],
            Self::Sgd { .. } => &["momentum"],
            Self::Adam { .. } => &["first", "second"],
        }
    }
}

/// `sqrt(1 - beta2^t) / (1 - beta1^t)`.
fn bias_correction(beta1: f32, beta2: f32, iterations: u32) -> f32 {
    let left = |beta: f32| 1.0 - libm::pow(f64::from(beta), f64::from(iterations));
    #[allow(clippy::cast_possible_truncation, reason = "a factor of the learning rate")]
    let correction = (left(beta2).sqrt() / left(beta1)) as f32;
    correction
}

const ITERATIONS: &str = "iterations";

#[cfg(test)]
mod tests {
    use super::*;

    /// Two steps over one weight of 1.0 with gradients 0.5 and -0.25.
    fn two_steps(mut optimizer: Optimizer, role: WeightRole) -> (f32, Optimizer) {
        let mut values = [1.0];
        for gradient in [[0.5], [-0.25]] {
            let parameter = Parameter {
                name: "layer/weight".to_owned(),
                role,
                values: &mut values,
                gradient: &gradient,
                units: None,
            };
            optimizer.apply(&mut [parameter], 0.1).unwrap();
        }
        (values[0], optimizer)
    }

    fn close(a: f32, b: f32) {
        assert!((a - b).abs() < 1e-6, "{a} is not {b}");
    }

    #[test]
    fn rules_equal_their_formulas() {
        let kernel = WeightRole::Kernel;
        close(two_steps(Optimizer::sgd(0.0, false, 0.0), kernel).0, 1.0 - 0.05 + 0.025);
        // Velocities -0.05 and -0.045 + 0.025 = -0.02.
        close(two_steps(Optimizer::sgd(0.9, false, 0.0), kernel).0, 1.0 - 0.05 - 0.02);
        close(
            two_steps(Optimizer::sgd(0.9, true, 0.0), kernel).0,
            1.0 + (0.9 * -0.05 - 0.05) + (0.9 * -0.02 + 0.025),
        );
        // Step 1 moves by the rate. Step 2: m = 0.045 - 0.025 = 0.02, v = 0.00024975 + 0.0000625.
        let second = 0.1 * (0.001_999_f32.sqrt() / 0.19) * 0.02 / 0.000_312_25_f32.sqrt();
        close(two_steps(Optimizer::adam(0.9, 0.999, 0.0), kernel).0, 0.9 - second);
    }

    #[test]
    fn decay_spares_biases_and_batch_norms() {
        let decayed = Optimizer::sgd(0.0, false, 0.5);
        let once = 1.0 * 0.95 - 0.05;
        close(two_steps(decayed.clone(), WeightRole::DenseKernel).0, once * 0.95 + 0.025);
        for role in [WeightRole::Bias, WeightRole::Gamma, WeightRole::Beta] {
            close(two_steps(decayed.clone(), role).0, 0.975);
        }
    }

    #[test]
    fn a_restored_optimizer_goes_on_alike() {
        let (_, trained) = two_steps(Optimizer::adamw(0.9, 0.999, 1e-7, 0.1), WeightRole::Kernel);
        let mut restored = Optimizer::adamw(0.9, 0.999, 1e-7, 0.1);
        restored.restore(trained.state()).unwrap();
        assert_eq!(restored, trained);
        assert!(restored.restore(Vec::new()).is_err());
        let (mut values, gradient) = ([1.0, 2.0], [0.0; 2]);
        let other = Parameter {
            name: "other/weight".to_owned(),
            role: WeightRole::Kernel,
            values: &mut values,
            gradient: &gradient,
            units: None,
        };
        let error = restored.clone().apply(&mut [other], 0.1).unwrap_err();
        assert!(matches!(error, TrainError::OptimizerState { .. }), "{error}");
    }
}
