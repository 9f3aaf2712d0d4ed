//! Armv6-M and Armv7-M: windows by fours, packed from the input as they are, then the shared tiles.

#![cfg_attr(not(armv6m), allow(dead_code, reason = "Armv7-M shares the loops, not the leaves"))]

use super::{Args, Operands};
use crate::isa::armv6m::Armv6m;
use crate::isa::no_dsp::{Core, PIXELS, Step, pack, pack_pixels};
use crate::tile_s8::no_dsp::Tiles;
use crate::{Geometry, Rows, pieces_mut};

/// Same bits as scalar, which also takes over when layout or scratch is another's.
pub(crate) fn run(args: &mut Args<'_>) {
    run_on::<Armv6m>(args);
}

pub(super) fn run_on<C: Core>(args: &mut Args<'_>) {
    if run_tiles::<C>(&mut args.0).is_none() {
        super::scalar::run(args);
    }
}

/// `None` where scalar has to take over.
fn run_tiles<C: Core>(op: &mut Operands<'_>) -> Option<()> {
    let (mut tiles, rest) = Tiles::new(&op.filter, op.epilogue, op.scratch)?;
    let padding = rest.get_mut(..op.geometry.input().channels)?;
    padding.fill(op.pad_value);
    let width = op.geometry.output().width.max(1);
    let windows = Windows { geometry: &op.geometry, input: &op.input, padding };
    tiles.run::<C>(op.output, |first, count, steps| {
        let (y, x) = (first / width, first % width);
        windows.pack::<C>([op.first_row + y, x], count, steps);
    });
    Some(())
}

/// The windows of a convolution.
struct Windows<'a> {
    geometry: &'a Geometry,
    input: &'a Rows<'a>,
    /// A pixel of padding.
    padding: &'a [i8],
}

impl Windows<'_> {
    /// Packs the windows of `count` outputs from `[y, x]` on, across the ends of rows.
    fn pack<C: Core>(&self, [y, x]: [usize; 2], count: usize, steps: &mut [Step]) {
        if self.pack_inside::<C>([y, x], count, steps).is_some() {
            return;
        }
        let (window, channels) = (self.geometry.window(), self.padding.len());
        let width = self.geometry.output().width;
        let mut places = [[y, x]; PIXELS];
        let mut last = [y, x];
        for place in places.iter_mut().take(count).skip(1) {
            let [y, x] = last;
            last = if x + 1 < width { [y, x + 1] } else { [y + 1, 0] };
            *place = last;
        }
        places.iter_mut().skip(count).for_each(|place| *place = last);
        let rows = pieces_mut(steps, window.kernel_width * channels);
        for (ky, steps) in rows.enumerate() {
            let rows = places.map(|[y, _]| self.input.row(self.geometry.row(y, ky)).unwrap_or(&[]));
            for (kx, steps) in pieces_mut(steps, channels).enumerate() {
                let mut sources = rows;
                for (source, [_, x]) in sources.iter_mut().zip(places) {
                    let start = self.geometry.column(x, kx).wrapping_mul(channels.cast_signed());
                    let pixel = source.get(start.cast_unsigned()..).filter(|row| !row.is_empty());
                    *source = pixel.unwrap_or(self.padding);
                }
                pack::<C>(sources, steps);
            }
        }
    }

    /// The same where all of them lie in a row and no tap in the padding; none where one does.
    fn pack_inside<C: Core>(
        &self,
        [y, x]: [usize; 2],
        count: usize,
        steps: &mut [Step],
    ) -> Option<()> {
        let (window, channels) = (self.geometry.window(), self.padding.len());
        let last = self.geometry.first_column(x + count - 1) + window.kernel_width.cast_signed();
        let column = usize::try_from(self.geometry.first_column(x)).ok()?;
        let (top, bottom) =
            (self.geometry.row(y, 0), self.geometry.row(y, window.kernel_height - 1));
        let (height, width) = (self.geometry.input().height, self.geometry.input().width);
        let is_inside = top >= 0
            && bottom < height.cast_signed()
            && last <= width.cast_signed()
            && x + count <= self.geometry.output().width
            && window.dilation_width == 1;
        if !is_inside {
            return None;
        }
        let rows = pieces_mut(steps, window.kernel_width * channels);
        for (ky, steps) in rows.enumerate() {
            let row = self.input.row(self.geometry.row(y, ky))?;
            let from = row.get(column * channels..)?;
            pack_pixels::<C>(from, window.stride_width * channels, count, steps);
        }
        Some(())
    }
}
