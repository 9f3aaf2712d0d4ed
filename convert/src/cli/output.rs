//! Reports for people and for machines, errors, progress.

use core::fmt::Display;
use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

/// Where reports go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints `report` as JSON, or `text` of it.
    pub(super) fn report<R: Serialize>(
        self,
        report: &R,
        text: impl FnOnce(&R) -> String,
    ) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        let printed = if self.json {
            let json = serde_json::to_string_pretty(report)?;
            writeln!(stdout, "{json}")
        } else {
            write!(stdout, "{}", text(report))
        };
        match printed {
            // A reader that has seen enough, such as `head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// A remark beside the report.
    pub(super) fn note(self, text: impl Display) {
        eprintln!("{text}");
    }

    pub(super) fn error(self, error: &anyhow::Error) {
        if self.json {
            println!("{}", json!({ "error": format!("{error:#}") }));
        }
        eprintln!("error: {error:#}");
    }

    /// A bar on stderr; nothing when that is no terminal.
    pub(super) fn progress(self, len: usize, what: &'static str) -> ProgressBar {
        if !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style =
            ProgressStyle::with_template("{msg:>12} [{bar:40}] {pos}/{len} {per_sec}, {eta} to go")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(len as u64).with_style(style).with_message(what)
    }
}

/// A table whose columns from `first_right` on are numbers.
pub(super) fn table(header: &[&str], first_right: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    for index in first_right..header.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction as a percentage.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(7_u64), "7");
        assert_eq!(grouped(123_u64), "123");
        assert_eq!(grouped(1_234_567_u64), "1,234,567");
    }
}
