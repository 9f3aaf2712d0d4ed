//! Hand-written int8 and f16 kernels: safe slices in, the same bits on every machine.
//!
//! A family is an operation, a cell its implementation for one instruction set, one file each:
//! `conv_s8/scalar.rs` is the specification of convolution, `conv_s8/avx2.rs` the fast twin with
//! the same bits. [`Kernels`] holds one cell of every family. Only [`Isa::NeonFp16`] has bits of its own,
//! for halves, and runs only where it is named.
//!
//! | family | scalar | avx2 | neon | neon_dotprod | neon_i8mm | neon_fp16 | armv6m | armv7m | armv7em_dsp | mve |
//! |---|---|---|---|---|---|---|---|---|---|---|
//! | [`conv_s8`] | x | im2col strips, 6 pixels x 16 channels | padded rows or im2col strips, 4 x 4 | 4 x 16 | 8 x 8 | | windows by fours, two in a word, x 1 channel | the same | im2col pairs, 2 pixels x 4 channels | im2col strips, 2 pixels x 4 channels |
//! | [`pointwise_conv_s8`] | x | the same tiles | the same tiles | the same | the same | | the same tiles | the same tiles | the same tiles | the same tiles, pixels as they lie |
//! | [`depthwise_conv_s8`] | x | 8 channels x 4 outputs of a 3x3 row; any window | 8 channels of two 3x3 rows; any window | | | | 4 outputs of a 3x3 row | the same | 4 outputs of a 3x3 row | 8 outputs of two 3x3 rows |
//! | [`fully_connected_s8`] | x | the same tiles, 1 x 32 | the same tiles, 1 x 4 | 1 x 16 | 2 x 8 | | the same tiles, 1 x 1 | the same | the same tiles, one pixel twice | the same tiles, one pixel twice |
//! | [`add_s8`] | x | 32 values | 16 values | | | | | | 1 value, 7 to 22 instructions | 4 values |
//! | [`clamp_s8`] | x | 32 values | 16 values | | | | | | 4 values | 16 values |
//! | [`lookup_s8`] | x | 32 values | 16 values | | | | | | | |
//! | [`avg_pool_s8`] | x | 32 channels and more | 8 channels and more | | | | 32 channels | the same | 4 channels | 16 channels |
//! | [`max_pool_s8`], [`global_avg_pool_s8`] | x | the same | the same | | | | | | 4 channels | 16 channels |
//! | [`softmax_s8`] | x | 8 values | each value once | | | | | | | |
//! | [`pad_s8`] | x | scalar's copies | | | | | | | | |
//! | [`conv_f16`] | x | im2col strips, 6 pixels x 16 channels | the same |  |  | packed strips, 8 x 16 |  |  | im2col, 4 pixels x 4 channels | im2col, 6 pixels x 4 channels |
//! | [`pointwise_conv_f16`] | x | the same tiles | the same |  |  | the same tiles |  |  | the same tiles | the same tiles |
//! | [`depthwise_conv_f16`] | x | 8 channels x 4 outputs | the same |  |  | 8 channels of rows of 3x3 windows |  |  | 4 channels | 4 channels x 4 outputs of a 3x3 row; any window |
//! | [`fully_connected_f16`] | x | the same tiles, 1 x 32 | the same |  |  | the same tiles, 1 x 32 |  |  | the same tiles, 1 x 4 | the same tiles, 1 x 4 |
//! | [`avg_pool_f16`] | x | 32 channels | the same |  |  | |  |  |  | 4 channels |
//! | [`max_pool_f16`] | x | 32 channels | the same |  |  | |  |  |  |  |
//! | [`add_f16`], [`global_avg_pool_f16`] | x | 8 values | the same |  |  | |  |  |  | 4 values |
//! | [`clamp_f16`], [`softmax_f16`] | x | 8 values | the same |  |  | |  |  |  |  |
//! | [`quantize_f16`], [`dequantize_f16`] | x | 8 values | the same |  |  | |  |  |  |  |
//!
//! `neon_fp16` adds 32 halves at a time in [`add_f16`], with the same bits, and takes what it has no cell
//! for from `neon_dotprod`. Halves are padded by [`pad_s8`] too: two channels of zero bytes are one of a zero.
//!
//! ```
//! use mote_kernels::{Clamp, Kernels, clamp_s8};
//!
//! let mut output = [0; 4];
//! let mut args = clamp_s8::Args::new(clamp_s8::Operands {
//!     input: Some(&[-128, -5, 5, 127]),
//!     clamp: Clamp { min: 0, max: 6 },
//!     output: &mut output,
//! })?;
//! Kernels::best().clamp_s8(&mut args);
//! assert_eq!(output, [0, 0, 5, 6]);
//! # Ok::<(), mote_kernels::ShapeError>(())
//! ```
#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod error;
mod f16;
mod filter;
mod fixed_point;
mod geometry;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod im2col_s8;
mod isa;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod pool_f16;
mod requantize;
#[macro_use]
mod table;
mod tile_f16;
mod tile_s8;

