//! Test vectors from a file on the host: a batch of any length without building anew.

use semihosting::{
    fs::File,
    io::{self, Read as _},
};

/// The file the host puts beside the emulator.
const NAME: &core::ffi::CStr = c"input.bin";

/// Input tensors one after another, as the host wrote them.
#[derive(Debug)]
pub struct Vectors {
    file: File,
}

impl Vectors {
    /// Opens the batch.
    ///
    /// # Errors
    /// The host's error when there is no `input.bin` in the emulator's working directory.
    pub fn open() -> io::Result<Self> {
        Ok(Self { file: File::open(NAME)? })
    }

    /// Fills `vector` with the next one; `false` when none (or only a part of one) is left.
    ///
    /// # Errors
    /// The host's error when the file cannot be read.
    pub fn next(&mut self, vector: &mut [u8]) -> io::Result<bool> {
        match self.file.read_exact(vector) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
