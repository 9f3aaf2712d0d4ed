//! `mote bench`: how fast a blob runs on this machine.

use core::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use mote_engine::{Observer, Op};
use serde::Serialize;

use super::output::{Output, grouped, table};
use super::source::{isa, open_blob};
use crate::blob::{Blob, Runner};

/// Times a blob on this machine.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A blob (.mote).
    blob: PathBuf,
    /// Kernels to run on. Default: the fastest of this machine.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
    /// Threads that share the work of a run.
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN)]
    threads: NonZeroUsize,
    /// Show every layer.
    #[arg(long)]
    layers: bool,
    /// Timed runs.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

#[derive(Debug, Serialize)]
struct Report {
    isa: &'static str,
    threads: NonZeroUsize,
    runs: usize,
    median_us: f64,
    min_us: f64,
    /// Half of the runs lie between the quartiles.
    quartiles_us: [f64; 2],
    macs: u64,
    gmac_per_s: f64,
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    r#type: &'static str,
    median_us: f64,
    min_us: f64,
    macs: u64,
    gmac_per_s: f64,
    share: f64,
}

/// Times every operation of every run.
struct Stopwatch {
    started: Instant,
    layers: Vec<Vec<f64>>,
}

impl Observer for Stopwatch {
    fn before(&mut self, _: usize, _: &Op<'_>) {
        self.started = Instant::now();
    }

    fn after(&mut self, index: usize, _: &Op<'_>, _: &[i8]) {
        self.layers[index].push(micros(self.started));
    }
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    const WARM_UP: usize = 3;
    let blob = open_blob(&args.blob)?;
    let isa = isa(args.isa.as_deref())?;
    let model = blob.model();
    let mut runner = Runner::new(&blob, isa)?.with_threads(args.threads)?;
    let input = blob.quantize_input(&pattern(model.input().len()));
    for _ in 0..WARM_UP {
        runner.run(&input);
    }
    let runs = usize::from(args.runs);
    let progress = output.progress(runs, "timing");
    let mut whole = Vec::with_capacity(runs);
    let mut watch =
        Stopwatch { started: Instant::now(), layers: vec![Vec::new(); model.op_count()] };
    for _ in 0..runs {
        let started = Instant::now();
        core::hint::black_box(runner.run(&input));
        whole.push(micros(started));
        if args.layers {
            runner.run_observed(&input, &mut watch);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    output.report(&report(&blob, isa.name(), args.threads, whole, watch.layers), text)
}

/// A fixed input without structure; timings do not depend on it.
fn pattern(len: usize) -> Vec<f32> {
    let value = |index: usize| (index.wrapping_mul(151) >> 2).to_le_bytes()[0].cast_signed();
    (0..len).map(|index| f32::from(value(index)) / 128.0).collect()
}

fn micros(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e6
}

fn report(
    blob: &Blob,
    isa: &'static str,
    threads: NonZeroUsize,
    mut whole: Vec<f64>,
    layers: Vec<Vec<f64>>,
) -> Report {
    let model = blob.model();
    whole.sort_by(f64::total_cmp);
    let macs = |index: usize| model.op(index).map_or(0, |op| op.macs());
    let total: u64 = (0..model.op_count()).map(macs).sum();
    let mut rows = Vec::new();
    for (index, mut times) in layers.into_iter().enumerate().filter(|(_, t)| !t.is_empty()) {
        times.sort_by(f64::total_cmp);
        let median = quantile(&times, 2);
        rows.push(Layer {
            name: blob.name(index + 1),
            r#type: model.kind(index).map_or("", mote_engine::OpKind::name),
            median_us: median,
            min_us: times[0],
            macs: macs(index),
            gmac_per_s: rate(macs(index), median),
            share: 0.0,
        });
    }
    let sum: f64 = rows.iter().map(|row| row.median_us).sum();
    for row in &mut rows {
        row.share = row.median_us / sum;
    }
    let median = quantile(&whole, 2);
    Report {
        isa,
        threads,
        runs: whole.len(),
        median_us: median,
        min_us: whole[0],
        quartiles_us: [quantile(&whole, 1), quantile(&whole, 3)],
        macs: total,
        gmac_per_s: rate(total, median),
        layers: rows,
    }
}

/// The `quarter`-th quartile of sorted values.
fn quantile(sorted: &[f64], quarter: usize) -> f64 {
    sorted[(sorted.len() - 1) * quarter / 4]
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(macs: u64, micros: f64) -> f64 {
    macs as f64 / micros / 1e3
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    if !report.layers.is_empty() {
        let mut table =
            table(&["layer", "type", "median us", "min us", "MACs", "GMAC/s", "share"], 2);
        for layer in &report.layers {
            table.add_row([
                layer.name.clone(),
                layer.r#type.to_owned(),
                format!("{:.1}", layer.median_us),
                format!("{:.1}", layer.min_us),
                grouped(layer.macs),
                format!("{:.2}", layer.gmac_per_s),
                format!("{:.1} %", layer.share * 100.0),
            ]);
        }
        text.push_str(&format!("{table}\n"));
    }
    text.push_str(&format!(
        "{}, threads {}: median {:.1} us, min {:.1} us, half of {} runs within {:.1} to {:.1} us; \
         {} MACs, {:.2} GMAC/s\n",
        report.isa,
        report.threads,
        report.median_us,
        report.min_us,
        report.runs,
        report.quartiles_us[0],
        report.quartiles_us[1],
        grouped(report.macs),
        report.gmac_per_s,
    ));
    text
}
