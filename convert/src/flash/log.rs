//! What the firmware said: lines for people, and `key value` lines among them for the report.

use super::defmt::Message;

/// The lines of one or more runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    messages: Vec<Message>,
}

impl Log {
    /// Decoded messages, then whatever the emulator itself complained about.
    pub(super) fn new(mut messages: Vec<Message>, stderr: &[u8]) -> Self {
        let complaints = String::from_utf8_lossy(stderr);
        messages.extend(
            complaints
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(|line| Message { level: Some("error"), text: line.to_owned() }),
        );
        Self { messages }
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.messages.append(&mut other.messages);
    }

    /// The rest of the line that starts with `key`.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.values(key).next().map(str::to_owned)
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.values(key).next()?.parse().ok()
    }

    /// Every value of a key that occurs often.
    pub(super) fn numbers(&self, key: &str) -> Vec<u64> {
        self.values(key).filter_map(|value| value.parse().ok()).collect()
    }

    pub(super) fn bytes(&self, key: &str) -> Option<Vec<i8>> {
        hex(self.values(key).next()?)
    }

    /// Every value of a key that occurs often; those that are no bytes are left out.
    pub(super) fn all_bytes(&self, key: &str) -> Vec<Vec<i8>> {
        self.values(key).filter_map(hex).collect()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let line = |message: &Message| match message.level {
            Some("info") | None => message.text.clone(),
            Some(level) => format!("{level}: {}", message.text),
        };
        self.messages.iter().map(line).collect()
    }

    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .filter_map(move |message| message.text.strip_prefix(key)?.strip_prefix(' '))
    }
}

fn hex(text: &str) -> Option<Vec<i8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let byte = |pair: &[u8; 2]| {
        u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok().map(u8::cast_signed)
    };
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_key() {
        let info = |text: &str| Message { level: Some("info"), text: text.to_owned() };
        let messages =
            vec![info("label a cat"), info("output 7f80"), info("output 00f"), info("n 12")];
        let log = Log::new(messages, b"qemu: oh\n\n");
        assert_eq!(log.text("label").as_deref(), Some("a cat"));
        assert_eq!(log.number("n"), Some(12));
        assert_eq!(log.number("label"), None);
        assert_eq!(log.bytes("output"), Some(vec![127, -128]));
        assert_eq!(log.all_bytes("output").len(), 1);
        assert_eq!(log.lines().last().map(String::as_str), Some("error: qemu: oh"));
    }
}
