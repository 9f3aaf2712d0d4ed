//! Runs a Mote blob in place: no heap, no copies, no surprises.
//!
//! `&[u8] -> Blob -> Model -> Session -> &[i8]`, each stage a proof for the next:
//!
//! ```
//! use mote_engine::{Kernels, Model, Session};
//!
//! fn classify(blob: &[u8], picture: &[i8], arena: &mut [i8]) -> Option<u16> {
//!     let model = Model::parse(blob).ok()?;
//!     let mut session = Session::new(model, Kernels::best(), arena).ok()?;
//!     session.run_on(picture).ok()?;
//!     session.top_k::<1>().first().map(|best| best.class)
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod format;
#[doc(hidden)]
pub mod include;

mod arena;
mod blob;
mod error;
mod model;
mod observe;
mod ops;
mod receive;
mod session;
#[cfg(feature = "threads")]
mod threads;

pub use arena::Arena;
pub use blob::Blob;
#[cfg(feature = "threads")]
pub use error::ThreadsError;
pub use error::{OpFault, ParseError, PlanError, RunError, TensorFault};
pub use format::{ElementType, Numerics, OpKind};
pub use model::{Model, TensorView};
pub use mote_kernels::{Isa, Kernels};
pub use observe::Observer;
#[cfg(feature = "half")]
pub use ops::HalfOp;
pub use ops::{Add, Clamped, GlobalPool, Lookup, Matrix, Op, Pad, Pool, Softmax, Windowed};
pub use receive::{ReceiveError, receive};
pub use session::{Score, Session};
#[cfg(feature = "threads")]
pub use threads::Threads;
