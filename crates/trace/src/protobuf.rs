// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages in the wire format of protocol buffers, as far as traces need it.

/// A message that is being made.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

/// How a field is encoded.
mod wire {
    pub(super) const VARINT: u32 = 0;
    pub(super) const FIXED: u32 = 1;
    pub(super) const LENGTH: u32 = 2;
}

impl Message {
    /// Adds an element of a packed field, whose message has nothing else.
    pub(crate) fn push(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Adds a number.
    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        self.push(u64::from(field << 3 | wire::VARINT));
        self.push(value);
        self
    }

    /// Adds a number with a sign: `int32` and `int64`, whose negative numbers are as long as can
    /// be.
    pub(crate) fn signed(self, field: u32, value: i64) -> Self {
        self.number(field, value.cast_unsigned())
    }

    /// Adds a number of eight bytes.
    pub(crate) fn fixed(mut self, field: u32, value: u64) -> Self {
        self.push(u64::from(field << 3 | wire::FIXED));
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a number with a fraction.
    pub(crate) fn double(self, field: u32, value: f64) -> Self {
        self.fixed(field, value.to_bits())
    }

    /// Adds a packed field, unless it is empty.
    pub(crate) fn packed(mut self, field: u32, values: &Self) -> Self {
        if !values.0.is_empty() {
            self.bytes(field, &values.0);
        }
        self
    }

    /// Adds a text.
    pub(crate) fn add_text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// Adds a message.
    pub(crate) fn add_message(&mut self, field: u32, message: &Self) {
        self.bytes(field, &message.0);
    }

    /// Adds fields that were made elsewhere.
    pub(crate) fn append(&mut self, fields: &Self) {
        self.0.extend(&fields.0);
    }

    /// Adds a text.
    pub(crate) fn text(mut self, field: u32, text: &str) -> Self {
        self.bytes(field, text.as_bytes());
        self
    }

    /// Adds a message.
    pub(crate) fn message(mut self, field: u32, message: &Self) -> Self {
        self.bytes(field, &message.0);
        self
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.push(u64::from(field << 3 | wire::LENGTH));
        self.push(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// The message as it is sent.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn is_encoded_as_the_format_is_documented() {
        // The examples of the format's own documentation.
        assert_eq!(Message::default().number(1, 150).as_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().text(2, "testing");
        assert_eq!(text.as_bytes(), b"\x12\x07testing");
        let inner = Message::default().number(1, 150);
        let outer = Message::default().message(3, &inner);
        assert_eq!(outer.as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::default().signed(1, -2).as_bytes().len(), 11);
    }
}
