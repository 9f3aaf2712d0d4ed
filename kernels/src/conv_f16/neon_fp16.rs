//! Im2col of a few windows at a time, which are then packed; windows of halves are windows of twice
//! as many bytes.

use super::Args;
use crate::conv_s8::neon::{im2col_row, inside};
use crate::geometry::Walk;
use crate::im2col_s8::Im2col;
use crate::tile_f16::neon_fp16::{Job, pack_strip};
use crate::tile_f16::{HALF_TILE, packed_len};
use crate::{F16, Geometry, after_mut};

/// Bits of its own within the contract's bound; f32 takes over when layout or scratch is another's.
#[target_feature(enable = "fp16")]
pub(crate) fn run(args: &mut Args<'_>) {
    let scratch = core::mem::take(&mut args.0.scratch);
    if strips(args, scratch).is_none() {
        args.0.scratch = scratch;
        super::lanes::run(args);
    }
}

/// `None` without a layout or scratch of ours.
#[target_feature(enable = "fp16")]
fn strips(args: &mut Args<'_>, scratch: &mut [i8]) -> Option<()> {
    let op = &mut args.0;
    let (depth, channels) = (op.filter.depth(), op.filter.channels());
    let job = Job::new(op.filter, op.epilogue)?;
    let input = op.input.bytes()?;
    let geometry = Geometry::new(input.shape(), op.geometry.output(), op.geometry.window()).ok()?;
    let inside = inside(&geometry);
    let im2col = Im2col { geometry: &geometry, input: &input, pad_value: 0 };

    let pitch = depth.next_multiple_of(8);
    let halves = bytemuck::pod_align_to_mut::<i8, F16>(scratch).1;
    let (windows, packed) = halves.split_at_mut_checked(super::windows_len(depth))?;
    let capacity @ 1.. = packed.len() / packed_len(depth) else { return None };
    let together = windows.len() / pitch / HALF_TILE * HALF_TILE;
    let mut walk = Walk::new(&geometry, op.first_row);
    for output in op.output.chunks_mut(channels * HALF_TILE * capacity) {
        let parts = output.chunks(channels * together);
        for (part, packed) in parts.zip(packed.chunks_mut(together * pitch)) {
            let (count, mut done) = (part.len() / channels, 0);
            let bytes = bytemuck::cast_slice_mut(windows);
            while done < count {
                let (y, run) = walk.run(count - done);
                let to = after_mut(bytes, done * 2 * pitch);
                done += run.len();
                im2col_row(&im2col, &inside, y, run, 2 * pitch, to);
            }
            pack_strip(windows, pitch, pitch, count, packed)?;
        }
        job.strip(packed, output)?;
    }
    Some(())
}
