//! The rows under a window, as assembly walks along them.

use core::marker::PhantomData;

/// The most rows of a window.
pub(crate) const MOST_ROWS: usize = 16;

/// Rows of a window, all of the same length.
#[derive(Debug)]
pub(crate) struct WindowRows<'a> {
    rows: [*const i8; MOST_ROWS],
    count: usize,
    len: usize,
    borrowed: PhantomData<&'a [i8]>,
}

impl<'a> WindowRows<'a> {
    /// `None` for no rows, for too many, and for rows of different lengths.
    pub(crate) fn new(rows: impl Iterator<Item = &'a [i8]>) -> Option<Self> {
        let mut all =
            Self { rows: [core::ptr::null(); MOST_ROWS], count: 0, len: 0, borrowed: PhantomData };
        for row in rows {
            if all.count > 0 && row.len() != all.len {
                return None;
            }
            *all.rows.get_mut(all.count)? = row.as_ptr();
            all.len = row.len();
            all.count += 1;
        }
        (all.count > 0).then_some(all)
    }

    /// Where the rows are, how many, and whether each holds `len` bytes from `last` on.
    pub(super) fn holding(&self, last: usize, len: usize) -> Option<(*const *const i8, usize)> {
        let fits = last <= self.len && len <= self.len - last;
        fits.then_some((self.rows.as_ptr(), self.count))
    }
}
