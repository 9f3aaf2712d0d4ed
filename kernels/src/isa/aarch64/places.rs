//! Where windows lie in padded rows.

use super::{Finish, holds};

/// Places in a tile.
pub(crate) const TILE: usize = 4;

/// Places that a table has room for, whole tiles.
pub(crate) const PLACES: usize = 128 * TILE;

/// Windows, or pairs of them, of some rows: a run of `len` bytes every `pitch` from each place on,
/// all of which lie in `data`.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    data: &'a [i8],
    rows: usize,
    pitch: usize,
    len: usize,
    at: [u32; PLACES],
    count: usize,
}

impl<'a> Places<'a> {
    /// No place yet. `None` without a row or a byte.
    pub(crate) fn new(data: &'a [i8], rows: usize, pitch: usize, len: usize) -> Option<Self> {
        (rows > 0 && len > 0).then_some(Self { data, rows, pitch, len, at: [0; PLACES], count: 0 })
    }

    /// Adds `count` places, `step` apart from `first` on. `None`, and nothing added, when the last
    /// of them is not in the data or there is no room.
    pub(crate) fn push(&mut self, first: usize, step: usize, count: usize) -> Option<()> {
        let last = count.checked_sub(1)?.checked_mul(step)?.checked_add(first)?;
        let to = self.at.get_mut(self.count..)?.get_mut(..count)?;
        if u32::try_from(last).is_err()
            || !holds(self.data.get(last..)?, self.rows, self.pitch, self.len)
        {
            return None;
        }
        let mut place = u32::try_from(first).ok()?;
        let step = u32::try_from(step).ok()?;
        for to in to {
            *to = place;
            place = place.wrapping_add(step);
        }
        self.count += count;
        Some(())
    }

    /// Whole tiles, and the places of one more.
    pub(crate) const fn tiles(&self) -> (usize, usize) {
        (self.count / TILE, self.count % TILE)
    }

    /// Whether there are `count` tiles from tile `first` on, at least one. The last one may end with
    /// zeros, which are places if anything is.
    pub(super) fn have_tiles(&self, first: usize, count: usize) -> bool {
        let end = first.checked_add(count);
        count > 0 && end.is_some_and(|end| end <= self.count.div_ceil(TILE))
    }

    pub(super) fn data(&self) -> *const i8 {
        self.data.as_ptr()
    }

    /// The places of a tile.
    pub(super) fn tile(&self, index: usize) -> *const u32 {
        self.at.as_ptr().wrapping_add(TILE * index)
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    pub(super) const fn pitch(&self) -> usize {
        self.pitch
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

/// Consecutive tiles of a few windows times the same channels.
#[derive(Debug)]
pub(crate) struct WindowTiles<'w, 'a, const P: usize> {
    pub(crate) places: &'w Places<'a>,
    /// The first tile, and how many.
    pub(crate) first: usize,
    pub(crate) tiles: usize,
    pub(crate) weights: &'w [i8],
    pub(crate) finish: &'w Finish<P>,
    /// From the first output on.
    pub(crate) output: &'w mut [i8],
    /// From the output of a pixel to that of the next.
    pub(crate) channels: usize,
}

impl<const P: usize> WindowTiles<'_, '_, P> {
    /// Whether rows have a multiple of `run` bytes, and weights and outputs are there for all tiles,
    /// each of so many `pixels` by so many channels.
    pub(super) fn fit(&self, run: usize, pixels: usize, channels: usize) -> bool {
        let depth = self.places.len() * TILE / pixels * self.places.rows();
        self.places.len().is_multiple_of(run)
            && self.weights.len() / channels >= depth
            && self.places.have_tiles(self.first, self.tiles)
            && holds(self.output, pixels * self.tiles, self.channels, channels)
    }
}

/// A loop over the tiles of windows: `$first` before the rows of one, `$row` in each of them, `$then`
/// behind the last. The four runs of a row are at `p0` to `p3`; `steps` are $step bytes of one.
macro_rules! windows_asm {
    ($work:ident, $step:literal, [$($first:expr,)*], [$($row:expr,)*], [$($then:expr,)*],
     $($operands:tt)*) => {
        vector_asm!(
            "2:",
            "ldp {p0:w}, {p1:w}, [{places}], #8",
            "ldp {p2:w}, {p3:w}, [{places}], #8",
            "add {p0}, {p0}, {data}",
            "add {p1}, {p1}, {data}",
            "add {p2}, {p2}, {data}",
            "add {p3}, {p3}, {data}",
            "mov {row}, {rows}",
            $($first,)*
            "6:",
            $($row,)*
            next!(),
            "subs {row}, {row}, #1",
            "b.ne 6b",
            $($then,)*
            "subs {tiles}, {tiles}, #1",
            "b.ne 2b",
            p0 = out(reg) _,
            p1 = out(reg) _,
            p2 = out(reg) _,
            p3 = out(reg) _,
            data = in(reg) $work.places.data(),
            places = inout(reg) $work.places.tile($work.first) => _,
            rows = in(reg) $work.places.rows(),
            row = out(reg) _,
            next = in(reg) $work.places.pitch().wrapping_sub($work.places.len()),
            weights = in(reg) $work.weights.as_ptr(),
            n = out(reg) _,
            steps = in(reg) $work.places.len() / $step,
            finish = in(reg) $work.finish,
            out = inout(reg) $work.output.as_mut_ptr() => _,
            channels = in(reg) $work.channels,
            tiles = inout(reg) $work.tiles => _,
            $($operands)*
        )
    };
}
pub(super) use windows_asm;
