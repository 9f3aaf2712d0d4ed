//! The little of ELF that a firmware image needs: sections, what is loaded where, and symbol names
//! (32 bit, little-endian).

use super::FlashError;

/// A parsed image.
#[derive(Debug)]
pub(super) struct Elf<'a> {
    bytes: &'a [u8],
    sections: Vec<Section<'a>>,
    loads: Vec<Load>,
}

/// A program header of something in memory.
#[derive(Debug, Clone, Copy)]
struct Load {
    offset: u32,
    /// Where it is stored: in flash, also for what is copied to RAM at the start.
    address: u32,
    stored: u32,
}

#[derive(Debug, Clone, Copy)]
struct Section<'a> {
    name: &'a str,
    kind: u32,
    offset: u32,
    size: u32,
    link: u32,
    flags: u32,
    address: u32,
}

/// A named place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    pub(super) value: u32,
    /// The section it lies in; empty for the linker's own constants.
    pub(super) section: &'a str,
}

impl<'a> Elf<'a> {
    /// Reads the section table.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, FlashError> {
        Self::read(bytes).ok_or_else(|| FlashError::BadImage("not a 32-bit ELF file".to_owned()))
    }

    /// Bytes of the section of that name, 0 when there is none.
    pub(super) fn section_bytes(&self, name: &str) -> u32 {
        self.sections
            .iter()
            .filter(|section| section.name == name)
            .map(|section| section.size)
            .sum()
    }

    /// Addresses and contents of everything that is stored on the chip.
    pub(super) fn segments(&self) -> Vec<(u32, &'a [u8])> {
        let contents = |load: &Load| {
            let start = usize::try_from(load.offset).ok()?;
            let end = start.checked_add(usize::try_from(load.stored).ok()?)?;
            Some((load.address, self.bytes.get(start..end)?))
        };
        self.loads.iter().filter(|load| load.stored > 0).filter_map(contents).collect()
    }

    /// Bytes of everything that is stored on the chip.
    pub(super) fn loaded_bytes(&self) -> u32 {
        self.loads.iter().map(|load| load.stored).sum()
    }

    /// Bytes of the statics in RAM: Cortex-M's lies at 0x2000_0000.
    pub(super) fn ram_bytes(&self) -> u32 {
        let in_ram = |section: &&Section<'_>| {
            section.flags & ALLOCATED != 0 && (0x2000_0000..0x4000_0000).contains(&section.address)
        };
        self.sections.iter().filter(in_ram).map(|section| section.size).sum()
    }

    /// Every symbol with a name.
    pub(super) fn symbols(&self) -> Vec<Symbol<'a>> {
        let Some(table) = self.sections.iter().find(|section| section.kind == SYMTAB) else {
            return Vec::new();
        };
        let strings = usize::try_from(table.link).ok().and_then(|index| self.sections.get(index));
        let Some(strings) = strings.and_then(|section| slice(self.bytes, section)) else {
            return Vec::new();
        };
        let entries = slice(self.bytes, table).unwrap_or_default();
        entries
            .as_chunks::<16>()
            .0
            .iter()
            .filter_map(|entry| {
                Some(Symbol {
                    name: text(strings, word(entry, 0)?)?,
                    value: word(entry, 4)?,
                    section: self
                        .sections
                        .get(usize::from(half(entry, 14)?))
                        .map_or("", |section| section.name),
                })
            })
            .filter(|symbol| !symbol.name.is_empty())
            .collect()
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.get(..6)? != b"\x7fELF\x01\x01" {
            return None;
        }
        let table = usize::try_from(word(bytes, 0x20)?).ok()?;
        let stride = usize::from(half(bytes, 0x2e)?);
        let count = usize::from(half(bytes, 0x30)?);
        let names_index = usize::from(half(bytes, 0x32)?);
        let mut raw = Vec::with_capacity(count);
        for index in 0..count {
            let header = bytes.get(table.checked_add(index.checked_mul(stride)?)?..)?;
            let section = Section {
                name: "",
                kind: word(header, 4)?,
                offset: word(header, 16)?,
                size: word(header, 20)?,
                link: word(header, 24)?,
                flags: word(header, 8)?,
                address: word(header, 12)?,
            };
            raw.push((word(header, 0)?, section));
        }
        let names = slice(bytes, &raw.get(names_index)?.1)?;
        let sections = raw
            .into_iter()
            .map(|(name, section)| Some(Section { name: text(names, name)?, ..section }))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { bytes, sections, loads: loads(bytes)? })
    }
}

const SYMTAB: u32 = 2;
const ALLOCATED: u32 = 2;
const LOAD: u32 = 1;

fn loads(bytes: &[u8]) -> Option<Vec<Load>> {
    let table = usize::try_from(word(bytes, 0x1c)?).ok()?;
    let stride = usize::from(half(bytes, 0x2a)?);
    let count = usize::from(half(bytes, 0x2c)?);
    let mut loads = Vec::with_capacity(count);
    for index in 0..count {
        let header = bytes.get(table.checked_add(index.checked_mul(stride)?)?..)?;
        if word(header, 0)? == LOAD {
            let (offset, address) = (word(header, 4)?, word(header, 12)?);
            loads.push(Load { offset, address, stored: word(header, 16)? });
        }
    }
    Some(loads)
}

fn slice<'a>(bytes: &'a [u8], section: &Section<'_>) -> Option<&'a [u8]> {
    let start = usize::try_from(section.offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(section.size).ok()?)?)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn text(strings: &[u8], at: u32) -> Option<&str> {
    let rest = strings.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    core::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_a_32_bit_elf_is_refused() {
        for bytes in [&b""[..], b"\x7fELF", b"\x7fELF\x02\x01", &[0; 64]] {
            assert!(Elf::parse(bytes).is_err());
        }
        // A header whose section table lies outside the file.
        let mut header = [0_u8; 64];
        header[..6].copy_from_slice(b"\x7fELF\x01\x01");
        header[0x20..0x24].copy_from_slice(&u32::MAX.to_le_bytes());
        header[0x2e] = 40;
        header[0x30] = 3;
        assert!(Elf::parse(&header).is_err());
    }
}
