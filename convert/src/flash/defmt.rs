//! Turns a defmt stream back into text.
//!
//! The firmware sends indices of format strings instead of the strings; they stand as symbol names
//! in the `.defmt` section of the image. This reads what Mote's firmware sends (defmt wire version 4,
//! rzCOBS frames, every argument type but bit fields) and takes no dependency for it: the full
//! `defmt-decoder` costs as much build time as all the rest of the `mote` command.

use std::collections::HashMap;

use serde_json::Value;

use super::{FlashError, elf::Elf};

/// The format strings of one image.
#[derive(Debug)]
pub(super) struct Decoder {
    entries: HashMap<u32, Entry>,
    /// The timestamp's format, which precedes the arguments of every message.
    timestamp: Option<String>,
}

#[derive(Debug)]
struct Entry {
    level: Option<&'static str>,
    text: String,
}

impl Decoder {
    /// Collects the strings from the image's symbols.
    pub(super) fn new(elf: &Elf<'_>) -> Result<Self, FlashError> {
        let mut decoder = Self { entries: HashMap::new(), timestamp: None };
        let mut encoding = None;
        let mut version = None;
        for symbol in elf.symbols() {
            let name = symbol.name.trim_matches('"');
            if let Some(found) = name.strip_prefix("_defmt_version_ = ") {
                version = Some(found);
            } else if let Some(found) = name.strip_prefix("_defmt_encoding_ = ") {
                encoding = Some(found);
            } else if symbol.section == ".defmt" && name.starts_with('{') {
                decoder.add(symbol.value, name)?;
            }
        }
        match (version, encoding) {
            (Some("4"), Some("rzcobs")) => Ok(decoder),
            (version, encoding) => Err(FlashError::BadImage(format!(
                "its log has defmt wire version {} and encoding {}; this tool reads version 4 and rzcobs",
                version.unwrap_or("none"),
                encoding.unwrap_or("none"),
            ))),
        }
    }

    /// Every message of a stream, as `LEVEL text`; `println` has no level. A frame that makes no
    /// sense is reported in its place.
    pub(super) fn decode(&self, stream: &[u8]) -> Vec<Message> {
        stream
            .split(|&byte| byte == 0)
            .filter(|frame| !frame.is_empty())
            .map(|frame| {
                let plain = unpack(frame);
                plain.and_then(|plain| self.message(&plain)).unwrap_or_else(|| Message {
                    level: Some("error"),
                    text: format!("(a log frame of {} bytes that cannot be decoded)", frame.len()),
                })
            })
            .collect()
    }

    fn add(&mut self, index: u32, symbol: &str) -> Result<(), FlashError> {
        let bad = || FlashError::BadImage(format!("unreadable defmt symbol `{symbol}`"));
        let json: Value = serde_json::from_str(symbol).map_err(|_| bad())?;
        let field = |name: &str| json.get(name).and_then(Value::as_str).ok_or_else(bad);
        let text = field("data")?.to_owned();
        let level = match field("tag")? {
            "defmt_timestamp" => {
                self.timestamp = Some(text);
                return Ok(());
            }
            "defmt_trace" => Some("trace"),
            "defmt_debug" => Some("debug"),
            "defmt_info" => Some("info"),
            "defmt_warn" => Some("warn"),
            "defmt_error" => Some("error"),
            _ => None,
        };
        self.entries.insert(index, Entry { level, text });
        Ok(())
    }

    fn message(&self, plain: &[u8]) -> Option<Message> {
        let mut reader = Reader { decoder: self, bytes: plain, depth: 0 };
        let entry = reader.entry()?;
        if let Some(timestamp) = &self.timestamp {
            reader.format(timestamp)?;
        }
        Some(Message { level: entry.level, text: reader.format(&entry.text)? })
    }
}

/// One decoded message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) level: Option<&'static str>,
    pub(super) text: String,
}

struct Reader<'d, 'b> {
    decoder: &'d Decoder,
    bytes: &'b [u8],
    depth: u32,
}

enum Argument {
    Signed(i128),
    Unsigned(u128),
    Text(String),
    Bytes(Vec<u8>),
}

