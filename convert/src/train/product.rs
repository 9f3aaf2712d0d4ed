//! Convolutions and dense layers as matrix products that read their rows straight out of a map, and the product that is
//! their weights' gradient.
//!
//! Register tiles are [`ROWS`] pixels by [`PANEL`] channels (forward), [`ROWS`] weights by [`PANEL`] channels (gradient):
//! 12 accumulators, two vectors of weights and a broadcast fill AVX2's 16 registers. Every sum runs in the order of the
//! weights' depth, whatever the tile, so that results depend neither on threads nor on the batch's size.

use pulp::{Simd, WithSimd};

use super::windows::Part;

/// Pixels, or weights, of a register tile.
const ROWS: usize = 6;
/// Channels of a register tile.
pub(super) const PANEL: usize = 16;
/// Pixels whose inputs stay in the first-level cache while the panels pass.
const BLOCK: usize = 16 * ROWS;

/// A `[depth, width]` matrix as panels of [`PANEL`] columns, `[panel, depth, PANEL]`, filled up with zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Panels {
    pub(super) data: Vec<f32>,
    pub(super) depth: usize,
    pub(super) width: usize,
}

impl Panels {
    /// Writes the matrix `at(depth, column)`.
    pub(super) fn pack(&mut self, depth: usize, width: usize, at: impl Fn(usize, usize) -> f32) {
        (self.depth, self.width) = (depth, width);
        self.data.resize(Self::len(depth, width), 0.0);
        for (panel, rows) in self.data.chunks_exact_mut((depth * PANEL).max(1)).enumerate() {
            let first = panel * PANEL;
            for (depth, row) in rows.chunks_exact_mut(PANEL).enumerate() {
                for (column, value) in row.iter_mut().enumerate() {
                    let column = first + column;
                    *value = if column < width { at(depth, column) } else { 0.0 };
                }
            }
        }
    }

    /// Elements of a matrix in panels.
    pub(super) fn len(depth: usize, width: usize) -> usize {
        width.div_ceil(PANEL) * depth * PANEL
    }
}

/// `y = clamp(x * weights + bias)` for every pixel of a part.
pub(super) struct Multiply<'a> {
    /// The padded source.
    pub(super) x: &'a [f32],
    pub(super) part: &'a Part,
    pub(super) channels: usize,
    pub(super) weights: &'a Panels,
    /// One for each column; none is 0.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) clamp: (f32, f32),
    pub(super) y: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            4 => self.run::<S, 4, 2>(simd),
            8 => self.run::<S, 2, 1>(simd),
            16 => self.run::<S, 1, 1>(simd),
            _ => self.run::<S, PANEL, 8>(simd),
        }
    }
}

impl Multiply<'_> {
    /// `VECTORS` fill a panel, `HALF` at least half of one.
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const HALF: usize>(mut self, simd: S) {
        let (runs, len) = self.part.runs(self.channels);
        let (depth, width) = (self.weights.depth, self.weights.width);
        let (weights, _) = S::as_simd_f32s(&self.weights.data);
        let pixels = self.part.from.len();
        for block in (0..pixels).step_by(BLOCK) {
            let end = (block + BLOCK).min(pixels);
            for first in (0..width).step_by(PANEL) {
                let columns = (width - first).min(PANEL);
                let panel = &weights[first / PANEL * depth * VECTORS..][..depth * VECTORS];
                for pixel in (block..end).step_by(ROWS) {
                    // The last tile does its last pixel several times over.
                    let pixels: [usize; ROWS] =
                        core::array::from_fn(|row| (pixel + row).min(end - 1));
                    let starts = pixels.map(|pixel| self.part.from.start(pixel));
                    let to = pixels.map(|pixel| self.part.to.start(pixel) + first);
                    let x = self.x;
                    if columns <= HALF * S::F32_LANES {
                        let tile = tile::<S, VECTORS, HALF>(simd, x, starts, (&runs, len), panel);
                        self.store(simd, tile, to, first, columns);
                    } else {
                        let tile =
                            tile::<S, VECTORS, VECTORS>(simd, x, starts, (&runs, len), panel);
                        self.store(simd, tile, to, first, columns);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn store<S: Simd, const USED: usize>(
        &mut self,
        simd: S,
        tile: [[S::f32s; USED]; ROWS],
        to: [usize; ROWS],
        first: usize,
        columns: usize,
    ) {
        let (min, max) = (simd.splat_f32s(self.clamp.0), simd.splat_f32s(self.clamp.1));
        for vector in 0..USED {
            let skip = vector * S::F32_LANES;
            let lanes = columns.saturating_sub(skip).min(S::F32_LANES);
            let bias = match self.bias {
                Some(bias) => load(simd, bias, first + skip.min(columns), lanes),
                None => simd.splat_f32s(0.0),
            };
            for (row, to) in tile.iter().zip(to) {
                let sum = simd.add_f32s(row[vector], bias);
                let value = simd.min_f32s(simd.max_f32s(sum, min), max);
                store(simd, self.y, to + skip.min(columns), lanes, value);
            }
        }
    }
}

/// Products of [`ROWS`] pixels with the first `USED` vectors of a panel.
#[inline(always)]
fn tile<S: Simd, const VECTORS: usize, const USED: usize>(
    simd: S,
    x: &[f32],
    starts: [usize; ROWS],
    (runs, len): (&[usize], usize),
    panel: &[S::f32s],
) -> [[S::f32s; USED]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); USED]; ROWS];
    for (run, panel) in runs.iter().zip(panel.chunks_exact(len * VECTORS)) {
        let rows: [&[f32]; ROWS] = starts.map(|start| &x[start + run..][..len]);
        for (depth, weights) in panel.chunks_exact(VECTORS).enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                let x = simd.splat_f32s(row[depth]);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = simd.mul_add_e_f32s(x, *weights, *sum);
                }
            }
        }
    }
    sums
}

