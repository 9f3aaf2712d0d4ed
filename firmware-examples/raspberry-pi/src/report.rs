//! What is printed.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use mote_convert::blob::Class;
use serde::Serialize;

use crate::classifier::{Classifier, Layer, Outcome};

/// Prints as it goes.
pub(crate) struct Report {
    json: bool,
    /// A camera on a terminal: each line overwrites the one before.
    live: bool,
    rate: Rate,
    started: Instant,
    pictures: u64,
    skipped: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    picture: &'a str,
    top: &'a [Class],
    /// Whether the class of `--when` is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<bool>,
    prepare_ms: f64,
    run_ms: f64,
    fps: Option<f64>,
}

#[derive(Serialize)]
struct Skipped<'a> {
    picture: &'a str,
    error: String,
}

#[derive(Serialize)]
struct End {
    isa: &'static str,
    pictures: u64,
    skipped: u64,
    fps: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
}

impl Report {
    pub(crate) fn new(json: bool, camera: bool) -> Self {
        let live = camera && !json && io::stdout().is_terminal();
        let rate = Rate::default();
        Self { json, live, rate, started: Instant::now(), pictures: 0, skipped: 0 }
    }

    /// Pictures so far, the skipped ones with them.
    pub(crate) const fn seen(&self) -> u64 {
        self.pictures + self.skipped
    }

    pub(crate) const fn skipped(&self) -> u64 {
        self.skipped
    }

    pub(crate) fn picture(
        &mut self,
        name: &str,
        outcome: &Outcome,
        seen: Option<bool>,
    ) -> anyhow::Result<()> {
        self.pictures += 1;
        let fps = self.rate.tick(Instant::now());
        let line = Line {
            picture: name,
            top: &outcome.top,
            seen,
            prepare_ms: millis(outcome.prepare),
            run_ms: millis(outcome.run),
            fps,
        };
        if self.json {
            print(&serde_json::to_string(&line)?)?;
        } else if self.live {
            // To the start of the line, and away with the rest of the last one.
            write!(io::stdout().lock(), "\r{}\x1b[K", text(&line))?;
            io::stdout().flush()?;
        } else {
            print(&text(&line))?;
        }
        Ok(())
    }

    pub(crate) fn skip(&mut self, name: &str, error: &anyhow::Error) -> anyhow::Result<()> {
        self.skipped += 1;
        let error = format!("{error:#}");
        eprintln!("left out: {name}: {error}");
        if self.json {
            print(&serde_json::to_string(&Skipped { picture: name, error })?)?;
        }
        Ok(())
    }

    pub(crate) fn end(&self, classifier: &Classifier<'_>) -> anyhow::Result<()> {
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let fps = self.pictures as f64 / self.started.elapsed().as_secs_f64();
        let (pictures, skipped) = (self.pictures, self.skipped);
        let end = End {
            isa: classifier.isa().name(),
            pictures,
            skipped,
            fps,
            layers: classifier.layers(),
        };
        if self.json {
            return print(&serde_json::to_string(&end)?);
        }
        let mut text = String::from(if self.live { "\n" } else { "" });
        text += &table(&end.layers);
        let _ =
            write!(text, "{pictures} pictures with the kernels `{}`, {fps:.1} a second", end.isa);
        if skipped > 0 {
            let _ = write!(text, "; {skipped} left out");
        }
        print(&text)
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Such as `cat.png: cat 0.91, dog 0.06, fox 0.01; 3.2 + 12.4 ms, 62.0 a second; seen`.
fn text(line: &Line<'_>) -> String {
    let classes: Vec<String> =
        line.top.iter().map(|Class { label, score, .. }| format!("{label} {score:.2}")).collect();
    let mut text = format!(
        "{}: {}; {:.1} + {:.1} ms",
        line.picture,
        classes.join(", "),
        line.prepare_ms,
        line.run_ms
    );
    if let Some(fps) = line.fps {
        let _ = write!(text, ", {fps:.1} a second");
    }
    if line.seen == Some(true) {
        text += "; seen";
    }
    text
}

/// A line a layer; nothing without layers.
fn table(layers: &[Layer]) -> String {
    let mut text = String::new();
    if layers.is_empty() {
        return text;
    }
    let width = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0).max("layer".len());
    let sum: f64 = layers.iter().map(|layer| layer.mean_us).sum();
    let _ = writeln!(
        text,
        "{:<width$} {:<20} {:>11} {:>11} {:>11} {:>7}",
        "layer", "kind", "MAC", "mean us", "min us", "share"
    );
    for Layer { name, kind, mean_us, min_us, macs } in layers {
        let share = 100.0 * mean_us / sum;
        let _ = writeln!(
            text,
            "{name:<width$} {kind:<20} {macs:>11} {mean_us:>11.1} {min_us:>11.1} {share:>5.1} %"
        );
    }
    text
}

/// Pictures a second, over the last of them.
#[derive(Default)]
struct Rate(VecDeque<Instant>);

impl Rate {
    const WINDOW: usize = 30;

    /// One more picture is done; none after the first.
    fn tick(&mut self, now: Instant) -> Option<f64> {
        self.0.push_back(now);
        if self.0.len() > Self::WINDOW {
            self.0.pop_front();
        }
        let intervals = u32::try_from(self.0.len() - 1).ok().filter(|&intervals| intervals > 0)?;
        Some(f64::from(intervals) / (now - *self.0.front()?).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_pictures() {
        let (mut rate, mut now) = (Rate::default(), Instant::now());
        assert_eq!(rate.tick(now), None);
        for _ in 0..Rate::WINDOW {
            now += Duration::from_millis(500);
            assert!((rate.tick(now).unwrap() - 2.0).abs() < 1e-9);
        }
        for _ in 0..Rate::WINDOW {
            now += Duration::from_millis(100);
            rate.tick(now);
        }
        now += Duration::from_millis(100);
        assert!((rate.tick(now).unwrap() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_for_people() {
        let class = |label: &str, class, score| Class { label: label.to_owned(), class, score };
        let top = [class("cat", 3, 0.913), class("dog", 5, 0.06)];
        let line = Line {
            picture: "a.png",
            top: &top,
            seen: Some(true),
            prepare_ms: 3.16,
            run_ms: 12.44,
            fps: Some(62.0),
        };
        assert_eq!(text(&line), "a.png: cat 0.91, dog 0.06; 3.2 + 12.4 ms, 62.0 a second; seen");
        assert_eq!(
            text(&Line { seen: None, fps: None, ..line }),
            "a.png: cat 0.91, dog 0.06; 3.2 + 12.4 ms"
        );
        assert_eq!(table(&[]), "");
    }
}
