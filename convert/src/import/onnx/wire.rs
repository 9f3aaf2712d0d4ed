//! The protobuf frame, checked before it is parsed: every length lies within its message, every integer ends, nothing
//! nests deeper than a network without control flow, and there are not so many messages that they would need far more
//! memory than the file.

use super::OnnxError;

#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Info,
    Type,
    TensorType,
    Shape,
    Tensor,
    Leaf,
}

impl Message {
    fn field(self, number: u64) -> Result<Option<Self>, OnnxError> {
        Ok(Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8 | 14) | (Self::Shape, 1) | (Self::Tensor, 13) => Self::Leaf,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 11..=13) => Self::Info,
            (Self::Node, 5) => Self::Attribute,
            (Self::Attribute, 6 | 11) | (Self::Type, 4) => return Err(OnnxError::Subgraph),
            (Self::Info, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            _ => return Ok(None),
        }))
    }

    /// Whether a field is integers one after another.
    fn is_packed(self, number: u64) -> bool {
        matches!((self, number), (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7 | 11))
    }
}

/// # Errors
/// A length beyond its message, or a subgraph.
pub(super) fn check(file: &[u8]) -> Result<(), OnnxError> {
    walk(file, Message::Model, &mut 0)
}

fn walk(mut bytes: &[u8], message: Message, count: &mut usize) -> Result<(), OnnxError> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let len = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes)?,
            5 => 4,
            _ => return Err(damaged()),
        };
        let len = usize::try_from(len).map_err(|_| damaged())?;
        let (mut inner, rest) = bytes.split_at_checked(len).ok_or_else(damaged)?;
        bytes = rest;
        if key & 7 != 2 {
            continue;
        }
        // The parser looks for the end of an integer of more than ten bytes for ever.
        while message.is_packed(key >> 3) && !inner.is_empty() {
            varint(&mut inner)?;
        }
        if let Some(message) = message.field(key >> 3)? {
            *count += 1;
            if *count > MAX_MESSAGES {
                return Err(OnnxError::File(format!("more than {MAX_MESSAGES} parts")));
            }
            walk(inner, message, count)?;
        }
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, OnnxError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(damaged)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(damaged())
}

fn damaged() -> OnnxError {
    OnnxError::File("a protobuf field ends beyond its message".to_owned())
}

const MAX_MESSAGES: usize = 1 << 20;
