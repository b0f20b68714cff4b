// SPDX-License-Identifier: GPL-2.0-or-later
//! The build ID of the running kernel.

/// The type of a note that is a build ID (`NT_GNU_BUILD_ID`).
const BUILD_ID: u32 = 3;

/// The build ID among ELF notes, as `/sys/kernel/notes` has them.
pub fn build_id(notes: &[u8]) -> Option<&[u8]> {
    let mut rest = notes;
    loop {
        let (head, after) = rest.split_first_chunk::<12>()?;
        let word =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name_bytes, bytes) = (word(0) as usize, word(4) as usize);
        let name = after.get(..name_bytes)?;
        let content = after.get(name_bytes.next_multiple_of(4)..)?;
        if word(8) == BUILD_ID && name == b"GNU\0" {
            return content.get(..bytes);
        }
        rest = content.get(bytes.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [name.len() as u32, content.len() as u32, kind] {
            bytes.extend(word.to_ne_bytes());
        }
        for part in [name, content] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn it_is_found_behind_other_notes() {
        let mut notes = note(b"Xen\0", 6, b"linux");
        notes.extend(note(b"Linux\0", 3, &[9]));
        notes.extend(note(b"GNU\0", 3, &[1, 2, 3, 4, 5]));
        assert_eq!(build_id(&notes), Some(&[1, 2, 3, 4, 5][..]));
        for cut in 0..notes.len() - 3 {
            assert_eq!(build_id(&notes[..cut]), None, "{cut}");
        }
    }
}
