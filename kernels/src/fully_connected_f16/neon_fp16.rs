//! One pixel, whose last steps are filled up, times four panels.

use super::Args;
use crate::tile_f16::neon_fp16::Job;
use crate::{F16, copy};

/// Bits of its own within the contract's bound; f32 takes over when layout or scratch is another's.
#[target_feature(enable = "fp16")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let row = bytemuck::pod_align_to_mut::<i8, F16>(op.scratch).1;
    let row = row.get_mut(..op.filter.depth().next_multiple_of(8));
    let (Some(job), Some(row)) = (Job::new(op.filter, op.epilogue), row) else {
        return super::lanes::run(args);
    };
    copy(row, op.input);
    let done = job.vector(row, op.output);
    debug_assert!(done.is_some());
}
