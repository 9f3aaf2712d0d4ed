//! `Model -> Session -> &[i8]`.

use crate::blob::saturating_u32;
use crate::error::{PlanError, RunError};
use crate::model::{Model, TensorView};
use crate::observe::Observer;
use crate::ops::Op;
#[cfg(feature = "threads")]
use crate::threads::Threads;
use mote_kernels::{F16, Isa, Kernels, ShapeError};

/// A model, the kernels it runs on and the arena it runs in.
#[derive(Debug)]
pub struct Session<'m, 'a> {
    model: Model<'m>,
    kernels: Kernels,
    arena: &'a mut [i8],
    #[cfg(feature = "threads")]
    threads: Option<&'a mut Threads>,
}

impl<'m, 'a> Session<'m, 'a> {
    /// # Errors
    /// [`PlanError::ArenaTooSmall`] when `arena` is smaller than the plan,
    /// [`PlanError::ArenaMisaligned`] when it starts on an odd address and the network has halves, and
    /// without feature `fallback` unless it starts where an [`Arena`](crate::Arena) does;
    /// [`PlanError::NotPacked`] without that feature for a blob that needs it.
    pub fn new(model: Model<'m>, kernels: Kernels, arena: &'a mut [i8]) -> Result<Self, PlanError> {
        if arena.len() < model.arena_bytes() {
            return Err(PlanError::ArenaTooSmall {
                needed: saturating_u32(model.arena_bytes()),
                found: saturating_u32(arena.len()),
            });
        }
        if model.has_halves() && arena.as_ptr().align_offset(align_of::<F16>()) != 0 {
            return Err(PlanError::ArenaMisaligned);
        }
        if cfg!(not(feature = "fallback")) {
            // The best one is a constant here, which leaves what is asked of others out.
            let isa = Isa::best();
            let op = match kernels.isa() {
                best if best == isa => model.first_not_taken(isa),
                Isa::Scalar => None,
                other if cfg!(feature = "std") => model.first_not_taken(other),
                _ => Some(0),
            };
            if let Some(op) = op {
                return Err(PlanError::NotPacked { op: u16::try_from(op).unwrap_or(u16::MAX) });
            }
            if arena.as_ptr().align_offset(crate::format::ALIGNMENT) != 0 {
                return Err(PlanError::ArenaMisaligned);
            }
        }
        Ok(Self {
            model,
            kernels,
            arena,
            #[cfg(feature = "threads")]
            threads: None,
        })
    }

    /// The session on several threads; the bits are the same for any number of them.
    #[cfg(feature = "threads")]
    #[must_use]
    pub fn with_threads(mut self, threads: &'a mut Threads) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// The kernels.
    #[must_use]
    pub const fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// Where the input belongs, `[height, width, channels]`: int8, or the bytes of little-endian
    /// halves, as the [element](crate::TensorView::element) of [`Model::input`] says. A run overwrites
    /// it. [`set_input`](Self::set_input) takes real numbers for both.
    #[must_use]
    pub fn input_mut(&mut self) -> &mut [i8] {
        self.arena.get_mut(self.model.input().window()).unwrap_or(&mut [])
    }

    /// Stores real numbers as the input, whatever its element type.
    ///
    /// # Errors
    /// [`RunError::InputLen`] when there are not as many as the network takes.
    pub fn set_input(&mut self, reals: &[f32]) -> Result<(), RunError> {
        let input = self.model.input();
        if reals.len() != input.len() {
            return Err(RunError::InputLen {
                expected: saturating_u32(input.len()),
                found: saturating_u32(reals.len()),
            });
        }
        input.store(reals.iter().copied(), self.input_mut());
        Ok(())
    }

    /// The output of the last run in real numbers.
    pub fn output_reals(&self) -> impl Iterator<Item = f32> + '_ {
        self.model.output().reals(self.output())
    }

    /// The output of the last run, stored like the input.
    #[must_use]
    pub fn output(&self) -> &[i8] {
        self.arena.get(self.model.output().window()).unwrap_or(&[])
    }

    /// Copies `input`, the bytes of [`input_mut`](Self::input_mut), into the arena and runs.
    ///
    /// # Errors
    /// [`RunError::InputLen`] when `input` does not have the network's length, counted in bytes.
    pub fn run_on(&mut self, input: &[i8]) -> Result<&[i8], RunError> {
        let place = self.input_mut();
        if place.len() != input.len() {
            return Err(RunError::InputLen {
                expected: saturating_u32(place.len()),
                found: saturating_u32(input.len()),
            });
        }
        for (place, &value) in place.iter_mut().zip(input) {
            *place = value;
        }
        Ok(self.run())
    }

    /// Runs on what [`input_mut`](Self::input_mut) holds. Neither panics nor fails, nor allocates on one
    /// thread.
    pub fn run(&mut self) -> &[i8] {
        self.run_observed(&mut ())
    }

    /// [`run`](Self::run) under the eyes of `observer`.
    pub fn run_observed(&mut self, observer: &mut impl Observer) -> &[i8] {
        for index in 0..self.model.op_count() {
            // By reference: a decoded operation is large.
            let Ok(op) = &Op::decode(self.model.blob(), index, true) else {
                debug_assert!(false, "a parsed model decodes");
                continue;
            };
            observer.before(index, op);
            let outcome = self.run_op(op);
            debug_assert_eq!(outcome, Ok(()), "operation {index} of a parsed model runs");
            let output = self.model.tensor(index + 1).unwrap_or(TensorView::NOTHING);
            observer.after(index, op, self.arena.get(output.window()).unwrap_or(&[]));
        }
        self.output()
    }

    #[inline]
    fn run_op(&mut self, op: &Op<'_>) -> Result<(), ShapeError> {
        #[cfg(feature = "threads")]
        if let Some(threads) = &mut self.threads {
            return threads.run(op, &self.kernels, self.arena);
        }
        op.run(&self.kernels, self.arena)
    }

    /// The `K` classes with the largest outputs, best first; equal ones in class order.
    #[must_use]
    pub fn top_k<const K: usize>(&self) -> heapless::Vec<Score, K> {
        let mut best = heapless::Vec::new();
        for (class, score) in self.output_reals().enumerate() {
            let place = best.iter().position(|b: &Score| b.score < score).unwrap_or(best.len());
            if place < K {
                if best.is_full() {
                    best.pop();
                }
                let class = u16::try_from(class).unwrap_or(u16::MAX);
                let _ = best.insert(place, Score { class, score });
            }
        }
        best
    }
}

/// One class of an output.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Score {
    /// Index of the class.
    pub class: u16,
    /// The output as a real number: a probability after softmax.
    pub score: f32,
}
