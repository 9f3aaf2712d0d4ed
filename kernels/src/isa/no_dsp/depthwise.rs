//! Rows of 3x3 windows over four channels: words of a column each.

use super::{Core, Factors};
use crate::depthwise_conv_s8::no_dsp_columns;

/// Outputs of a channel that are computed at a time.
pub(crate) const BLOCK: usize = 4;

/// The outputs of a row, as the assembly reads it.
#[repr(C)]
pub(crate) struct Band {
    /// Where the next channel starts.
    rows: [*const i8; 3],
    weights: *const i8,
    column_step: usize,
    /// Where the next output or block of sums goes.
    output: *mut i8,
    stride: usize,
    /// Outputs from there on.
    left: usize,
    width: usize,
    /// Where the next channel's outputs or sums go, and how far it is from there to the one after that.
    start: *mut i8,
    start_step: usize,
    channels: usize,
    /// Those of the next channel; null where the outputs are sums.
    factors: *const Factors,
}

/// Rows of outputs that share their four channels.
pub(crate) struct Bands<'a> {
    band: Band,
    weights: &'a [[i8; 4]; 9],
    factors: Option<&'a [Factors; 4]>,
}

impl<'a> Bands<'a> {
    /// Rows of `width` windows, `column_step` columns from one to the next: one or two. Without factors
    /// they make sums.
    pub(crate) fn new(
        weights: &'a [[i8; 4]; 9],
        factors: Option<&'a [Factors; 4]>,
        width: usize,
        column_step: usize,
    ) -> Option<Self> {
        let is_known = width > 0 && matches!(column_step, 1 | 2);
        let (rows, null) = ([core::ptr::null(); 3], core::ptr::null_mut());
        let band = Band {
            rows,
            weights: null,
            column_step,
            output: null,
            stride: 0,
            left: 0,
            width,
            start: null,
            start_step: 0,
            channels: 0,
            factors: null.cast(),
        };
        is_known.then_some(Self { band, weights, factors })
    }

    /// Outputs of four channels, `stride` bytes from a pixel to the next. Does nothing when something is
    /// shorter than that takes.
    pub(crate) fn rescale<C: Core>(&mut self, rows: [&[i32]; 3], output: &mut [i8], stride: usize) {
        let last = (self.band.width - 1).checked_mul(stride);
        let fits = last.and_then(|last| last.checked_add(4)).is_some_and(|end| end <= output.len());
        if let Some(factors) = self.factors.filter(|_| fits) {
            self.band.factors = factors.as_ptr();
            // SAFETY: the output holds four channels of all pixels, and there are their factors.
            unsafe { self.run::<C>(rows, output.as_mut_ptr(), [stride, 1]) }
        }
    }

    /// Sums of four channels, one after the other, whole blocks of each.
    pub(crate) fn sum<C: Core>(&mut self, rows: [&[i32]; 3], sums: &mut [i32]) {
        let channel = self.band.width.next_multiple_of(BLOCK);
        if self.factors.is_none() && channel.checked_mul(4).is_some_and(|len| len <= sums.len()) {
            let to = sums.as_mut_ptr().cast();
            // SAFETY: the blocks of four channels fit.
            unsafe { self.run::<C>(rows, to, [0, 4 * channel]) }
        }
    }

    /// # Safety
    /// `start` has room for outputs of four channels of pixels `stride` bytes apart; or for sums, a
    /// channel every `start_step` bytes.
    unsafe fn run<C: Core>(
        &mut self,
        rows: [&[i32]; 3],
        start: *mut i8,
        [stride, start_step]: [usize; 2],
    ) {
        let needed = no_dsp_columns(self.band.width, self.band.column_step);
        let [first, second, third] = rows;
        if first.len().min(second.len()).min(third.len()) < needed {
            return;
        }
        let band = &mut self.band;
        band.rows = [first.as_ptr().cast(), second.as_ptr().cast(), third.as_ptr().cast()];
        band.weights = self.weights.as_ptr().cast();
        (band.stride, band.start, band.start_step, band.channels) = (stride, start, start_step, 4);
        // SAFETY: every block of windows lies in the rows; the caller answers for the rest.
        unsafe { C::depthwise(band) }
    }
}

/// Copies four bytes each of `columns` pixels, `stride` bytes apart, to the start of `to`. Does nothing
/// when either is shorter than that takes.
pub(crate) fn copy_columns<C: Core>(from: &[i8], stride: usize, columns: usize, to: &mut [i32]) {
    let Some(last) = columns.checked_sub(1).and_then(|last| last.checked_mul(stride)) else {
        return;
    };
    if columns <= to.len() && last.checked_add(4).is_some_and(|end| end <= from.len()) {
        // SAFETY: both hold all columns.
        unsafe { C::copy_columns(from.as_ptr(), stride, to.as_mut_ptr(), columns) }
    }
}
