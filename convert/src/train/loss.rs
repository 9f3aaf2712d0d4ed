//! Cross-entropy of the final softmax.

/// What the pictures' scores are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth<'a> {
    /// `[pictures, classes]`.
    pub(super) targets: &'a [f32],
    /// `[pictures]`; 1 when absent.
    pub(super) weights: Option<&'a [f32]>,
    pub(super) classes: usize,
    /// Pictures in the whole batch, which the loss is the mean over.
    pub(super) batch: usize,
    /// The softmax's factor.
    pub(super) beta: f32,
}

impl Truth<'_> {
    /// Sum of the losses and number of right answers; writes the slopes of the batch's mean loss by the scores.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "f64 sums")]
    pub(super) fn cross_entropy(self, scores: &[f32], slopes: &mut [f32]) -> (f64, usize) {
        let Self { targets, weights, classes, batch, beta } = self;
        let rows = scores.chunks_exact(classes).zip(targets.chunks_exact(classes));
        let (mut loss, mut correct) = (0.0, 0);
        for (picture, ((scores, targets), slopes)) in
            rows.zip(slopes.chunks_exact_mut(classes)).enumerate()
        {
            let weight = f64::from(weights.map_or(1.0, |weights| weights[picture]));
            let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let power = |score: f32| f64::from(beta) * (f64::from(score) - f64::from(max));
            let sum: f64 = scores.iter().map(|&score| power(score).exp()).sum();
            let mass: f64 = targets.iter().map(|&target| f64::from(target)).sum();
            let factor = weight * f64::from(beta) / batch as f64;
            for ((score, target), slope) in scores.iter().zip(targets).zip(slopes) {
                let target = f64::from(*target);
                loss += weight * target * (sum.ln() - power(*score));
                *slope = (factor * (power(*score).exp() / sum * mass - target)) as f32;
            }
            correct += usize::from(first_largest(scores) == first_largest(targets));
        }
        (loss, correct)
    }
}

fn first_largest(values: &[f32]) -> Option<usize> {
    (0..values.len()).reduce(|best, at| if values[at] > values[best] { at } else { best })
}
