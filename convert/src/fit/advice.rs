//! The rule of thumb of transfer learning: what to train, by how much data there is and how much it
//! looks like what the base knows.

use serde::{Deserialize, Serialize};

use super::pictures::Variant;
use super::{FitError, Pictures, Start, Strategy, Watch};
use crate::graph::{Graph, Shape};
use crate::passes;
use crate::train::Predictor;

/// What the rule says, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// What to train.
    pub strategy: Strategy,
    /// Pictures of the class that has fewest.
    pub pictures_a_class: usize,
    /// Whether those are many: [`Advice::MANY_PICTURES`] or more.
    pub much: bool,
    /// Accuracy of the nearest class mean over the base's features, corrected for chance: 0 is
    /// guessing, 1 is always right. `None` if the user told.
    pub separation: Option<f64>,
    /// Whether the data is similar to what the base knows: [`Advice::SIMILAR`] or more.
    pub similar: bool,
}

impl Advice {
    /// Pictures a class from which on there is much data.
    pub const MANY_PICTURES: usize = 1000;
    /// Separation from which on the base's features fit the data.
    pub const SIMILAR: f64 = 0.5;

    /// Much and not similar: all. Much and similar, or little and not similar: partial. Little and
    /// similar: head.
    #[must_use]
    pub fn new(pictures_a_class: usize, separation: Option<f64>, similar: bool) -> Self {
        let much = pictures_a_class >= Self::MANY_PICTURES;
        let strategy = match (much, similar) {
            (true, false) => Strategy::All,
            (false, true) => Strategy::Head,
            _ => Strategy::Partial(Start::LastThird),
        };
        Self { strategy, pictures_a_class, much, separation, similar }
    }

    /// Measures similarity on up to 40 pictures a class, unless `told`: half of them give the class
    /// means of the base's features, the other half is told apart by the nearest one.
    ///
    /// # Errors
    /// [`FitError`] when pictures or base cannot be run.
    pub fn measure(
        base: &Graph,
        train: &Pictures,
        told: Option<bool>,
        watch: &dyn Watch,
    ) -> Result<Self, FitError> {
        let mut groups = vec![Vec::new(); train.classes().len()];
        for (place, &label) in train.labels().iter().enumerate() {
            groups[label].push(place);
        }
        let fewest = groups.iter().map(Vec::len).min().unwrap_or(0);
        if let Some(similar) = told {
            return Ok(Self::new(fewest, None, similar));
        }
        groups.retain(|group| group.len() >= 2);
        let mut predictor = Predictor::new(passes::standard(base.clone())?);
        watch.stage("similarity", groups.iter().map(|group| group.len().min(PROBED)).sum());
        let mut features = Vec::new();
        for group in &groups {
            // Spread over the class: neighbours in a folder are often shot together.
            let step = group.len().div_ceil(PROBED);
            let chosen: Vec<usize> = group.iter().step_by(step).copied().collect();
            let maps = predictor.predict(&train.tensors(&chosen, Variant::Plain)?)?;
            let rows = maps.chunks_exact(base.output_shape().elements());
            features.push(rows.map(|map| pooled(map, base.output_shape())).collect::<Vec<_>>());
            watch.tick(chosen.len());
        }
        let separation = separation(&features);
        Ok(Self::new(fewest, Some(separation), separation >= Self::SIMILAR))
    }
}

/// Pictures of a class that similarity is measured on.
const PROBED: usize = 40;

/// The mean over the map, of length 1.
fn pooled(map: &[f32], shape: Shape) -> Vec<f32> {
    let mut mean = vec![0.0; shape.channels()];
    for pixel in map.chunks_exact(mean.len()) {
        mean.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
    }
    let norm = mean.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    mean.iter_mut().for_each(|value| *value /= norm);
    mean
}

/// Chance-corrected accuracy of the nearest mean of the even samples on the odd ones, and the
/// other way round.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn separation(classes: &[Vec<Vec<f32>>]) -> f64 {
    if classes.len() < 2 {
        return 0.0;
    }
    let (mut right, mut all) = (0_usize, 0_usize);
    for half in [0, 1] {
        let means: Vec<Vec<f32>> = classes
            .iter()
            .map(|samples| {
                let chosen: Vec<&Vec<f32>> = samples.iter().skip(half).step_by(2).collect();
                let sum = |at: usize| chosen.iter().map(|sample| sample[at]).sum::<f32>();
                (0..samples[0].len()).map(|at| sum(at) / chosen.len() as f32).collect()
            })
            .collect();
        let distance =
            |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };
        for (label, samples) in classes.iter().enumerate() {
            for sample in samples.iter().skip(1 - half).step_by(2) {
                let near = |a: &usize, b: &usize| {
                    distance(sample, &means[*a]).total_cmp(&distance(sample, &means[*b]))
                };
                right += usize::from((0..means.len()).min_by(near) == Some(label));
                all += 1;
            }
        }
    }
    let chance = 1.0 / classes.len() as f64;
    (right as f64 / all.max(1) as f64 - chance) / (1.0 - chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_has_four_corners() {
        let strategy = |pictures, similar| Advice::new(pictures, None, similar).strategy;
        let partial = Strategy::Partial(Start::LastThird);
        assert_eq!(strategy(5000, false), Strategy::All);
        assert_eq!(strategy(5000, true), partial);
        assert_eq!(strategy(100, false), partial);
        assert_eq!(strategy(100, true), Strategy::Head);
    }

    #[test]
    fn separation_is_one_for_clusters_and_zero_for_noise() {
        let cluster = |x: f32| (0..20_u8).map(|i| vec![x + f32::from(i) * 1e-3, 1.0]).collect();
        assert_eq!(separation(&[cluster(0.0), cluster(1.0), cluster(2.0)]), 1.0);
        let mut random = crate::random::SplitMix::new(3);
        let mut noise = || (0..400).map(|_| vec![random.unit(), random.unit()]).collect();
        let found = separation(&[noise(), noise()]);
        assert!(found.abs() < 0.15, "{found}");
    }
}
