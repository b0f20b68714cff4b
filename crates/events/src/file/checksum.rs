// SPDX-License-Identifier: GPL-2.0-or-later
//! CRC-32, the one of Ethernet and gzip (polynomial 0x04c11db7, reflected).

/// The checksum of each byte, of itself and followed by one to three zero bytes.
const TABLE: [[u32; 256]; 4] = table();

const fn table() -> [[u32; 256]; 4] {
    let mut table = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        table[0][byte] = sum;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 4 {
        let mut byte = 0;
        while byte < 256 {
            let before = table[zeros - 1][byte];
            table[zeros][byte] = before >> 8 ^ table[0][(before & 0xff) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    table
}

/// The checksum of bytes.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let by_word = words.iter().fold(!0, |sum: u32, word| {
        let mixed = sum ^ u32::from_le_bytes(*word);
        let at = |zeros: usize, shift: u32| TABLE[zeros][(mixed >> shift & 0xff) as usize];
        at(3, 0) ^ at(2, 8) ^ at(1, 16) ^ at(0, 24)
    });
    !rest
        .iter()
        .fold(by_word, |sum, byte| sum >> 8 ^ TABLE[0][((sum ^ u32::from(*byte)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn is_the_known_one() {
        // The check value that catalogues of checksums give.
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b""), 0);
    }
}
