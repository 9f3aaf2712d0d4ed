//! A blob over a wire: any `embedded_io::Read` into the caller's buffer.

use crate::blob;
use crate::error::ParseError;
use crate::format::Header;
use core::fmt;
use embedded_io::{Read, ReadExactError};

/// Why a blob did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReceiveError<E> {
    /// The reader failed.
    Read(E),
    /// The reader ended before the blob did.
    Ended,
    /// The buffer is smaller than the blob.
    BufferTooSmall {
        /// Bytes of the blob.
        needed: u32,
        /// Bytes of the buffer.
        found: u32,
    },
    /// What arrived is not a sound blob.
    Parse(ParseError),
}

impl<E: fmt::Debug> fmt::Display for ReceiveError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "reading the blob failed: {error:?}"),
            Self::Ended => f.write_str("the sender stopped before the blob was complete"),
            Self::BufferTooSmall { needed, found } => {
                write!(f, "the blob has {needed} bytes, the buffer {found}")
            }
            Self::Parse(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for ReceiveError<E> {}

impl<E> From<ReadExactError<E>> for ReceiveError<E> {
    fn from(error: ReadExactError<E>) -> Self {
        match error {
            ReadExactError::UnexpectedEof => Self::Ended,
            ReadExactError::Other(error) => Self::Read(error),
        }
    }
}

/// Reads one blob into `buffer`, which must lie on a 16-byte boundary, and verifies its checksum.
/// Not a byte more than the blob is taken from the reader.
///
/// # Errors
/// [`ReceiveError`]; nothing in `buffer` is to be trusted then.
pub fn receive<'b, R: Read>(
    reader: &mut R,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], ReceiveError<R::Error>> {
    let buffer_bytes = blob::saturating_u32(buffer.len());
    let too_small = |needed| ReceiveError::BufferTooSmall { needed, found: buffer_bytes };
    let (head, rest) = buffer
        .split_at_mut_checked(size_of::<Header>())
        .ok_or(too_small(blob::saturating_u32(size_of::<Header>())))?;
    reader.read_exact(head)?;
    let header = *blob::header(head).map_err(ReceiveError::Parse)?;
    let body = (header.total_bytes as usize)
        .checked_sub(size_of::<Header>())
        .and_then(|body| rest.get_mut(..body))
        .ok_or(too_small(header.total_bytes))?;
    reader.read_exact(body)?;
    let blob = blob::Blob::parse(buffer).map_err(ReceiveError::Parse)?;
    Ok(blob.bytes())
}
