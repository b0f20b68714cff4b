// SPDX-License-Identifier: GPL-2.0-or-later
//! A hash that is the same everywhere: FNV-1a of 64 bits (Fowler, Noll, Vo).

/// Where it begins.
pub(crate) const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
/// What it multiplies by.
pub(crate) const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of bytes. It tells texts and files apart that differ by accident; it is no seal against
/// somebody who wants two to have the same.
pub fn fnv1a<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u64 {
    bytes.into_iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::fnv1a;

    /// From the authors' own test vectors.
    #[test]
    fn published_values() {
        let of = |text: &str| fnv1a(text.as_bytes());
        assert_eq!(of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of("foobar"), 0x8594_4171_f739_67e8);
    }
}
