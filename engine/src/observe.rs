//! Looking at a run: profiling and dumps.

use crate::ops::Op;

/// Is told of every operation. The unit type observes nothing and costs nothing.
pub trait Observer {
    /// Operation `index` is about to run.
    fn before(&mut self, index: usize, op: &Op<'_>) {
        let _ = (index, op);
    }

    /// Operation `index` has written `output`.
    fn after(&mut self, index: usize, op: &Op<'_>, output: &[i8]) {
        let _ = (index, op, output);
    }
}

impl Observer for () {}
