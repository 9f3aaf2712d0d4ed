//! `mote export`: a blob as source code for a firmware project.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::Usage;
use super::output::{Output, grouped};
use super::source::open_blob;
use crate::export::{self, ExportError, Language};

/// Writes a blob as source code that a firmware project adds.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    language: Choice,
}

#[derive(Debug, Subcommand)]
enum Choice {
    /// A crate: the blob on its boundary, its constants, the engine with what the blob uses.
    Rust(Project),
    /// A header and a static library with the blob inside, which build.sh builds with cargo.
    C(Project),
}

#[derive(Debug, clap::Args)]
struct Project {
    /// A blob (.mote).
    blob: PathBuf,
    /// The project's folder.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// What functions and crate are called. Default: like the blob's file.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The folder `engine` of Mote's repository. Default: the one this command was built from.
    #[arg(long, value_name = "DIR")]
    engine: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    name: String,
    folder: &'a Path,
    files: Vec<PathBuf>,
    features: Vec<&'static str>,
    blob_bytes: usize,
    arena_bytes: usize,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    let (language, project) = match &args.language {
        Choice::Rust(project) => (Language::Rust, project),
        Choice::C(project) => (Language::C, project),
    };
    let blob = open_blob(&project.blob)?;
    let name = project.name.clone().unwrap_or_else(|| export::name_of(&project.blob));
    let engine = project.engine.clone().unwrap_or_else(export::engine);
    let exported = export::export(&blob, language, &name, &engine, &project.output);
    let exported = exported.map_err(|error| match error {
        ExportError::Name(_) | ExportError::TakenName(_) => Usage(error.to_string()).into(),
        error => anyhow::Error::from(error),
    })?;
    let report = Report {
        name,
        folder: &project.output,
        files: exported.files,
        features: exported.features,
        blob_bytes: blob.bytes().len(),
        arena_bytes: blob.model().arena_bytes(),
    };
    output.report(&report, text)
}

fn text(report: &Report<'_>) -> String {
    let mut text = format!(
        "{}: {} bytes of blob, {} bytes of arena; README.md there says how to use it\n",
        report.folder.display(),
        grouped(report.blob_bytes as u64),
        grouped(report.arena_bytes as u64),
    );
    for file in &report.files {
        text.push_str(&format!("  {}\n", file.display()));
    }
    text
}
