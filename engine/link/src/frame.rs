//! Frames: a kind, a length, so many bytes, and a checksum of each part.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | `Mt` |
//! | 2 | 1 | kind |
//! | 3 | 1 | zero |
//! | 4 | 4 | length of the payload |
//! | 8 | 4 | CRC-32 of the 8 bytes before |
//! | 12 | length | payload |
//! | 12 + length | 4 | CRC-32 of the payload |
//!
//! Little-endian; the checksum is a blob's, [`mote_engine::format::checksum`]. A header has a
//! checksum of its own because a wrong length would swallow the frames behind it. Between frames a
//! receiver skips whatever is no header: the noise of a cable, the text of a boot loader.

use core::fmt;

use embedded_io::{Read, ReadExactError, Write};
use mote_engine::format::{checksum, update_checksum};

/// First bytes of every frame.
pub const MAGIC: [u8; 2] = *b"Mt";

const HEADER_BYTES: usize = 12;

/// Why a frame did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError<E> {
    /// The reader failed.
    Read(E),
    /// The reader ended.
    Ended,
    /// The payload is not the one that was sent.
    Checksum,
}

impl<E: fmt::Debug> fmt::Display for FrameError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "reading failed: {error:?}"),
            Self::Ended => f.write_str("the other side hung up"),
            Self::Checksum => f.write_str("a message was damaged on its way; send it again"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for FrameError<E> {}

impl<E> From<ReadExactError<E>> for FrameError<E> {
    fn from(error: ReadExactError<E>) -> Self {
        match error {
            ReadExactError::UnexpectedEof => Self::Ended,
            ReadExactError::Other(error) => Self::Read(error),
        }
    }
}

/// Sends one frame; `parts` together are its payload.
///
/// # Errors
/// The writer's.
pub fn send<W: Write>(wire: &mut W, kind: u8, parts: &[&[u8]]) -> Result<(), W::Error> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut header = [0; HEADER_BYTES];
    header[..2].copy_from_slice(&MAGIC);
    header[2] = kind;
    // No board has 4 GiB to send, and a host's messages are smaller still.
    header[4..8].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    let sum = checksum(&header[..8]);
    header[8..].copy_from_slice(&sum.to_le_bytes());
    wire.write_all(&header)?;
    let mut sum = !0;
    for part in parts {
        wire.write_all(part)?;
        sum = update_checksum(sum, part);
    }
    wire.write_all(&(!sum).to_le_bytes())?;
    wire.flush()
}

/// Waits for the next frame's header.
///
/// # Errors
/// [`FrameError::Read`], [`FrameError::Ended`].
pub fn receive<R: Read>(wire: &mut R) -> Result<Incoming<'_, R>, FrameError<R::Error>> {
    let mut header = [0; HEADER_BYTES];
    let mut present = 0;
    loop {
        let (_, missing) = header.split_at_mut(present);
        wire.read_exact(missing)?;
        if header[..2] == MAGIC && header[8..] == checksum(&header[..8]).to_le_bytes() {
            let [_, _, kind, _, a, b, c, d, ..] = header;
            let left = u32::from_le_bytes([a, b, c, d]);
            return Ok(Incoming { wire, kind, left, sum: !0 });
        }
        // The next place where a header may begin.
        let skip = (1..HEADER_BYTES)
            .find(|&at| header[at..].iter().zip(&MAGIC).all(|(found, magic)| found == magic))
            .unwrap_or(HEADER_BYTES);
        header.copy_within(skip.., 0);
        present = HEADER_BYTES - skip;
    }
}

/// A frame whose payload is still to be read, straight to where it belongs.
#[derive(Debug)]
pub struct Incoming<'w, R> {
    wire: &'w mut R,
    kind: u8,
    left: u32,
    sum: u32,
}

impl<R: Read> Incoming<'_, R> {
    /// What the frame is.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// Bytes of payload that are still to come.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left as usize
    }

    /// Fills `place` from the payload, as far as there is any; the bytes read.
    ///
    /// # Errors
    /// [`FrameError::Read`], [`FrameError::Ended`].
    pub fn read(&mut self, place: &mut [u8]) -> Result<usize, FrameError<R::Error>> {
        let len = place.len().min(self.left());
        let (place, _) = place.split_at_mut(len);
        self.wire.read_exact(place)?;
        self.sum = update_checksum(self.sum, place);
        // No more than `left`, which is a u32.
        self.left -= u32::try_from(len).unwrap_or(self.left);
        Ok(len)
    }

    /// Skips what is left and compares the checksum: only now is the payload to be trusted.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn finish(mut self) -> Result<(), FrameError<R::Error>> {
        let mut rest = [0; 64];
        while self.left > 0 {
            self.read(&mut rest)?;
        }
        let mut sum = [0; 4];
        self.wire.read_exact(&mut sum)?;
        if u32::from_le_bytes(sum) == !self.sum { Ok(()) } else { Err(FrameError::Checksum) }
    }
}
