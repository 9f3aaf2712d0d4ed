//! Transfer learning: a network that knows something is taught something else.
//!
//! ```text
//! base --prepare--> base + classifier --per phase: split--> frozen prefix | suffix
//! pictures --prefix--> features (once, kept on disk) --suffix: Trainer--> weights --join--> Graph
//! ```
//!
//! A [`Recipe`] says what is trained and how, [`fit`] does it. The same recipe, base and data give
//! the same bits, with any number of threads and however often the run was interrupted.

mod advice;
mod augment;
mod checkpoint;
mod error;
mod features;
mod head;
mod phase;
mod pictures;
mod recipe;
mod rounding;
mod run_log;
mod session;
mod split;

pub use advice::Advice;
pub use augment::{Augment, AugmentError, Draw};
pub use checkpoint::checkpoint_path;
pub use error::FitError;
pub use features::cache_folder;
pub use head::{Head, with_head};
pub use pictures::Pictures;
pub use recipe::{BatchNorms, Decay, Phase, Precision, Recipe, Rule, Start, Strategy};
pub use rounding::Rounding;
pub use run_log::{Begin, End, Epoch, Event, Reached, Scores, log_path, read_log, write_log};
pub use session::{Job, Prepared, fit, is_untrained, prepare};
#[cfg(test)]
pub(crate) use split::tests::residual;
pub use split::{Split, cut_before, join, split};

/// Who is told how a run goes; the default hears nothing.
pub trait Watch: Sync {
    /// Something that takes `total` ticks begins.
    fn stage(&self, _what: &'static str, _total: usize) {}
    /// So many ticks are done.
    fn tick(&self, _count: usize) {}
    /// An epoch is over.
    fn epoch(&self, _epoch: &Epoch) {}
}

impl Watch for () {}