/// `gradient += x^T * dy` over every pixel of a part; `gradient` is laid out as [`Panels`].
pub(super) struct Correlate<'a> {
    /// The padded source.
    pub(super) x: &'a [f32],
    pub(super) part: &'a Part,
    pub(super) channels: usize,
    /// `[pixels, width]`.
    pub(super) dy: &'a [f32],
    pub(super) width: usize,
    pub(super) gradient: &'a mut [f32],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            4 => self.run::<S, 4, 2>(simd),
            8 => self.run::<S, 2, 1>(simd),
            16 => self.run::<S, 1, 1>(simd),
            _ => self.run::<S, PANEL, 8>(simd),
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const HALF: usize>(self, simd: S) {
        let Self { x, part, channels, dy, width, gradient } = self;
        let (runs, len) = part.runs(channels);
        let depth = runs.len() * len;
        let (gradient, _) = S::as_mut_simd_f32s(gradient);
        let pixels = part.from.len();
        for block in (0..pixels).step_by(BLOCK) {
            let end = (block + BLOCK).min(pixels);
            let mut from = [0; BLOCK];
            for (from, pixel) in from.iter_mut().zip(block..end) {
                *from = part.from.start(pixel);
            }
            let from = &from[..end - block];
            for (first, panel) in
                (0..width).step_by(PANEL).zip(gradient.chunks_exact_mut(depth * VECTORS))
            {
                let columns = (width - first).min(PANEL);
                let dy = (&dy[block * width + first..], width, columns);
                for (run, panel) in runs.iter().zip(panel.chunks_exact_mut(len * VECTORS)) {
                    for (weight, rows) in
                        (0..len).step_by(ROWS).zip(panel.chunks_mut(ROWS * VECTORS))
                    {
                        let x = (x, run + weight);
                        if columns <= HALF * S::F32_LANES {
                            rows_of::<S, VECTORS, HALF>(simd, x, from, dy, rows);
                        } else {
                            rows_of::<S, VECTORS, VECTORS>(simd, x, from, dy, rows);
                        }
                    }
                }
            }
        }
    }
}

/// Up to [`ROWS`] weights' gradients.
#[inline(always)]
fn rows_of<S: Simd, const VECTORS: usize, const USED: usize>(
    simd: S,
    x: (&[f32], usize),
    from: &[usize],
    dy: (&[f32], usize, usize),
    gradient: &mut [S::f32s],
) {
    match gradient.len() / VECTORS {
        6 => correlate::<S, VECTORS, USED, 6>(simd, x, from, dy, gradient),
        5 => correlate::<S, VECTORS, USED, 5>(simd, x, from, dy, gradient),
        4 => correlate::<S, VECTORS, USED, 4>(simd, x, from, dy, gradient),
        3 => correlate::<S, VECTORS, USED, 3>(simd, x, from, dy, gradient),
        2 => correlate::<S, VECTORS, USED, 2>(simd, x, from, dy, gradient),
        _ => correlate::<S, VECTORS, USED, 1>(simd, x, from, dy, gradient),
    }
}

#[inline(always)]
fn correlate<S: Simd, const VECTORS: usize, const USED: usize, const COUNT: usize>(
    simd: S,
    (x, offset): (&[f32], usize),
    from: &[usize],
    (dy, width, columns): (&[f32], usize, usize),
    gradient: &mut [S::f32s],
) {
    let mut sums = [[simd.splat_f32s(0.0); USED]; COUNT];
    let is_whole = columns == USED * S::F32_LANES;
    for (pixel, start) in from.iter().enumerate() {
        let dy = &dy[pixel * width..][..columns];
        let mut vectors = [simd.splat_f32s(0.0); USED];
        if is_whole {
            let (whole, _) = S::as_simd_f32s(&dy[..USED * S::F32_LANES]);
            vectors.copy_from_slice(&whole[..USED]);
        } else {
            for (index, vector) in vectors.iter_mut().enumerate() {
                let skip = (index * S::F32_LANES).min(columns);
                *vector = load(simd, dy, skip, (columns - skip).min(S::F32_LANES));
            }
        }
        let x = &x[start + offset..][..COUNT];
        for (sums, &x) in sums.iter_mut().zip(x) {
            let x = simd.splat_f32s(x);
            for (sum, dy) in sums.iter_mut().zip(vectors) {
                *sum = simd.mul_add_e_f32s(x, dy, *sum);
            }
        }
    }
    for (gradient, sums) in gradient.chunks_exact_mut(VECTORS).zip(sums) {
        for (gradient, sum) in gradient.iter_mut().zip(sums) {
            *gradient = simd.add_f32s(*gradient, sum);
        }
    }
}

/// The first `lanes` elements from `at`, then zeros.
#[inline(always)]
pub(super) fn load<S: Simd>(simd: S, values: &[f32], at: usize, lanes: usize) -> S::f32s {
    let values = &values[at..at + lanes];
    match S::as_simd_f32s(values).0 {
        [vector, ..] => *vector,
        [] => simd.partial_load_f32s(values),
    }
}

/// Writes the first `lanes` elements.
#[inline(always)]
pub(super) fn store<S: Simd>(
    simd: S,
    values: &mut [f32],
    at: usize,
    lanes: usize,
    vector: S::f32s,
) {
    let values = &mut values[at..at + lanes];
    if lanes == S::F32_LANES {
        if let [place, ..] = S::as_mut_simd_f32s(values).0 {
            *place = vector;
        }
    } else {
        simd.partial_store_f32s(values, vector);
    }
}
