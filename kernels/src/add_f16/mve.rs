//! Helium: four values at a time, 2.5 instructions each.

use super::Args;
use crate::isa::mve::half::{add, is_exact_clamp};

/// Same bits as scalar, which also takes over for bounds that are none for vectors.
pub(crate) fn run(args: &mut Args<'_>) {
    if !is_exact_clamp(args.0.clamp) {
        return super::scalar::run(args);
    }
    let op = &mut args.0;
    add(op.lhs, op.rhs, op.clamp, op.output);
}
