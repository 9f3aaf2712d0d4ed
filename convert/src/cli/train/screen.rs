//! What the user sees while a network trains.

use std::io::{self, IsTerminal};
use std::sync::Mutex;

use indicatif::ProgressBar;

use crate::cli::output::{Output, percent};
use crate::fit::{Epoch, Watch};

/// Bars where there is a terminal, else a line an epoch.
pub(super) struct Screen {
    output: Output,
    bar: Mutex<ProgressBar>,
}

impl Screen {
    pub(super) fn new(output: Output) -> Self {
        Self { output, bar: Mutex::new(ProgressBar::hidden()) }
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        if let Ok(mut bar) = self.bar.lock() {
            act(&mut bar);
        }
    }

    pub(super) fn clear(&self) {
        self.with(|bar| bar.finish_and_clear());
    }
}

impl Watch for Screen {
    fn stage(&self, what: &'static str, total: usize) {
        self.with(|bar| {
            bar.finish_and_clear();
            *bar = self.output.progress(total, what);
        });
    }

    fn tick(&self, count: usize) {
        self.with(|bar| bar.inc(count as u64));
    }

    fn epoch(&self, epoch: &Epoch) {
        let line = format!(
            "{} epoch {}: loss {:.4}, accuracy {}, validation loss {:.4}, accuracy {}{}",
            epoch.strategy,
            epoch.epoch,
            epoch.loss,
            percent(epoch.accuracy),
            epoch.validation_loss,
            percent(epoch.validation_accuracy),
            if epoch.best { " *" } else { "" },
        );
        if io::stderr().is_terminal() {
            self.with(|bar| bar.println(line));
        } else {
            self.output.note(line);
        }
    }
}
