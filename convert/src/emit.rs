//! `Program -> blob bytes`; the mirror of the engine's parser, which proves every blob written.

use bytemuck::{Zeroable, bytes_of, cast_slice};
use mote_engine::format::{self, Block, Entry, Header, MetadataKey, Section};
use mote_engine::{Model, ParseError};
use thiserror::Error;

use crate::lower::Program;

/// Texts that travel with a blob.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Class names.
    pub labels: Option<Vec<String>>,
    /// How a picture becomes the input tensor, one line.
    pub preprocess: Option<String>,
    /// Where the blob came from, JSON.
    pub provenance: Option<String>,
}

/// A blob that could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EmitError {
    /// Over 4 GiB.
    #[error("the blob would be larger than 4 GiB")]
    TooLarge,
    /// The engine refuses what was written: a bug in Mote.
    #[error("the engine refuses the new blob, please report this: {0}")]
    Refused(#[from] ParseError),
}

/// Writes `program` and proves the result with the engine's parser.
///
/// # Errors
/// [`EmitError`].
pub fn emit(program: &Program, metadata: &Metadata) -> Result<AlignedBytes, EmitError> {
    let mut bytes = vec![0; size_of::<Header>()];
    let mut header = Header {
        magic: format::MAGIC,
        version_major: format::VERSION_MAJOR,
        version_minor: format::VERSION_MINOR,
        numerics: program.numerics.code(),
        arena_bytes: small(program.arena_bytes)?,
        families: program.ops.iter().fold(0, |bits, op| bits | 1 << op.kind),
        ..Header::zeroed()
    };
    header.tensors = push(&mut bytes, cast_slice(&program.tensors))?;
    header.ops = push(&mut bytes, cast_slice(&program.ops))?;
    header.parameters = push(&mut bytes, &program.parameters)?;
    header.weights = push(&mut bytes, cast_slice(&program.weights))?;
    header.metadata = push(&mut bytes, &entries(program, metadata)?)?;
    bytes.resize(bytes.len().next_multiple_of(format::ALIGNMENT), 0);
    header.total_bytes = small(bytes.len())?;
    seal(&mut bytes, header);
    let blob = AlignedBytes::from(bytes.as_slice());
    Model::parse(&blob)?;
    Ok(blob)
}

/// Writes `header` with the checksum of what follows it.
fn seal(bytes: &mut [u8], mut header: Header) {
    let body = core::mem::offset_of!(Header, checksum) + 4;
    bytes[..size_of::<Header>()].copy_from_slice(bytes_of(&header));
    header.checksum = format::checksum(&bytes[body..]);
    bytes[..size_of::<Header>()].copy_from_slice(bytes_of(&header));
}

fn push(bytes: &mut Vec<u8>, section: &[u8]) -> Result<Section, EmitError> {
    bytes.resize(bytes.len().next_multiple_of(format::ALIGNMENT), 0);
    let section_at = Section { offset: small(bytes.len())?, bytes: small(section.len())? };
    bytes.extend_from_slice(section);
    Ok(section_at)
}

fn entries(program: &Program, metadata: &Metadata) -> Result<Vec<u8>, EmitError> {
    let mut bytes = Vec::new();
    let mut entry = |key: MetadataKey, text: &str| {
        let head = Entry { key: key.code(), bytes: small(text.len())? };
        bytes.extend_from_slice(bytes_of(&head));
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        Ok::<_, EmitError>(())
    };
    if let Some(labels) = &metadata.labels {
        entry(MetadataKey::Labels, &lines(labels))?;
    }
    entry(MetadataKey::Names, &lines(&program.names))?;
    if let Some(preprocess) = &metadata.preprocess {
        entry(MetadataKey::Preprocess, preprocess)?;
    }
    if let Some(provenance) = &metadata.provenance {
        entry(MetadataKey::Provenance, provenance)?;
    }
    Ok(bytes)
}

/// One text a line; a line break inside a text becomes a space.
fn lines(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|t| t.replace(['\n', '\r'], " ")).collect();
    texts.join("\n")
}

fn small(value: usize) -> Result<u32, EmitError> {
    u32::try_from(value).map_err(|_| EmitError::TooLarge)
}

/// Bytes on a 16-byte boundary, as the engine wants blobs and arenas.
#[derive(Clone, Debug)]
pub struct AlignedBytes {
    blocks: Vec<Block>,
    len: usize,
}

impl AlignedBytes {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self { blocks: vec![Block::default(); len.div_ceil(format::ALIGNMENT)], len }
    }

    /// The bytes as int8, to work in.
    #[must_use]
    pub fn as_i8_mut(&mut self) -> &mut [i8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }
}

impl From<&[u8]> for AlignedBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        bytemuck::cast_slice_mut::<_, u8>(&mut aligned.blocks)[..bytes.len()]
            .copy_from_slice(bytes);
        aligned
    }
}

impl core::ops::Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &cast_slice(&self.blocks)[..self.len]
    }
}
