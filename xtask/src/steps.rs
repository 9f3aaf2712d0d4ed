//! Runs commands one after another and says what each took.

use core::time::Duration;
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// Steps done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    /// Why it was not done.
    skipped: Option<String>,
}

impl Steps {
    /// Does one step; its failure ends everything and names it.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = work();
        let took = start.elapsed();
        if let Err(reason) = outcome {
            self.print_summary();
            println!("{name:<WIDTH$} {:>8}  FAILED", seconds(took));
            return Err(format!("step `{name}` failed: {reason}"));
        }
        self.done.push(Step { name, took, skipped: None });
        Ok(())
    }

    /// Leaves a step out, loudly.
    pub(crate) fn skip(&mut self, name: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        println!("\n== {name}\nSKIPPED: {reason}");
        self.done.push(Step { name, took: Duration::ZERO, skipped: Some(reason) });
    }

    /// A table of what was done.
    pub(crate) fn print_summary(&self) {
        println!("\n{:<WIDTH$} {:>8}", "step", "time");
        for step in &self.done {
            match &step.skipped {
                None => println!("{:<WIDTH$} {:>8}  ok", step.name, seconds(step.took)),
                Some(reason) => println!("{:<WIDTH$} {:>8}  skipped: {reason}", step.name, "-"),
            }
        }
        let total = self.done.iter().map(|step| step.took).sum();
        println!("{:<WIDTH$} {:>8}", "total", seconds(total));
    }
}

/// Runs a command in the repository; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    println!("   {}", line(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("`{}` does not start: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", line(command))) }
}

/// `cargo SUBCOMMAND` in the repository, the same toolchain as ours.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(subcommand).current_dir(root());
    command
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// Where cargo puts what it builds for this machine.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |t| root().join(t))
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

const WIDTH: usize = 26;

fn line(command: &Command) -> String {
    let mut line = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    // Inside the repository a path reads better without the way to it.
    line.replace(&format!("{}/", root().display()), "")
}
