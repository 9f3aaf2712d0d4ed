//! `&[u8] -> Blob`: magic, version, checksum, sections. After parsing no accessor can fail.

use crate::error::ParseError;
use crate::format::{
    self, ALIGNMENT, Entry, Header, MAGIC, MAX_OPS, MetadataKey, Numerics, Op, Section, Tensor,
    VERSION_MAJOR,
};
use core::mem::offset_of;

/// A blob whose header and sections are sound; what the records say is [`Model`]'s business.
///
/// [`Model`]: crate::Model
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    bytes: &'a [u8],
    checksum: u32,
    numerics: Numerics,
    arena_bytes: u32,
    families: u32,
    tensors: &'a [Tensor],
    ops: &'a [Op],
    parameters: &'a [u8],
    weights: &'a [i8],
    metadata: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Checks everything that does not need the meaning of a record, the checksum included.
    /// Bytes after the blob's end are ignored.
    ///
    /// # Errors
    /// [`ParseError`], in the order of the checks: length, alignment, magic, version, checksum,
    /// header, sections, metadata.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header = header(bytes)?;
        let Some(bytes) = bytes.get(..header.total_bytes as usize) else {
            return Err(ParseError::Truncated {
                expected: header.total_bytes,
                found: saturating_u32(bytes.len()),
            });
        };
        let body = bytes.get(CHECKSUM_END..).unwrap_or(&[]);
        let found = format::checksum(body);
        if found != header.checksum {
            return Err(ParseError::Checksum { expected: header.checksum, found });
        }
        let Some(numerics) = Numerics::from_code(header.numerics).filter(|n| n.is_linked()) else {
            return Err(ParseError::Header { offset: offset(offset_of!(Header, numerics)) });
        };
        let tensors = records::<Tensor>(bytes, header.tensors, offset_of!(Header, tensors))?;
        let ops = records::<Op>(bytes, header.ops, offset_of!(Header, ops))?;
        if ops.is_empty() || ops.len() > MAX_OPS {
            return Err(ParseError::Section { header_offset: offset(offset_of!(Header, ops)) });
        }
        if tensors.len() != ops.len() + 1 {
            return Err(ParseError::Section { header_offset: offset(offset_of!(Header, tensors)) });
        }
        let blob = Self {
            bytes,
            checksum: header.checksum,
            numerics,
            arena_bytes: header.arena_bytes,
            families: header.families,
            tensors,
            ops,
            parameters: records(bytes, header.parameters, offset_of!(Header, parameters))?,
            weights: records(bytes, header.weights, offset_of!(Header, weights))?,
            metadata: records(bytes, header.metadata, offset_of!(Header, metadata))?,
        };
        blob.check_metadata()?;
        Ok(blob)
    }

    /// The whole blob.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The checksum of its bytes, which names this very blob.
    #[must_use]
    pub const fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The contract the blob was made for.
    #[must_use]
    pub const fn numerics(&self) -> Numerics {
        self.numerics
    }

    /// Bytes of arena that the plan needs.
    #[must_use]
    pub const fn arena_bytes(&self) -> usize {
        self.arena_bytes as usize
    }

    /// One bit an operation kind that occurs.
    #[must_use]
    pub const fn families(&self) -> u32 {
        self.families
    }

    /// Tensor records: the input, then the output of each operation.
    #[must_use]
    pub const fn tensors(&self) -> &'a [Tensor] {
        self.tensors
    }

    /// Operation records.
    #[must_use]
    pub const fn ops(&self) -> &'a [Op] {
        self.ops
    }

    /// The per-channel tables.
    #[must_use]
    pub const fn parameters(&self) -> &'a [u8] {
        self.parameters
    }

    /// The packed weights.
    #[must_use]
    pub const fn weights(&self) -> &'a [i8] {
        self.weights
    }

    /// The text stored under `key`.
    #[must_use]
    pub fn metadata(&self, key: MetadataKey) -> Option<&'a str> {
        let mut rest = self.metadata;
        while let Some((entry, text, next)) = next_entry(rest) {
            if entry.key == key.code() {
                return core::str::from_utf8(text).ok();
            }
            rest = next;
        }
        None
    }

    fn check_metadata(&self) -> Result<(), ParseError> {
        let mut rest = self.metadata;
        while !rest.is_empty() {
            let sound = next_entry(rest).filter(|(_, text, _)| core::str::from_utf8(text).is_ok());
            let Some((_, _, next)) = sound else {
                let offset = saturating_u32(self.metadata.len() - rest.len());
                return Err(ParseError::Metadata { offset });
            };
            rest = next;
        }
        Ok(())
    }
}

const CHECKSUM_END: usize = offset_of!(Header, checksum) + 4;

/// The header of a blob of which perhaps only the first bytes are there: length, alignment, magic
/// and version are checked.
pub(crate) fn header(bytes: &[u8]) -> Result<&Header, ParseError> {
    let Some(start) = bytes.get(..size_of::<Header>()) else {
        return Err(match bytes.get(..MAGIC.len()) {
            Some(magic) if magic != MAGIC => ParseError::Magic,
            _ => ParseError::Truncated {
                expected: saturating_u32(size_of::<Header>()),
                found: saturating_u32(bytes.len()),
            },
        });
    };
    if bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
        return Err(ParseError::Misaligned);
    }
    let header: &Header = bytemuck::try_from_bytes(start).map_err(|_| ParseError::Misaligned)?;
    if header.magic != MAGIC {
        return Err(ParseError::Magic);
    }
    if header.version_major != VERSION_MAJOR {
        return Err(ParseError::Version {
            major: header.version_major,
            minor: header.version_minor,
        });
    }
    if (header.total_bytes as usize) < size_of::<Header>() {
        return Err(ParseError::Header { offset: offset(offset_of!(Header, total_bytes)) });
    }
    Ok(header)
}

fn records<T: bytemuck::Pod>(
    bytes: &[u8],
    section: Section,
    header_offset: usize,
) -> Result<&[T], ParseError> {
    let start = section.offset as usize;
    start
        .checked_add(section.bytes as usize)
        .filter(|_| start.is_multiple_of(ALIGNMENT))
        .and_then(|end| bytes.get(start..end))
        .and_then(|bytes| bytemuck::try_cast_slice(bytes).ok())
        .ok_or(ParseError::Section { header_offset: offset(header_offset) })
}

fn next_entry(rest: &[u8]) -> Option<(Entry, &[u8], &[u8])> {
    let (head, rest) = rest.split_at_checked(size_of::<Entry>())?;
    let entry: Entry = bytemuck::try_pod_read_unaligned(head).ok()?;
    let (text, rest) = rest.split_at_checked(entry.bytes as usize)?;
    let padding = text.len().next_multiple_of(4) - text.len();
    Some((entry, text, rest.get(padding..)?))
}

const fn offset(value: usize) -> u32 {
    saturating_u32(value)
}

#[allow(clippy::cast_possible_truncation, reason = "saturated just before")]
pub(crate) const fn saturating_u32(value: usize) -> u32 {
    if value > u32::MAX as usize { u32::MAX } else { value as u32 }
}
