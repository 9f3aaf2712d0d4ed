//! The specification.

use super::Args;

/// Runs on every machine.
pub fn run(args: &mut Args<'_>) {
    let _ = args;
    todo!()
}
