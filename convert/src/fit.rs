//! Transfer learning: a network that knows something is taught something else.

mod augment;
mod head;
mod split;

pub use augment::{Augment, AugmentError, Draw};
pub use head::{Head, base_output, with_head};
pub use split::{Split, cut_before, join, split, with_trainable};
