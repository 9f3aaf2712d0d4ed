//! AVX2.

use super::Args;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    super::scalar::run(args);
}
