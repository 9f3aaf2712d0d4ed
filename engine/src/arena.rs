//! The memory of a session.

/// `BYTES` of memory on a 16-byte boundary, for activations and scratch.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub struct Arena<const BYTES: usize> {
    bytes: [i8; BYTES],
}

impl<const BYTES: usize> Arena<BYTES> {
    /// An arena of zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; BYTES] }
    }

    /// What a [`Session`](crate::Session) works in.
    #[must_use]
    pub const fn as_mut_slice(&mut self) -> &mut [i8] {
        &mut self.bytes
    }
}

impl<const BYTES: usize> Default for Arena<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}
