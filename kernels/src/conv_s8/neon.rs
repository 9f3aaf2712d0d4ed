//! AArch64: windows where they lie, or im2col of a strip of pixels, then the shared tiles.

use super::{Args, Operands, neon_rows};
use crate::geometry::Walk;
use crate::im2col_s8::Im2col;
use crate::isa::aarch64::{Finish, Places, WindowTiles, Windows, load_16, smull_windows, store_16};
use crate::requantize::neon::with_scale;
use crate::tile_s8::NEON_LAYOUT;
use crate::tile_s8::neon::{Pixels, capacity, strip, whole_tiles};
use crate::tile_s8::neon_row_bytes;
use crate::{Epilogue, Filter, Geometry, after, after_mut, copy};
use core::ops::Range;

/// Same bits as scalar, which also takes over when layout or scratch is another's.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let (filter, epilogue) = (op.filter, op.epilogue);
    let scratch = core::mem::take(&mut op.scratch);
    let done = filter.layout() == NEON_LAYOUT
        && (filter.channels().is_multiple_of(4)
            && neon_rows::strips(op, scratch, 1, |places, output| {
                with_scale!(epilogue, K => windows::<K>(places, &filter, &epilogue, output));
            })
            .is_some()
            || strips(op, scratch, usize::MAX, |pixels, output| {
                strip(pixels, &filter, &epilogue, output);
            })
            .is_some());
    if !done {
        super::scalar::run(args);
    }
}

/// All channels of some windows, four at a time.
#[target_feature(enable = "neon")]
fn windows<const K: u8>(
    places: &Places<'_>,
    filter: &Filter<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut [i8],
) {
    let finish = |channel| Finish::<1>::new::<K>(epilogue, channel);
    let run = |tiles: WindowTiles<'_, '_, 1>| smull_windows::<K>(tiles);
    neon_rows::panels::<1, 4, 4>(places, filter, output, finish, run);
}

/// The windows of some output pixels at a time, at most `limit`, as rows in the scratch for `strip`,
/// which also gets their outputs. `None`, and nothing done, without room in the scratch.
#[target_feature(enable = "neon")]
pub(super) fn strips(
    op: &mut Operands<'_>,
    scratch: &mut [i8],
    limit: usize,
    mut strip: impl FnMut(Pixels<'_>, &mut [i8]),
) -> Option<()> {
    let (width, channels) = (op.geometry.output().width, op.filter.channels());
    let stride = neon_row_bytes(op.filter.depth());
    let pixels = whole_tiles(capacity(scratch, op.filter.depth()).min(limit));
    if pixels == 0 || width == 0 || channels == 0 {
        return None;
    }
    let im2col = Im2col { geometry: &op.geometry, input: &op.input, pad_value: op.pad_value };
    let inside = inside(&op.geometry);
    let mut bytes = [op.pad_value; PADDED];
    let mut padded = PaddedRows::new(&im2col, &mut bytes);
    let mut walk = Walk::new(&op.geometry, op.first_row);
    for output in op.output.chunks_mut(channels * pixels) {
        let count = output.len() / channels;
        let mut done = 0;
        while done < count {
            let (y, run) = walk.run(count - done);
            let to = after_mut(scratch, done * stride);
            done += run.len();
            match &mut padded {
                Some(padded) => padded.windows(&im2col, y, run, stride, to),
                None => im2col_row(&im2col, &inside, y, run, stride, to),
            }
        }
        strip(Pixels { data: scratch, stride, count }, output);
    }
    Some(())
}

/// [`Geometry::outputs_inside`] of windows whose rows are looked up together.
pub(crate) fn inside(geometry: &Geometry) -> Range<usize> {
    if geometry.window().kernel_height <= ROWS { geometry.outputs_inside() } else { 0..0 }
}

/// Kernel rows whose sources are looked up together.
const ROWS: usize = 16;

/// The windows of output pixels (`y`, `columns`), one every `stride` bytes of `to`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn im2col_row(
    im2col: &Im2col<'_>,
    inside: &Range<usize>,
    y: usize,
    columns: Range<usize>,
    stride: usize,
    to: &mut [i8],
) {
    let Im2col { geometry, input, pad_value } = *im2col;
    let (window, channels) = (geometry.window(), geometry.input().channels);
    let mut rows = [None; ROWS];
    for (ky, row) in rows.iter_mut().enumerate().take(window.kernel_height) {
        *row = input.row_onwards(geometry.row(y, ky));
    }
    let copy = |from: &[i8; 16], to: &mut [i8; 16]| store_16(to, load_16(from));
    let start = inside.start.clamp(columns.start, columns.end);
    im2col.row(y, columns.start..start, stride, to, copy);
    let windows = Windows {
        rows: rows.get(..window.kernel_height).unwrap_or(&[]),
        first: geometry.first_column(start).max(0).unsigned_abs() * channels,
        step: window.stride_width * channels,
        len: window.kernel_width * channels,
        count: inside.end.min(columns.end).saturating_sub(start),
        pad_value,
    };
    let done = windows.gather(after_mut(to, (start - columns.start) * stride), stride);
    let rest = after_mut(to, (start - columns.start + done) * stride);
    im2col.row(y, start + done..columns.end, stride, rest, copy);
}

