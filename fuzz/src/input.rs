// SPDX-License-Identifier: GPL-2.0-or-later
//! Takes an input apart.

/// What is left of an input.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next two bytes, as a number.
    pub(crate) fn short(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes([self.byte()?, self.byte()?])))
    }

    /// The next bytes, fewer at the end.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_where_the_bytes_end() {
        let mut input = Input(&[1, 2, 3, 4, 5]);
        assert_eq!((input.byte(), input.short()), (Some(1), Some(0x302)));
        assert_eq!((input.take(9), input.take(1)), (&[4, 5][..], &[][..]));
        assert_eq!((input.byte(), input.short()), (None, None));
    }
}
