//! AArch64 with `SDOT`: the three rows of a column, side by side for every channel, in one
//! instruction.

use super::Args;
use super::neon::run_with;

/// Same bits as scalar, which also takes over when the layout is another's.
#[target_feature(enable = "dotprod")]
pub(crate) fn run(args: &mut Args<'_>) {
    run_with::<true>(args);
}
