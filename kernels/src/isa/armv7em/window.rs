//! The rows under a window, as assembly walks along them.

use crate::conv_s8::CORTEX_M_ROWS as MOST_ROWS;
use core::marker::PhantomData;

/// Rows of a window, all of the same length; null in the padding.
#[derive(Debug)]
pub(crate) struct WindowRows<'a> {
    rows: [*const i8; MOST_ROWS],
    count: usize,
    len: usize,
    is_whole: bool,
    borrowed: PhantomData<&'a [i8]>,
}

impl<'a> WindowRows<'a> {
    /// `None` stands for a row in the padding. Those beyond [`MOST_ROWS`], and one of another
    /// length, are left out.
    pub(crate) fn new(rows: impl Iterator<Item = Option<&'a [i8]>>) -> Self {
        let mut all = Self {
            rows: [core::ptr::null(); MOST_ROWS],
            count: 0,
            len: 0,
            is_whole: true,
            borrowed: PhantomData,
        };
        for (place, row) in all.rows.iter_mut().zip(rows) {
            all.count += 1;
            match row {
                Some(row) if all.len == 0 || row.len() == all.len => {
                    (*place, all.len) = (row.as_ptr(), row.len());
                }
                _ => all.is_whole = false,
            }
        }
        all
    }

    /// One row after the other.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<&'a [i8]>> {
        let len = self.len;
        self.rows.iter().take(self.count).map(move |&row| {
            // SAFETY: null, or the start of a row of `len` bytes that is borrowed.
            (!row.is_null()).then(|| unsafe { core::slice::from_raw_parts(row, len) })
        })
    }

    /// Where the rows are, and how many: when none lies in the padding, and each holds `len` bytes
    /// from `last` on.
    pub(crate) fn holding(&self, last: usize, len: usize) -> Option<(*const *const i8, usize)> {
        let fits = self.is_whole && self.count > 0 && last <= self.len && len <= self.len - last;
        fits.then_some((self.rows.as_ptr(), self.count))
    }

    /// Whether none lies in the padding.
    pub(crate) const fn is_whole(&self) -> bool {
        self.is_whole
    }
}
