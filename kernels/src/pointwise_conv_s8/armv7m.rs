//! Armv7-M: as Armv6-M, with the products of its own.

use super::Args;
use crate::isa::armv7m::Armv7m;

/// Same bits as scalar, which also takes over where Armv6-M's cell lets it.
pub(crate) fn run(args: &mut Args<'_>) {
    super::armv6m::run_on::<Armv7m>(args);
}
