//! AArch64: windows that are multiplied where they lie, in rows of the input with their padding:
//! every row of a window is one run of bytes there.

use super::{Operands, padded_row_bytes};
use crate::isa::aarch64::{Finish, PLACES, Places, TILE, WindowTiles, interleave};
use crate::{Filter, Geometry, Rows, after, after_mut, pieces_mut};

/// Output rows of a strip whose windows lie in groups of `pair`; `None` for windows that have no place
/// in `scratch`, or whose rows are no whole vectors.
fn rows(geometry: &Geometry, pair: usize, scratch: usize) -> Option<usize> {
    let (output, window) = (geometry.output(), geometry.window());
    let [row, pitch] = padded_row_bytes(geometry, pair);
    let room = scratch.checked_sub((pair - 1) * row)?.checked_div(pitch)?;
    let more = room.checked_sub(window.kernel_height)?.checked_div(window.stride_height)?;
    let across = output.width / pair;
    let rows = (more + 1).min(PLACES.checked_div(across)?);
    // Whole tiles, which only the last rows may lack.
    let group = match across % TILE {
        0 => 1,
        2 => 2,
        _ => TILE,
    };
    let is_plain = window.dilation_height == 1 && window.dilation_width == 1;
    let fits = is_plain
        && rows > 0
        && geometry.input().channels.is_multiple_of(16)
        && output.width.is_multiple_of(pair);
    fits.then_some(if rows > group { rows / group * group } else { rows })
}

/// Has `panels` compute the outputs of a strip at a time. Windows lie alone, or in pairs whose
/// pixels take turns every eight channels. `None` for windows that do not fit.
#[target_feature(enable = "neon")]
pub(super) fn strips(
    op: &mut Operands<'_>,
    scratch: &mut [i8],
    pair: usize,
    mut panels: impl FnMut(&Places<'_>, &mut [i8]),
) -> Option<()> {
    let geometry = op.geometry;
    let (shape, window) = (geometry.output(), geometry.window());
    let rows = rows(&geometry, pair, scratch.len())?;
    let [row, pitch] = padded_row_bytes(&geometry, pair);
    let step = window.stride_width * geometry.input().channels;
    // A row of pairs is made of a row that lies in front.
    let (line, strip) = scratch.split_at_mut_checked((pair - 1) * row)?;
    let mut first_row = op.first_row;
    for output in op.output.chunks_mut((rows * shape.row_len()).max(1)) {
        let count = output.len() / shape.row_len().max(1);
        let inputs = (count - 1) * window.stride_height + window.kernel_height;
        let sources = geometry.first_row(first_row)..;
        for (y, to) in sources.zip(pieces_mut(strip, pitch)).take(inputs) {
            if pair == 1 {
                pad(&geometry, &op.input, y, op.pad_value, to);
            } else {
                pad(&geometry, &op.input, y, op.pad_value, line);
                interleave(line, after(line, step), pitch / 2, to, 16)?;
            }
        }
        let len = pair * window.kernel_width * geometry.input().channels;
        let mut places = Places::new(strip, window.kernel_height, pitch, len)?;
        for y in 0..count {
            let first = y * window.stride_height * pitch;
            places.push(first, pair * pair * step, shape.width / pair)?;
        }
        panels(&places, output);
        first_row += count;
    }
    Some(())
}

/// Row `y` of the input, between its padding.
fn pad(geometry: &Geometry, input: &Rows<'_>, y: isize, value: i8, to: &mut [i8]) {
    let left = (geometry.window().pad_left * geometry.input().channels).min(to.len());
    let Some(row) = input.row(y) else { return to.fill(value) };
    let (left, to) = to.split_at_mut(left);
    let (middle, right) = to.split_at_mut(row.len().min(to.len()));
    left.fill(value);
    middle.copy_from_slice(&row[..middle.len()]);
    right.fill(value);
}

/// All channels of some windows, `N` at a time: `run` computes tiles of `M` pixels.
#[inline]
pub(super) fn panels<const P: usize, const M: usize, const N: usize>(
    places: &Places<'_>,
    filter: &Filter<'_>,
    output: &mut [i8],
    finish: impl Fn(usize) -> Finish<P>,
    run: impl Fn(WindowTiles<'_, '_, P>) -> Option<()>,
) {
    let (channels, (tiles, rest)) = (filter.channels(), places.tiles());
    for channel in (0..channels).step_by(N) {
        let weights = after(filter.data(), channel * filter.depth());
        let (finish, output) = (&finish(channel), after_mut(output, channel));
        if tiles > 0 {
            let done =
                run(WindowTiles { places, first: 0, tiles, weights, finish, output, channels });
            debug_assert!(done.is_some());
        }
        if rest > 0 {
            // A whole tile beside the output, then the pixels that there are.
            let mut bytes = [[0; N]; M];
            let done = run(WindowTiles {
                places,
                first: tiles,
                tiles: 1,
                weights,
                finish,
                output: bytes.as_flattened_mut(),
                channels: N,
            });
            debug_assert!(done.is_some());
            let output = after_mut(output, tiles * M * channels);
            for (to, from) in output.chunks_mut(channels).zip(bytes).take(rest * M / TILE) {
                if let Some(to) = to.first_chunk_mut() {
                    *to = from;
                }
            }
        }
    }
}
