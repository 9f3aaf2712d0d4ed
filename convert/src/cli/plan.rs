//! `mote plan`: the memory map over time.

use core::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::output::{Output, grouped, table};
use super::source::open_blob;
use crate::blob::Blob;
use crate::files::write_atomic;
use crate::memory_map::{MemoryMap, svg};

/// Shows where every tensor lies in the arena, and when.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A blob (.mote).
    blob: PathBuf,
    /// Draw the map there.
    #[arg(long, value_name = "F.svg")]
    svg: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    arena_bytes: usize,
    /// The largest scratch of any operation.
    scratch_bytes: usize,
    /// Largest total that is needed at one time: no plan can be smaller.
    lower_bound_bytes: usize,
    tensors: Vec<Tensor>,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    offset: usize,
    bytes: usize,
    first_op: usize,
    last_op: usize,
    in_place: bool,
}

#[derive(Debug, Serialize)]
struct Step {
    op: usize,
    name: String,
    live_bytes: usize,
    scratch_bytes: usize,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let blob = open_blob(&args.blob)?;
    let map = MemoryMap::of(&blob);
    if let Some(path) = &args.svg {
        write_atomic(path, svg(&map).as_bytes())?;
    }
    output.report(&report(&blob, &map), |report| text(report, &map))
}

fn report(blob: &Blob, map: &MemoryMap) -> Report {
    let steps: Vec<Step> = (0..map.ops)
        .map(|op| Step {
            op,
            name: blob.name(op + 1),
            live_bytes: map.live_bytes(op),
            scratch_bytes: map.scratch_bytes(op),
        })
        .collect();
    Report {
        arena_bytes: map.arena_bytes,
        scratch_bytes: steps.iter().map(|step| step.scratch_bytes).max().unwrap_or(0),
        lower_bound_bytes: steps.iter().map(|step| step.live_bytes).max().unwrap_or(0),
        tensors: map
            .windows
            .iter()
            .filter(|window| !window.is_scratch)
            .map(|window| Tensor {
                name: window.name.clone(),
                offset: window.range.start,
                bytes: window.range.len(),
                first_op: window.first_op,
                last_op: window.last_op,
                in_place: window.in_place,
            })
            .collect(),
        steps,
    }
}

/// One line an operation: a bar of the arena in which taken bytes are marked.
fn text(report: &Report, map: &MemoryMap) -> String {
    const CELLS: usize = 48;
    let mut table = table(&["operation", "arena", "live", "scratch"], 2);
    for step in &report.steps {
        let mut bar = vec!['.'; CELLS];
        for window in map.at(step.op) {
            let cell = |byte: usize| byte * CELLS / map.arena_bytes.max(1);
            let mark = if window.is_scratch {
                '#'
            } else if window.last_op == step.op {
                '-'
            } else {
                '='
            };
            let end = cell(window.range.end.saturating_sub(1)).min(CELLS - 1);
            bar[cell(window.range.start)..=end].fill(mark);
        }
        table.add_row([
            step.name.clone(),
            bar.into_iter().collect(),
            grouped(step.live_bytes as u64),
            grouped(step.scratch_bytes as u64),
        ]);
    }
    let mut text = format!("{table}\n");
    let _ = writeln!(text, "= kept   - read for the last time   # scratch   . free");
    let _ = writeln!(
        text,
        "arena {} bytes, of which scratch up to {}; the layers need at least {}",
        grouped(report.arena_bytes as u64),
        grouped(report.scratch_bytes as u64),
        grouped(report.lower_bound_bytes as u64),
    );
    text
}
