//! A bounds-checked view of flatbuffer tables: just what the TFLite schema needs.
//!
//! Nothing is allocated for what the file merely claims: a vector is a slice of the file's own bytes.

use thiserror::Error;

/// Bytes that are not the flatbuffer they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("damaged at byte {at} ({what}); export or download the file again")]
pub struct Damaged {
    /// Byte offset into the file.
    pub at: usize,
    /// The table that was being read.
    pub what: &'static str,
}

/// A table: fields by slot number, each of them optional.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    file: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_len: usize,
    what: &'static str,
}

impl<'a> Table<'a> {
    /// The table that the file starts with.
    pub(super) fn root(file: &'a [u8], what: &'static str) -> Result<Self, Damaged> {
        Self::follow(file, 0, what)
    }

    /// The table that the offset at `from` points to.
    fn follow(file: &'a [u8], from: usize, what: &'static str) -> Result<Self, Damaged> {
        let damaged = Damaged { at: from, what };
        let at = forward(file, from).ok_or(damaged)?;
        let back = i32::from_le_bytes(bytes_at(file, at).ok_or(damaged)?);
        let back = isize::try_from(back).map_err(|_| damaged)?;
        let vtable = at.checked_add_signed(back.checked_neg().ok_or(damaged)?).ok_or(damaged)?;
        let len = u16::from_le_bytes(bytes_at(file, vtable).ok_or(damaged)?);
        let vtable_len = usize::from(len);
        let end = vtable.checked_add(vtable_len).ok_or(damaged)?;
        if vtable_len < 4 || end > file.len() {
            return Err(damaged);
        }
        Ok(Self { file, at, vtable, vtable_len, what })
    }

    /// Byte offset of this table, for messages.
    pub(super) fn damaged(&self) -> Damaged {
        Damaged { at: self.at, what: self.what }
    }

    /// Where a field lies, when it is there.
    fn field(&self, slot: usize) -> Option<usize> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.vtable_len {
            return None;
        }
        match u16::from_le_bytes(bytes_at(self.file, self.vtable + entry)?) {
            0 => None,
            offset => self.at.checked_add(usize::from(offset)),
        }
    }

    /// A number, or its default when the field is absent.
    pub(super) fn number<T: Number>(&self, slot: usize, default: T) -> Result<T, Damaged> {
        let Some(at) = self.field(slot) else { return Ok(default) };
        let bytes = at.checked_add(T::BYTES).and_then(|end| self.file.get(at..end));
        bytes.map(T::read).ok_or(Damaged { at, what: self.what })
    }

    /// A table that this one points to.
    pub(super) fn table(&self, slot: usize, what: &'static str) -> Result<Option<Self>, Damaged> {
        self.field(slot).map(|at| Self::follow(self.file, at, what)).transpose()
    }

    /// A vector of numbers; empty when the field is absent.
    pub(super) fn numbers<T: Number>(&self, slot: usize) -> Result<&'a [u8], Damaged> {
        let Some(at) = self.field(slot) else { return Ok(&[]) };
        self.vector(at, T::BYTES).ok_or(Damaged { at, what: self.what })
    }

    /// A vector of bytes; empty when the field is absent.
    pub(super) fn bytes(&self, slot: usize) -> Result<&'a [u8], Damaged> {
        self.numbers::<u8>(slot)
    }

    /// A string, shortened to what a message can bear.
    pub(super) fn text(&self, slot: usize) -> Result<String, Damaged> {
        let bytes = self.bytes(slot)?;
        Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT_BYTES)]).into_owned())
    }

    /// A vector of tables; empty when the field is absent.
    pub(super) fn tables(&self, slot: usize, what: &'static str) -> Result<Tables<'a>, Damaged> {
        let Some(at) = self.field(slot) else {
            return Ok(Tables { file: self.file, first: 0, len: 0, what });
        };
        let damaged = Damaged { at, what: self.what };
        let offsets = self.vector(at, 4).ok_or(damaged)?;
        let first = forward(self.file, at).ok_or(damaged)? + 4;
        Ok(Tables { file: self.file, first, len: offsets.len() / 4, what })
    }

    fn vector(&self, at: usize, element_bytes: usize) -> Option<&'a [u8]> {
        let start = forward(self.file, at)?;
        let len = usize::try_from(u32::from_le_bytes(bytes_at(self.file, start)?)).ok()?;
        let first = start.checked_add(4)?;
        self.file.get(first..first.checked_add(len.checked_mul(element_bytes)?)?)
    }
}

/// A vector of tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables<'a> {
    file: &'a [u8],
    first: usize,
    len: usize,
    what: &'static str,
}

impl<'a> Tables<'a> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, index: usize) -> Result<Table<'a>, Damaged> {
        let at = self.first.saturating_add(index.saturating_mul(4));
        if index >= self.len {
            return Err(Damaged { at, what: self.what });
        }
        Table::follow(self.file, at, self.what)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Result<Table<'a>, Damaged>> {
        (0..self.len).map(|index| self.get(index))
    }
}

/// A little-endian number.
pub(super) trait Number: Copy {
    const BYTES: usize;
    /// From exactly [`Self::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// The numbers in a vector.
pub(super) fn numbers<T: Number>(bytes: &[u8]) -> impl ExactSizeIterator<Item = T> {
    bytes.chunks_exact(T::BYTES).map(T::read)
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Number for $number {
            const BYTES: usize = size_of::<$number>();
            fn read(bytes: &[u8]) -> Self {
                bytes.try_into().map(Self::from_le_bytes).unwrap_or_default()
            }
        }
    )*};
}
number!(u8, i8, u16, i32, u32, i64, u64, f32);

fn forward(file: &[u8], from: usize) -> Option<usize> {
    let offset = usize::try_from(u32::from_le_bytes(bytes_at(file, from)?)).ok()?;
    from.checked_add(offset).filter(|&to| to < file.len())
}

fn bytes_at<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

const MAX_TEXT_BYTES: usize = 256;
