//! One phase of a run: a frozen part, a trained part, epochs over the data.

use core::time::Duration;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use super::checkpoint::{Checkpoint, State, Stored, Weights, weights_of, with_weights};
use super::features::{Feed, Prefix};
use super::pictures::Variant;
use super::run_log::{Epoch, Event, write_log};
use super::session::{Job, is_untrained, restore};
use super::{Augment, BatchNorms, FitError, Pictures, Scores, Watch};
use super::{cut_before, join, split};
use crate::graph::{Graph, NodeId, Op};
use crate::random::SplitMix;
use crate::train::{Batch, Optimizer, Schedule, Trainer};

/// Pictures that are evaluated at once.
const EVALUATED: usize = 64;
/// Batches that wait, at most, while the trainer is busy.
const AHEAD: usize = 2;

/// A run at work.
pub(super) struct Run<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) watch: &'a dyn Watch,
    /// The log's beginning.
    pub(super) events: Vec<Event>,
    pub(super) checkpoint: PathBuf,
    pub(super) log: PathBuf,
    /// Time spent on features.
    pub(super) preparation: Duration,
}

/// A phase that is over.
pub(super) struct Outcome {
    /// The network with the best weights.
    pub(super) graph: Graph,
    pub(super) stopped_early: bool,
}

/// What the epochs of a phase share.
struct Plan<'a> {
    train: Feed<'a>,
    validation: Feed<'a>,
    schedule: Schedule,
    steps: usize,
    epochs: usize,
    rate: f32,
    strategy: String,
    class_weights: Option<&'a [f32]>,
}

