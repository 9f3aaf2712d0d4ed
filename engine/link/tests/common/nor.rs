//! A flash that behaves like one, whose power can be cut at every single step.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

pub const SECTOR: usize = 256;
pub const WORD: usize = 4;

/// NOR flash: erasing sets a sector's bits, writing only clears bits, a word at a time and once
/// each. Every word and every sector is a step; the step at which the power goes is torn: some of
/// its bits have changed.
#[derive(Clone, Debug)]
pub struct Nor {
    pub bytes: Vec<u8>,
    written: Vec<bool>,
    /// Steps until the power goes.
    power: usize,
    pub steps: usize,
    noise: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub enum NorError {
    Kind(NorFlashErrorKind),
    /// No power; nothing more happens.
    Dark,
}

impl Nor {
    pub fn new(len: u32) -> Self {
        let len = len as usize;
        // What a chip holds before its first use is nobody's business: not all ones.
        let bytes = (0..len).map(|i| (i * 37 + 11).to_le_bytes()[0]).collect();
        let written = vec![true; len / WORD];
        Self { bytes, written, power: usize::MAX, steps: 0, noise: 1 }
    }

    /// Whether this step is whole, torn, or does not happen.
    fn step(&mut self) -> Result<bool, NorError> {
        if self.steps > self.power {
            return Err(NorError::Dark);
        }
        self.steps += 1;
        Ok(self.steps <= self.power)
    }

    fn random(&mut self) -> u8 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        self.noise.to_le_bytes()[1]
    }

    /// The same chip after the power has come back, or with a new cut ahead.
    pub fn restart(mut self, power: usize) -> Self {
        (self.power, self.steps) = (power, 0);
        self
    }
}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Kind(kind) => *kind,
            Self::Dark => NorFlashErrorKind::Other,
        }
    }
}

impl ErrorType for Nor {
    type Error = NorError;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        check_read(self, offset, bytes.len()).map_err(NorError::Kind)?;
        if self.steps > self.power {
            return Err(NorError::Dark);
        }
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        check_erase(self, from, to).map_err(NorError::Kind)?;
        for at in from as usize..to as usize {
            if at.is_multiple_of(SECTOR) && !self.step()? {
                for byte in at..at + SECTOR {
                    self.bytes[byte] |= self.random();
                }
                return Err(NorError::Dark);
            }
            self.bytes[at] = 0xff;
            self.written[at / WORD] = false;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        check_write(self, offset, bytes.len()).map_err(NorError::Kind)?;
        for (index, word) in bytes.chunks(WORD).enumerate() {
            let at = offset as usize + index * WORD;
            let whole = self.step()?;
            assert!(!self.written[at / WORD], "the word at {at} is written twice");
            self.written[at / WORD] = true;
            for (i, &byte) in word.iter().enumerate() {
                let spared = if whole { 0 } else { self.random() };
                self.bytes[at + i] &= byte | spared;
            }
            if !whole {
                return Err(NorError::Dark);
            }
        }
        Ok(())
    }
}