pub mod add_f16;
pub mod add_s8;
pub mod avg_pool_f16;
pub mod avg_pool_s8;
pub mod clamp_f16;
pub mod clamp_s8;
pub mod conv_f16;
pub mod conv_s8;
pub mod depthwise_conv_f16;
pub mod depthwise_conv_s8;
pub mod dequantize_f16;
pub mod fully_connected_f16;
pub mod fully_connected_s8;
pub mod global_avg_pool_f16;
pub mod global_avg_pool_s8;
pub mod lookup_s8;
pub mod max_pool_f16;
pub mod max_pool_s8;
pub mod pad_s8;
pub mod pointwise_conv_f16;
pub mod pointwise_conv_s8;
pub mod quantize_f16;
pub mod softmax_f16;
pub mod softmax_s8;

pub use error::ShapeError;
pub use f16::{ClampF16, EpilogueF16, F16};
pub use filter::{Filter, Layout, pack, pack_f16};
pub use geometry::{Geometry, MAX_EXTENT, Rows, Shape, Window};
pub use isa::{Isa, Verified};
pub use requantize::{
    Clamp, Epilogue, Requantize, Rescale, multiply_by_quantized_multiplier, round_half_even,
    rounding_divide_by_pot, saturating_rounding_doubling_high_mul,
};
pub use table::Kernels;

/// `slice` in pieces of `len`. Every `Args` has proved that `len` is not zero; `max` proves it to
/// the optimiser, which then leaves no panic path.
#[inline]
fn pieces<T>(slice: &[T], len: usize) -> core::slice::ChunksExact<'_, T> {
    slice.chunks_exact(len.max(1))
}

/// See [`pieces`].
#[inline]
fn pieces_mut<T>(slice: &mut [T], len: usize) -> core::slice::ChunksExactMut<'_, T> {
    slice.chunks_exact_mut(len.max(1))
}

/// Pieces of two slices side by side. `zip` would divide by their lengths once more, where only
/// inlining proves that they are not zero.
#[inline]
fn pieces_of_both<'s, T>(
    from: &'s [T],
    from_len: usize,
    to: &'s mut [T],
    to_len: usize,
) -> impl Iterator<Item = (&'s [T], &'s mut [T])> {
    let mut from = pieces(from, from_len);
    pieces_mut(to, to_len).map_while(move |to| Some((from.next()?, to)))
}

/// What follows `start`; nothing beyond the end.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
fn after<T>(slice: &[T], start: usize) -> &[T] {
    slice.get(start..).unwrap_or(&[])
}

/// See [`after`].
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
fn after_mut<T>(slice: &mut [T], start: usize) -> &mut [T] {
    slice.get_mut(start..).unwrap_or(&mut [])
}

/// As many values as both hold.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn copy<T: Copy>(to: &mut [T], from: &[T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Checks that `output_len` is some whole rows of the output, inside it from `first_row` on, and
/// that `input` is (a ring of) the input that covers the window.
fn check_rows<T>(
    geometry: &Geometry,
    input: &Rows<'_, T>,
    first_row: usize,
    output_len: usize,
) -> Result<(), ShapeError> {
    if input.shape() != geometry.input() {
        return Err(ShapeError::InputLen);
    }
    if input.slots() < geometry.window().span_height().min(geometry.input().height) {
        return Err(ShapeError::InputLen);
    }
    let row_len = geometry.output().row_len();
    let rows = output_len.checked_div(row_len).ok_or(ShapeError::OutputLen)?;
    if rows * row_len != output_len
        || first_row.checked_add(rows).is_none_or(|end| end > geometry.output().height)
    {
        return Err(ShapeError::OutputLen);
    }
    Ok(())
}