impl Run<'_> {
    /// Trains from where `state` says to the end of its phase.
    pub(super) fn phase(
        &mut self,
        graph: Graph,
        state: &mut State,
        stored: Option<Stored>,
    ) -> Result<Outcome, FitError> {
        let (job, recipe) = (self.job, self.job.recipe);
        let phase = &recipe.phases[state.phase];
        let start = phase.strategy.start(&graph, job.network.head)?;
        let graph = self.freeze(graph, start);
        let start_weights = (state.phase > 0).then(|| weights_of(&graph));
        let rounds = recipe.rounds_in(state.phase);
        let graph = if rounds { self.rounded(graph, state)? } else { graph };
        let (frozen, suffix) =
            match first_learning(&graph, start).and_then(|id| cut_before(&graph, id)) {
                Some(cut) => {
                    let parts = split(&graph, cut)?;
                    (Some(parts.prefix), parts.suffix)
                }
                None => (None, graph),
            };
        let began = Instant::now();
        let mut prefix = match &frozen {
            Some(frozen) => Prefix::new(frozen.clone(), recipe.features, job.train, self.watch)?,
            None => Prefix::Nothing,
        };
        let cache = job.cache.as_deref();
        let mut feed = |pictures, augment| {
            Feed::new(pictures, &mut prefix, augment, recipe.seed, cache, self.watch)
        };
        let steps = job.train.len().div_ceil(recipe.batch);
        let plan = Plan {
            train: feed(job.train, recipe.augment)?,
            validation: feed(job.validation, Augment::NONE)?,
            schedule: recipe.schedule(phase.epochs, steps),
            steps,
            epochs: phase.epochs,
            rate: phase.rate,
            strategy: format!("{}{}", phase.strategy, if rounds { " (int8)" } else { "" }),
            class_weights: recipe.class_weights.as_deref(),
        };
        self.preparation += began.elapsed();

        let (suffix, mut best, remembered) = restore(stored, suffix, &self.checkpoint)?;
        let mut optimizer = recipe.optimizer();
        if !remembered.is_empty() {
            optimizer.restore(remembered)?;
        }
        let mut trainer =
            if rounds { Trainer::quantization_aware(suffix) } else { Trainer::new(suffix) }?;
        let tired = |state: &State| recipe.patience.is_some_and(|most| state.waited >= most);
        while state.epochs < plan.epochs && !tired(state) {
            let began = Instant::now();
            let (loss, accuracy) =
                self.epoch(&plan, state, &mut trainer, &mut optimizer, &mut prefix)?;
            let scores = scores(job.validation, |places| {
                let inputs = plan.validation.batch(places, None, &mut prefix)?;
                Ok(trainer.predict(&inputs)?.to_vec())
            })?;
            state.epochs += 1;
            let is_best = judge(state, &scores);
            if is_best {
                best = weights_of(trainer.graph());
            }
            let epoch = Epoch {
                phase: state.phase,
                strategy: plan.strategy.clone(),
                epoch: state.epochs,
                rate: plan.rate_of(state.epochs * plan.steps - 1),
                loss,
                accuracy,
                validation_loss: scores.loss,
                validation_accuracy: scores.accuracy,
                best: is_best,
                seconds: began.elapsed().as_secs_f64(),
            };
            state.history.push(epoch.clone());
            let now = weights_of(trainer.graph());
            self.keep(state, now, &best, start_weights.as_ref(), &optimizer)?;
            self.watch.epoch(&epoch);
        }
        let suffix = with_weights(trainer.graph(), &best).map_err(|f| f.at(&self.checkpoint))?;
        let graph = match &frozen {
            Some(frozen) => join(frozen, &suffix)?,
            None => suffix,
        };
        Ok(Outcome { graph, stopped_early: state.epochs < plan.epochs })
    }

    /// Marks what learns: everything from `start` on, but the base's batch norms as the recipe says.
    fn freeze(&self, mut graph: Graph, start: NodeId) -> Graph {
        let freeze_norms = match self.job.recipe.batch_norms {
            BatchNorms::Auto => !is_untrained(&self.job.network.graph),
            BatchNorms::Train => false,
            BatchNorms::Freeze => true,
        };
        let head = self.job.network.head;
        graph.set_trainable_by(|id, node| {
            let is_norm = matches!(node.op, Op::BatchNorm { .. }) && id < head;
            id >= start && !matches!(node.op, Op::Input) && !(freeze_norms && is_norm)
        });
        graph
    }

    /// Every picture once, in a random order; mean loss and accuracy of the steps.
    fn epoch(
        &self,
        plan: &Plan<'_>,
        state: &State,
        trainer: &mut Trainer,
        optimizer: &mut Optimizer,
        prefix: &mut Prefix,
    ) -> Result<(f64, f64), FitError> {
        let (train, recipe) = (self.job.train, self.job.recipe);
        let epoch = ((state.phase as u64) << 32) + state.epochs as u64;
        let mut order: Vec<usize> = (0..train.len()).collect();
        SplitMix::of(&[recipe.seed, epoch, ORDER]).shuffle(&mut order);
        self.watch.stage("training", plan.steps);
        let (mut loss, mut correct) = (0.0, 0);
        thread::scope(|scope| {
            let (send, receive) = sync_channel(AHEAD);
            let batches = || order.chunks(recipe.batch);
            scope.spawn(move || {
                for places in batches() {
                    // Nobody listens any more when a step went wrong.
                    if send.send(plan.train.batch(places, Some(epoch), prefix)).is_err() {
                        break;
                    }
                }
            });
            for (index, (places, inputs)) in batches().zip(receive).enumerate() {
                let inputs = inputs?;
                let step = state.epochs * plan.steps + index;
                let labels: Vec<usize> =
                    places.iter().map(|&place| train.labels()[place]).collect();
                let targets = targets(&labels, train.classes().len(), recipe.label_smoothing);
                let weights: Option<Vec<f32>> = (plan.class_weights)
                    .map(|weights| labels.iter().map(|&label| weights[label]).collect());
                let batch = Batch {
                    inputs: &inputs,
                    targets: &targets,
                    sample_weights: weights.as_deref(),
                    seed: SplitMix::of(&[recipe.seed, epoch, index as u64, DROPOUT]).next(),
                };
                let report = trainer.step(&batch, optimizer, plan.rate_of(step))?;
                loss += f64::from(report.loss) * ratio(places.len(), train.len());
                correct += report.correct;
                self.watch.tick(1);
            }
            Ok((loss, ratio(correct, train.len())))
        })
    }

    /// Writes the checkpoint, then the log.
    fn keep(
        &self,
        state: &State,
        now: Weights,
        best: &Weights,
        start: Option<&Weights>,
        optimizer: &Optimizer,
    ) -> Result<(), FitError> {
        let checkpoint = Checkpoint {
            state: state.clone(),
            now,
            best: best.clone(),
            start: start.cloned(),
            optimizer: optimizer.state(),
        };
        checkpoint.write(&self.checkpoint)?;
        let mut events = self.events.clone();
        events.extend(state.history.iter().cloned().map(Event::Epoch));
        Ok(write_log(&self.log, &events)?)
    }

    /// Measures a whole network; as its blob answers, if it states its quantization.
    pub(super) fn evaluate(&self, graph: &Graph, pictures: &Pictures) -> Result<Scores, FitError> {
        let mut network = Prefix::whole(graph)?;
        // Half a step of int8 scores: below it they say nothing.
        let smallest = if graph.is_quantized() { 1.0 / 512.0 } else { 0.0 };
        self.watch.stage("evaluating", pictures.len());
        scores(pictures, |places| {
            let outputs = network.run(pictures.tensors(places, Variant::Plain)?)?;
            self.watch.tick(places.len());
            Ok(outputs.into_iter().map(|score| score.max(smallest)).collect())
        })
    }
}