/// Bytes of rows that are copied with their padding, so that every window is one run of each.
const PADDED: usize = 4 << 10;

/// The last rows of the input that were needed, with the padding to the left and to the right.
struct PaddedRows<'a> {
    bytes: &'a mut [i8],
    /// Bytes from one row to the next.
    pitch: usize,
    /// The row that each place holds.
    held: [Option<isize>; ROWS],
}

impl<'a> PaddedRows<'a> {
    /// `None` when the rows of a window are too long. `bytes` are full of the padding.
    fn new(im2col: &Im2col<'_>, bytes: &'a mut [i8; PADDED]) -> Option<Self> {
        let (geometry, window) = (im2col.geometry, im2col.geometry.window());
        let width = geometry.output().width.checked_sub(1)?.checked_mul(window.stride_width)?;
        let columns = width.checked_add(window.kernel_width)?;
        // A window is copied in blocks of 16 bytes.
        let pitch = columns.checked_mul(geometry.input().channels)?.checked_add(15)?;
        // One row more is all padding.
        let fits = pitch.checked_mul(window.kernel_height.checked_add(1)?)? <= PADDED;
        let plain = window.dilation_width == 1 && window.dilation_height == 1;
        let held = [None; ROWS];
        (fits && plain && window.kernel_height <= ROWS).then_some(Self { bytes, pitch, held })
    }

    /// The windows of output pixels (`y`, `columns`), one every `stride` bytes of `to`.
    #[inline]
    #[target_feature(enable = "neon")]
    fn windows(
        &mut self,
        im2col: &Im2col<'_>,
        y: usize,
        columns: Range<usize>,
        stride: usize,
        to: &mut [i8],
    ) {
        let Im2col { geometry, input, pad_value } = *im2col;
        let (window, channels) = (geometry.window(), geometry.input().channels);
        let (places, left) = (window.kernel_height, window.pad_left * channels);
        // Where each row of the window is held.
        let mut offsets = [0; ROWS];
        for (ky, offset) in offsets.iter_mut().enumerate().take(places) {
            let row = geometry.row(y, ky);
            let Some(source) = input.row(row) else {
                *offset = places * self.pitch;
                continue;
            };
            let place = row.checked_rem_euclid(places.cast_signed());
            let place = place.map_or(0, isize::unsigned_abs);
            *offset = place * self.pitch;
            let Some(held) = self.held.get_mut(place).filter(|held| **held != Some(row)) else {
                continue;
            };
            *held = Some(row);
            let to = after_mut(self.bytes, *offset);
            let len = (self.pitch - 15).min(to.len());
            copy(after_mut(to.get_mut(..len).unwrap_or(&mut []), left), source);
        }
        let mut rows = [None; ROWS];
        for (to, offset) in rows.iter_mut().zip(offsets).take(places) {
            *to = Some(after(self.bytes, offset));
        }
        let windows = Windows {
            rows: rows.get(..window.kernel_height).unwrap_or(&[]),
            first: columns.start * window.stride_width * channels,
            step: window.stride_width * channels,
            len: window.kernel_width * channels,
            count: columns.len(),
            pad_value,
        };
        let done = windows.gather(to, stride);
        debug_assert_eq!(done, columns.len());
    }
}
