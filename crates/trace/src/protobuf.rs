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
    pub(super) const FIXED_4: u32 = 5;
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

/// What a field of a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, with their numbers; an error, and no more, where it is damaged.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn field(&mut self) -> Option<(u32, Held<'a>)> {
        let (key, at) = varint(self.bytes, self.at)?;
        let field = u32::try_from(key >> 3).ok().filter(|field| *field != 0)?;
        let mut take = |from: usize, length: u64| {
            let end = from.checked_add(usize::try_from(length).ok()?)?;
            self.at = end;
            self.bytes.get(from..end)
        };
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let held = match (key & 7) as u32 {
            wire::VARINT => {
                let (number, end) = varint(self.bytes, at)?;
                self.at = end;
                Held::Number(number)
            }
            wire::FIXED => Held::Number(number(take(at, 8)?)),
            wire::FIXED_4 => Held::Number(number(take(at, 4)?)),
            wire::LENGTH => {
                let (length, from) = varint(self.bytes, at)?;
                Held::Bytes(take(from, length)?)
            }
            _ => return None,
        };
        Some((field, held))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Held<'a>), ()>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.at = self.bytes.len();
        }
        Some(field.ok_or(()))
    }
}

/// The numbers of a packed field, up to where it is damaged.
#[derive(Debug, Clone)]
pub(crate) struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Numbers<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (number, at) = varint(self.bytes, self.at)?;
        self.at = at;
        Some(number)
    }
}

/// A number at a place, and where it ends.
pub(crate) fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at));
        }
        shift += 7;
        if shift >= 64 {
            return None;
        }
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