impl Plan<'_> {
    fn rate_of(&self, step: usize) -> f32 {
        self.rate * self.schedule.rate(step, self.epochs * self.steps)
    }
}

/// The first node that must be run anew in every step: it learns, or drops at random.
fn first_learning(graph: &Graph, start: NodeId) -> Option<NodeId> {
    let anew = |(id, node): &(NodeId, &crate::graph::Node)| {
        let drops = matches!(node.op, Op::Dropout { .. }) && *id >= start;
        node.trainable_parameters() > 0 || drops
    };
    graph.iter().find(anew).map(|(id, _)| id)
}

/// `[n, classes]`.
fn targets(labels: &[usize], classes: usize, smoothing: f32) -> Vec<f32> {
    #[expect(clippy::cast_precision_loss, reason = "a number of classes")]
    let floor = smoothing / classes as f32;
    let mut targets = vec![floor; labels.len() * classes];
    for (row, &label) in targets.chunks_exact_mut(classes).zip(labels) {
        row[label] += 1.0 - smoothing;
    }
    targets
}

/// Notes what is better than ever; whether these weights are the ones to keep: those with the
/// highest accuracy, of equals those with the lowest loss.
fn judge(state: &mut State, scores: &Scores) -> bool {
    let better_loss = scores.loss < state.best_loss;
    let better_accuracy = scores.accuracy > state.best_accuracy;
    let keep = better_accuracy
        || (scores.accuracy >= state.best_accuracy && scores.loss < state.kept_loss);
    state.waited = if better_loss || better_accuracy { 0 } else { state.waited + 1 };
    state.best_loss = state.best_loss.min(scores.loss);
    state.best_accuracy = state.best_accuracy.max(scores.accuracy);
    if keep {
        state.kept_loss = scores.loss;
    }
    keep
}

/// Cross-entropy and answers over all pictures; `predict` gives a row of class scores for each place.
pub(super) fn scores(
    pictures: &Pictures,
    mut predict: impl FnMut(&[usize]) -> Result<Vec<f32>, FitError>,
) -> Result<Scores, FitError> {
    const SMALLEST: f32 = 1e-12;
    let classes = pictures.classes().len();
    let mut scores = Scores { confusion: vec![vec![0; classes]; classes], ..Scores::default() };
    let places: Vec<usize> = (0..pictures.len()).collect();
    let mut correct = 0;
    for batch in places.chunks(EVALUATED) {
        let outputs = predict(batch)?;
        for (&place, row) in batch.iter().zip(outputs.chunks_exact(classes)) {
            let label = pictures.labels()[place];
            let best = crate::rank::best(row);
            correct += usize::from(best == label);
            scores.confusion[label][best] += 1;
            scores.loss -= f64::from(row[label].max(SMALLEST)).ln() * ratio(1, pictures.len());
        }
    }
    scores.accuracy = ratio(correct, pictures.len());
    Ok(scores)
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// Keeps the streams of random numbers apart.
const ORDER: u64 = 1;
const DROPOUT: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_gives_every_class_its_share() {
        assert_eq!(targets(&[2, 0], 3, 0.0), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let smooth = targets(&[1], 4, 0.2);
        for (found, expected) in smooth.iter().zip([0.05, 0.85, 0.05, 0.05]) {
            assert!((found - expected).abs() < 1e-6, "{smooth:?}");
        }
    }

    #[test]
    fn either_loss_or_accuracy_keeps_a_phase_going() {
        let mut state = State::new(String::new());
        let mut judge = |loss, accuracy| {
            let keep = judge(&mut state, &Scores { loss, accuracy, confusion: Vec::new() });
            (keep, state.waited)
        };
        assert_eq!(judge(2.0, 0.5), (true, 0));
        assert_eq!(judge(1.0, 0.4), (false, 0), "only the loss is better");
        assert_eq!(judge(1.5, 0.5), (true, 1), "as many right, at a lower loss than those kept");
        assert_eq!(judge(1.6, 0.5), (false, 2));
        assert_eq!(judge(3.0, 0.6), (true, 0), "only the accuracy is better");
    }
}
