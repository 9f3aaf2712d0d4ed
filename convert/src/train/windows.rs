//! Where a sliding layer reads: the geometry that its forward pass and both gradients share.
//!
//! A convolution reads, for every output pixel, one pixel a tap out of the padded input. The gradient by the input reads
//! the padded gradient of the output the same way, only with the taps reversed; where the stride is above 1, neighbouring
//! input pixels are reached by different taps, so that there is one [`Part`] for each position within a stride.

use crate::graph::{Extent, Padding, Window};

/// Pixels in a map: `(row, col)` starts at `base + row * row_step + col * col_step`, in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) base: usize,
    pub(super) row_step: usize,
    pub(super) col_step: usize,
}

impl Grid {
    /// `count` pixels one behind the other.
    pub(super) fn line(count: usize, channels: usize) -> Self {
        Self { rows: 1, cols: count, base: 0, row_step: 0, col_step: channels }
    }

    pub(super) fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Start of the pixel with that number, counted along the rows.
    #[inline(always)]
    pub(super) fn start(&self, pixel: usize) -> usize {
        if self.rows == 1 {
            return self.base + pixel * self.col_step;
        }
        let (row, col) = (pixel / self.cols, pixel % self.cols);
        self.base + row * self.row_step + col * self.col_step
    }

    /// Whether its pixels follow each other without a gap.
    fn is_line(&self, channels: usize) -> bool {
        self.base == 0
            && self.col_step == channels
            && (self.rows == 1 || self.row_step == self.cols * channels)
    }
}

/// Output pixels that are reached by the same taps.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// In the padded source.
    pub(super) from: Grid,
    /// In the destination.
    pub(super) to: Grid,
    /// For every tap its number in the kernel and where it reads, from the start of the source pixel.
    pub(super) taps: Vec<(usize, usize)>,
}

impl Part {
    /// Starts of runs of `len` elements that together are all taps: neighbouring taps read as one run.
    pub(super) fn runs(&self, channels: usize) -> (Vec<usize>, usize) {
        let offsets: Vec<usize> = self.taps.iter().map(|&(_, offset)| offset).collect();
        let joined = |pair: &[usize]| pair[1] == pair[0] + channels;
        let joins = offsets.windows(2).take_while(|pair| joined(pair)).count() + 1;
        let is_regular =
            offsets.chunks(joins).all(|run| run.len() == joins && run.windows(2).all(joined));
        let taps = if is_regular { joins } else { 1 };
        (offsets.into_iter().step_by(taps).collect(), taps * channels)
    }
}

/// A source map, what is put around it, and the parts of the destination.
#[derive(Clone, Debug)]
pub(super) struct Gather {
    source: Extent,
    padding: Padding,
    from_channels: usize,
    to_channels: usize,
    pub(super) parts: Vec<Part>,
}

impl Gather {
    /// Of `window` over `input`: reads the input, writes the output.
    pub(super) fn forward(
        window: &Window,
        input: Extent,
        output: Extent,
        (from_channels, to_channels): (usize, usize),
    ) -> Self {
        let Window { kernel, stride, dilation, padding } = *window;
        let behind = |outputs: usize, stride: usize, taps: usize, dilation: usize, have: usize| {
            ((outputs - 1) * stride + (taps - 1) * dilation + 1).saturating_sub(have)
        };
        let padding = Padding {
            bottom: behind(
                output.height,
                stride.height,
                kernel.height,
                dilation.height,
                padding.top + input.height,
            ),
            right: behind(
                output.width,
                stride.width,
                kernel.width,
                dilation.width,
                padding.left + input.width,
            ),
            ..padding
        };
        let width = (padding.left + input.width + padding.right) * from_channels;
        let taps = (0..kernel.area()).map(|tap| {
            let (row, col) = (tap / kernel.width, tap % kernel.width);
            (tap, row * dilation.height * width + col * dilation.width * from_channels)
        });
        let from = Grid {
            rows: output.height,
            cols: output.width,
            base: 0,
            row_step: stride.height * width,
            col_step: stride.width * from_channels,
        };
        let to = Grid { row_step: output.width * to_channels, col_step: to_channels, ..from };
        let parts = vec![Part { from, to, taps: taps.collect() }];
        Self { source: input, padding, from_channels, to_channels, parts }
    }

