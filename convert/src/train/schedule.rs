//! How the learning rate changes over a training.

use core::f32::consts::PI;

/// The learning rate's factor, step by step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// 1 all the time.
    #[default]
    Constant,
    /// Rises over the warm-up, then falls along half a cosine.
    Cosine {
        /// Steps of the linear rise from 0 to 1.
        warm_up: usize,
        /// The factor at the end.
        floor: f32,
    },
    /// Rises over the warm-up, then is multiplied every so many steps.
    Step {
        /// Steps of the linear rise from 0 to 1.
        warm_up: usize,
        /// Steps between two changes; 0 for none.
        every: usize,
        /// What each change multiplies by.
        factor: f32,
    },
}

impl Schedule {
    /// Factor of the learning rate in `step` of `total_steps`, counted from 0.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "steps are far below 2^24")]
    pub fn rate(self, step: usize, total_steps: usize) -> f32 {
        let warm_up = match self {
            Self::Constant => 0,
            Self::Cosine { warm_up, .. } | Self::Step { warm_up, .. } => warm_up,
        };
        if step < warm_up {
            return (step + 1) as f32 / (warm_up + 1) as f32;
        }
        let since = step - warm_up;
        match self {
            Self::Constant => 1.0,
            Self::Cosine { floor, .. } => {
                let last = total_steps.saturating_sub(warm_up + 1).max(1);
                let progress = (since as f32 / last as f32).min(1.0);
                floor + (1.0 - floor) * 0.5 * (1.0 + libm::cosf(PI * progress))
            }
            Self::Step { every, factor, .. } => {
                let changes = since.checked_div(every).unwrap_or(0);
                libm::powf(factor, changes as f32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_rise_and_fall() {
        assert_eq!(Schedule::Constant.rate(7, 10), 1.0);
        let cosine = Schedule::Cosine { warm_up: 3, floor: 0.1 };
        let rates: Vec<f32> = (0..14).map(|step| cosine.rate(step, 14)).collect();
        assert_eq!(rates[..4], [0.25, 0.5, 0.75, 1.0]);
        assert!(rates[3..].windows(2).all(|pair| pair[1] < pair[0]), "{rates:?}");
        assert!((rates[13] - 0.1).abs() < 1e-6, "{rates:?}");
        assert!((rates[8] - 0.55).abs() < 1e-6, "{rates:?}");
        assert!((cosine.rate(99, 14) - 0.1).abs() < 1e-6);
        let step = Schedule::Step { warm_up: 1, every: 2, factor: 0.5 };
        let rates: Vec<f32> = (0..7).map(|at| step.rate(at, 7)).collect();
        assert_eq!(rates, [0.5, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
        assert_eq!(Schedule::Step { warm_up: 0, every: 0, factor: 0.5 }.rate(9, 9), 1.0);
    }
}
