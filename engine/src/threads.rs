//! Several threads for one session.

extern crate std;

use crate::error::ThreadsError;
use crate::format::Block;
use crate::ops::{Op, Parts, Place, Windows};
use core::num::NonZeroUsize;
use mote_kernels::{Kernels, ShapeError};
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;
use std::vec::Vec;

/// Threads that wait for the operations of a session, and memory for each of them.
///
/// Convolutions are split into rows or pixels, each of which is computed as it would be otherwise: the
/// bits do not depend on the number of threads.
#[derive(Debug)]
pub struct Threads {
    /// All but the one that calls.
    pool: ThreadPool,
    /// The scratch of each in the pool.
    scratch: Vec<Buffer>,
    /// An input whose operation would overwrite it.
    copy: Buffer,
}

impl Threads {
    /// `count` threads, of which the one that runs the session is the first.
    ///
    /// # Errors
    /// [`ThreadsError`] when the system gives no more.
    pub fn new(count: NonZeroUsize) -> Result<Self, ThreadsError> {
        let others = count.get() - 1;
        let pool = ThreadPoolBuilder::new()
            // Of none it would make as many as there are processors.
            .num_threads(others.max(1))
            .thread_name(|index| std::format!("mote {}", index + 1))
            .build()
            .map_err(|_| ThreadsError)?;
        let scratch = (0..others).map(|_| Buffer::default()).collect();
        Ok(Self { pool, scratch, copy: Buffer::default() })
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.scratch.len()
    }

    pub(crate) fn run(
        &mut self,
        op: &Op<'_>,
        kernels: &Kernels,
        arena: &mut [i8],
    ) -> Result<(), ShapeError> {
        match op.shared() {
            Some((place, parts)) if self.count() > 1 && op.macs() >= WORTH_SHARING => {
                self.share(op, kernels, place, parts, arena)
            }
            _ => op.run(kernels, arena),
        }
    }

    fn share(
        &mut self,
        op: &Op<'_>,
        kernels: &Kernels,
        place: &Place,
        parts: Parts,
        arena: &mut [i8],
    ) -> Result<(), ShapeError> {
        let threads = self.count();
        let copy = self.copy.room_for(place.copy_bytes());
        let Windows { input, output, scratch } = place.split_from(arena, copy)?;
        let (Parts::Rows(count) | Parts::Pixels(count)) = parts;
        let share = count.div_ceil(threads);
        let piece = |bytes: usize| share * bytes.checked_div(count).unwrap_or(0).max(1);
        let (input_piece, output_piece) = (piece(input.len()), piece(output.len()));
        let fault = OnceLock::new();
        let run = |index: usize, output: &mut [i8], scratch: &mut [i8]| {
            let input = match parts {
                Parts::Rows(_) => input,
                Parts::Pixels(_) => input.chunks(input_piece).nth(index).unwrap_or(&[]),
            };
            let windows = Windows { input, output, scratch };
            if let Err(error) = op.run_part(kernels, windows, index * share) {
                let _ = fault.set(error);
            }
        };
        let (run, scratch_bytes) = (&run, scratch.len());
        let mut pieces = output.chunks_mut(output_piece).enumerate();
        let first = pieces.next();
        self.pool.in_place_scope(|scope| {
            for ((index, output), scratch) in pieces.zip(&mut self.scratch) {
                let scratch = scratch.room_for(scratch_bytes);
                scope.spawn(move |_| run(index, output, scratch));
            }
            if let Some((index, output)) = first {
                run(index, output, scratch);
            }
        });
        fault.into_inner().map_or(Ok(()), Err)
    }
}

/// Multiply-accumulates that take about as long as handing them to other threads and waiting.
const WORTH_SHARING: u64 = 100_000;

/// Bytes on a 16-byte boundary, as in the arena.
#[derive(Debug, Default)]
struct Buffer(Vec<Block>);

impl Buffer {
    /// So many of them, allocated where an operation first wants them.
    fn room_for(&mut self, bytes: usize) -> &mut [i8] {
        let len = bytes.div_ceil(size_of::<Block>());
        if self.0.len() < len {
            self.0.resize(len, Block::default());
        }
        bytemuck::cast_slice_mut(&mut self.0).get_mut(..bytes).unwrap_or(&mut [])
    }
}
