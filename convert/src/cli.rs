//! The `mote` command: arguments in, reports out. Everything it does is a call into the library.

mod bench;
mod evaluate;
mod export;
mod flash;
mod layers;
mod new;
mod output;
mod plan;
mod quantize;
mod report;
mod run;
mod send;
mod source;
mod summary;
mod train;
mod verify;
mod weights;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use output::Output;

/// A mistake in how the command was called: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Exit codes: 0 fine, 1 the job failed, 2 bad usage.
const FAILED: u8 = 1;
const BAD_USAGE: u8 = 2;

/// Puts an image network onto a chip: inspect, quantize, check, flash.
///
/// Start with `mote quantize model.h5 -o model.mote --calibration pictures/`, then
/// `mote run model.mote picture.jpg`.
///
/// MODEL is a Keras (.keras, .h5), ONNX, TensorFlow Lite or Mote (.safetensors) file, BLOB what `mote quantize` writes.
/// Exit codes: 0 fine, 1 the job failed, 2 bad usage.
#[derive(Debug, Parser)]
#[command(name = "mote", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Args),
    Summary(summary::Args),
    Layers(layers::Args),
    Weights(weights::Args),
    Train(Box<train::Args>),
    Report(report::Args),
    Quantize(quantize::Args),
    Run(run::Args),
    Evaluate(evaluate::Args),
    Verify(verify::Args),
    Plan(plan::Args),
    Bench(bench::Args),
    Export(export::Args),
    Flash(flash::Args),
    Send(send::Args),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    let outcome = match cli.command {
        Command::New(args) => new::run(&args, &output),
        Command::Summary(args) => summary::run(&args, &output),
        Command::Layers(args) => layers::run(&args, &output),
        Command::Weights(args) => weights::run(&args, &output),
        Command::Train(args) => train::run(&args, &output),
        Command::Report(args) => report::run(&args, &output),
        Command::Quantize(args) => quantize::run(&args, &output),
        Command::Run(args) => run::run(&args, &output),
        Command::Evaluate(args) => evaluate::run(&args, &output),
        Command::Verify(args) => verify::run(&args, &output),
        Command::Plan(args) => plan::run(&args, &output),
        Command::Bench(args) => bench::run(&args, &output),
        Command::Export(args) => export::run(&args, &output),
        Command::Flash(args) => flash::run(&args, &output),
        Command::Send(args) => send::run(&args, &output),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(if error.is::<Usage>() { BAD_USAGE } else { FAILED })
        }
    }
}
