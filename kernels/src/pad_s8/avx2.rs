//! AVX2: the scalar cell is copies and fills already; here they are compiled for wider registers.

use super::Args;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    super::scalar::run(args);
}