impl<'d> Reader<'d, '_> {
    /// Reads the arguments of a format string and fills them in.
    fn format(&mut self, format: &str) -> Option<String> {
        // Nested values refer to other strings; a broken stream must not recurse for ever.
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let pieces = split(format)?;
        let count = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Parameter { index, .. } => Some(index + 1),
                Piece::Literal(_) => None,
            })
            .max()
            .unwrap_or(0);
        let mut arguments = Vec::with_capacity(count);
        for wanted in 0..count {
            let kind = pieces.iter().find_map(|piece| match piece {
                Piece::Parameter { index, kind, .. } if *index == wanted => Some(*kind),
                _ => None,
            })?;
            arguments.push(self.argument(kind)?);
        }
        self.depth -= 1;

        let mut text = String::new();
        for piece in &pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Parameter { index, hint, .. } => {
                    text.push_str(&render(arguments.get(*index)?, hint));
                }
            }
        }
        Some(text)
    }

    fn argument(&mut self, kind: &str) -> Option<Argument> {
        Some(match kind {
            "u8" => Argument::Unsigned(self.unsigned(1)?),
            "u16" => Argument::Unsigned(self.unsigned(2)?),
            "u32" | "usize" => Argument::Unsigned(self.unsigned(4)?),
            "u64" => Argument::Unsigned(self.unsigned(8)?),
            "u128" => Argument::Unsigned(self.unsigned(16)?),
            "i8" => Argument::Signed(self.signed(1)?),
            "i16" => Argument::Signed(self.signed(2)?),
            "i32" | "isize" => Argument::Signed(self.signed(4)?),
            "i64" => Argument::Signed(self.signed(8)?),
            "i128" => Argument::Signed(self.signed(16)?),
            "f32" => {
                let bits = u32::try_from(self.unsigned(4)?).ok()?;
                Argument::Text(f32::from_bits(bits).to_string())
            }
            "f64" => {
                let bits = u64::try_from(self.unsigned(8)?).ok()?;
                Argument::Text(f64::from_bits(bits).to_string())
            }
            "bool" => Argument::Text((self.unsigned(1)? != 0).to_string()),
            "char" => Argument::Text(char::from_u32(self.length()?)?.to_string()),
            "str" => {
                let length = self.length()?;
                Argument::Text(String::from_utf8(self.take(length)?.to_vec()).ok()?)
            }
            "istr" => Argument::Text(self.entry()?.text.clone()),
            "[u8]" => {
                let length = self.length()?;
                Argument::Bytes(self.take(length)?.to_vec())
            }
            "" | "?" => Argument::Text(self.nested()?),
            "[?]" => {
                let length = self.length()?;
                self.list(length)?
            }
            "__internal_Debug" | "__internal_Display" => {
                let end = self.bytes.iter().position(|&byte| byte == 0xff)?;
                let text = String::from_utf8(self.take(u32::try_from(end).ok()?)?.to_vec()).ok()?;
                self.take(1)?;
                Argument::Text(text)
            }
            "__internal_FormatSequence" => {
                let mut text = String::new();
                loop {
                    let index = u32::try_from(self.unsigned(2)?).ok()?;
                    if index == 0 {
                        break Argument::Text(text);
                    }
                    let format = &self.decoder.entries.get(&index)?.text;
                    text.push_str(&self.format(format)?);
                }
            }
            array => {
                let (item, length) = array.strip_prefix('[')?.strip_suffix(']')?.split_once(';')?;
                let length = length.trim().parse().ok()?;
                match item.trim() {
                    "u8" => Argument::Bytes(self.take(length)?.to_vec()),
                    "?" => self.list(length)?,
                    _ => return None,
                }
            }
        })
    }

    fn nested(&mut self) -> Option<String> {
        let format = &self.entry()?.text;
        self.variant(format)
    }

    fn list(&mut self, length: u32) -> Option<Argument> {
        let format = &self.entry()?.text;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.variant(format)?);
        }
        Some(Argument::Text(format!("[{}]", items.join(", "))))
    }

    /// An enum's strings are joined by bars, and its discriminant comes first.
    fn variant(&mut self, format: &str) -> Option<String> {
        let bars = format.matches('|').count();
        if bars == 0 {
            return self.format(format);
        }
        let index = self.unsigned(if u8::try_from(bars).is_ok() { 1 } else { 2 })?;
        self.format(format.split('|').nth(usize::try_from(index).ok()?)?)
    }

    fn entry(&mut self) -> Option<&'d Entry> {
        let index = u32::try_from(self.unsigned(2)?).ok()?;
        self.decoder.entries.get(&index)
    }

    fn length(&mut self) -> Option<u32> {
        u32::try_from(self.unsigned(4)?).ok()
    }

    fn take(&mut self, length: u32) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(usize::try_from(length).ok()?)?;
        self.bytes = rest;
        Some(taken)
    }

    fn unsigned(&mut self, bytes: u32) -> Option<u128> {
        let taken = self.take(bytes)?;
        Some(taken.iter().rev().fold(0, |value, &byte| value << 8 | u128::from(byte)))
    }

    fn signed(&mut self, bytes: u32) -> Option<i128> {
        let unused = 128 - 8 * bytes;
        Some((self.unsigned(bytes)? << unused).cast_signed() >> unused)
    }
}

const MAX_DEPTH: u32 = 16;

enum Piece<'f> {
    Literal(String),
    Parameter { index: usize, kind: &'f str, hint: &'f str },
}