    /// Of `window` over `input`: reads the output's gradient, writes the input's.
    pub(super) fn backward(
        window: &Window,
        input: Extent,
        output: Extent,
        (from_channels, to_channels): (usize, usize),
    ) -> Self {
        let Window { kernel, stride, dilation, padding } = *window;
        let rows =
            Axis::all(kernel.height, stride.height, dilation.height, padding.top, input.height);
        let cols = Axis::all(kernel.width, stride.width, dilation.width, padding.left, input.width);
        let (top, bottom) = Axis::around(&rows, output.height);
        let (left, right) = Axis::around(&cols, output.width);
        let width = (left + output.width + right) * from_channels;
        let mut parts = Vec::new();
        for row in &rows {
            for col in &cols {
                let taps = row.taps.iter().flat_map(|&(tap_row, from_row)| {
                    col.taps.iter().map(move |&(tap_col, from_col)| {
                        let row = from_row.strict_add_unsigned(top).unsigned_abs();
                        let col = from_col.strict_add_unsigned(left).unsigned_abs();
                        (tap_row * kernel.width + tap_col, row * width + col * from_channels)
                    })
                });
                parts.push(Part {
                    from: Grid {
                        rows: row.count,
                        cols: col.count,
                        base: 0,
                        row_step: width,
                        col_step: from_channels,
                    },
                    to: Grid {
                        rows: row.count,
                        cols: col.count,
                        base: (row.phase * input.width + col.phase) * to_channels,
                        row_step: stride.height * input.width * to_channels,
                        col_step: stride.width * to_channels,
                    },
                    taps: taps.collect(),
                });
            }
        }
        let padding = Padding { top, bottom, left, right };
        Self { source: output, padding, from_channels, to_channels, parts }
    }

    /// The same over `count` pictures at once, where no pixel sees another.
    pub(super) fn flattened(&self, count: usize) -> Option<Part> {
        let [part] = &self.parts[..] else { return None };
        let is_pointwise = self.padding.is_none()
            && part.taps.len() == 1
            && part.from.len() == self.source.area()
            && part.from.is_line(self.from_channels)
            && part.to.is_line(self.to_channels);
        is_pointwise.then(|| Part {
            from: Grid::line(count * part.from.len(), self.from_channels),
            to: Grid::line(count * part.to.len(), self.to_channels),
            taps: part.taps.clone(),
        })
    }

    /// One picture with its padding; in `scratch` if there is any.
    pub(super) fn padded<'a>(&self, picture: &'a [f32], scratch: &'a mut Vec<f32>) -> &'a [f32] {
        if self.padding.is_none() {
            return picture;
        }
        let Padding { top, bottom, left, right } = self.padding;
        let row_len = self.source.width * self.from_channels;
        let (left, right) = (left * self.from_channels, right * self.from_channels);
        let width = left + row_len + right;
        scratch.resize((top + self.source.height + bottom) * width, 0.0);
        scratch[..top * width].fill(0.0);
        let rows = scratch[top * width..].chunks_exact_mut(width);
        let mut pictures = picture.chunks_exact(row_len);
        for row in rows {
            let Some(from) = pictures.next() else {
                row.fill(0.0);
                continue;
            };
            row[..left].fill(0.0);
            row[left..left + row_len].copy_from_slice(from);
            row[left + row_len..].fill(0.0);
        }
        scratch
    }
}

/// Along one axis: the input places `phase, phase + stride, ..` and the taps that reach them.
struct Axis {
    phase: usize,
    count: usize,
    /// The tap and where it reads, relative to the place's number; ascending.
    taps: Vec<(usize, isize)>,
}

impl Axis {
    fn all(kernel: usize, stride: usize, dilation: usize, before: usize, len: usize) -> Vec<Self> {
        let phases = (0..stride.min(len)).map(|phase| {
            let taps = (0..kernel).rev().filter_map(|tap| {
                let distance = (phase + before).checked_signed_diff(tap * dilation)?;
                let stride = isize::try_from(stride).ok()?;
                (distance % stride == 0).then_some((tap, distance / stride))
            });
            Self { phase, count: (len - phase).div_ceil(stride), taps: taps.collect() }
        });
        phases.collect()
    }

    /// Places that are read before and behind a source of `len`.
    fn around(axes: &[Self], len: usize) -> (usize, usize) {
        let mut around = (0, 0);
        for axis in axes {
            for &(_, from) in &axis.taps {
                around.0 = around.0.max(0_usize.saturating_sub_signed(from));
                let last = (axis.count - 1).saturating_add_signed(from);
                around.1 = around.1.max((last + 1).saturating_sub(len));
            }
        }
        around
    }
}