/// Splits `text {0=u8:#x}` into literals and parameters.
fn split(format: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut next = 0;
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..];
        if brace.starts_with("{{") || brace.starts_with("}}") {
            literal.push_str(&brace[..1]);
            rest = &brace[2..];
            continue;
        }
        let (inside, after) = brace.strip_prefix('{')?.split_once('}')?;
        rest = after;
        pieces.push(Piece::Literal(core::mem::take(&mut literal)));
        let (value, hint) = inside.split_once(':').unwrap_or((inside, ""));
        let (number, kind) = value.split_once('=').unwrap_or((value, ""));
        let index = if number.is_empty() {
            next += 1;
            next - 1
        } else {
            number.parse().ok()?
        };
        if index > MAX_ARGUMENTS {
            return None;
        }
        pieces.push(Piece::Parameter { index, kind, hint });
    }
    literal.push_str(rest);
    pieces.push(Piece::Literal(literal));
    Some(pieces)
}

const MAX_ARGUMENTS: usize = 64;

fn render(argument: &Argument, hint: &str) -> String {
    match argument {
        Argument::Text(text) if hint == "?" => format!("{text:?}"),
        Argument::Text(text) => text.clone(),
        Argument::Bytes(bytes) if hint.ends_with('x') => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        Argument::Bytes(bytes) => format!("{bytes:?}"),
        Argument::Signed(value) => number(*value, value.unsigned_abs(), hint),
        Argument::Unsigned(value) => number(value.cast_signed(), *value, hint),
    }
}

fn number(value: i128, magnitude: u128, hint: &str) -> String {
    let (prefix, digits) = match hint.chars().last() {
        Some('x') => ("0x", format!("{magnitude:x}")),
        Some('X') => ("0x", format!("{magnitude:X}")),
        Some('b') => ("0b", format!("{magnitude:b}")),
        _ => return value.to_string(),
    };
    let (prefix, hint) = match hint.strip_prefix('#') {
        Some(rest) => (prefix, rest),
        None => ("", hint),
    };
    let width: usize = hint.trim_end_matches(['x', 'X', 'b']).parse().unwrap_or(0);
    let sign = if value < 0 { "-" } else { "" };
    let zeros = width.saturating_sub(prefix.len() + digits.len()).min(64);
    format!("{sign}{prefix}{}{digits}", "0".repeat(zeros))
}

/// Undoes rzCOBS on one frame, which is read from its end.
fn unpack(frame: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(frame.len() + 8);
    let mut bytes = frame.iter().rev().copied();
    while let Some(code) = bytes.next() {
        match code {
            0 => return None,
            1..=0x7f => {
                for bit in (0..7).rev() {
                    plain.push(if code >> bit & 1 == 0 { bytes.next()? } else { 0 });
                }
            }
            0x80..=0xfe => {
                plain.push(0);
                for _ in 0..(code & 0x7f) + 7 {
                    plain.push(bytes.next()?);
                }
            }
            0xff => {
                for _ in 0..134 {
                    plain.push(bytes.next()?);
                }
            }
        }
    }
    plain.reverse();
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> Decoder {
        let entries = [
            (1, None, "None|Some({=?})"),
            (2, None, "{=u8}"),
            (3, Some("info"), "instructions {=u64} {=u64}"),
            (4, Some("info"), "stack_bytes {=u32} {=[u8]} {=str} {}"),
            (5, Some("error"), "{{at}} {0=u8:#06x} {1=i8} {0=u8} {2=[u8; 2]:x}"),
        ];
        let entries = entries
            .into_iter()
            .map(|(index, level, text)| (index, Entry { level, text: text.to_owned() }))
            .collect();
        Decoder { entries, timestamp: None }
    }

    #[test]
    fn a_stream_from_the_chip() {
        let stream = [
            0x00, 0x03, 0x09, 0x3d, 0x66, 0x84, 0xd7, 0x17, 0x0f, 0x7f, 0x00, 0x04, 0x98, 0x04,
            0x3a, 0x01, 0x02, 0x03, 0x27, 0x05, 0x68, 0x65, 0x6c, 0x0e, 0x6c, 0x6f, 0x01, 0x01,
            0x02, 0x48, 0x03, 0x7e, 0x00,
        ];
        let texts: Vec<_> = decoder().decode(&stream).into_iter().map(|m| m.text).collect();
        assert_eq!(
            texts,
            ["instructions 4000000 400000000", "stack_bytes 152 [1, 2, 0, 3] hello Some(3)"]
        );
    }

    #[test]
    fn parameters_may_repeat_and_have_hints() {
        let decoder = decoder();
        let message = decoder.message(&[5, 0, 0xab, 0xfe, 1, 0xf0]);
        let expected = "{at} 0x00ab -2 171 01f0".to_owned();
        assert_eq!(message, Some(Message { level: Some("error"), text: expected }));
    }

    #[test]
    fn nonsense_becomes_a_message_not_a_panic() {
        let decoder = decoder();
        for byte in 1..=u8::MAX {
            for length in 0..40 {
                let frame: Vec<u8> = (0..length).map(|i: u8| byte.wrapping_mul(i | 1)).collect();
                decoder.decode(&frame);
            }
        }
    }

    #[test]
    fn a_value_that_contains_itself_ends() {
        let mut decoder = decoder();
        let text = "{=?}".to_owned();
        decoder.entries.insert(9, Entry { level: None, text });
        assert_eq!(decoder.message(&[9, 0].repeat(100)), None);
    }
}
