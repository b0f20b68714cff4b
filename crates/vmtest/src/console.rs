// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads the guest kernel's console: what it says about a machine that was lost.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The text of a file from a position on, and the position after it. A file that does not exist
/// yet is empty.
pub(crate) fn read_from(path: &Path, position: u64) -> (Vec<u8>, u64) {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(position))?;
        file.read_to_end(&mut bytes)
    });
    // What could be read before an error is still worth showing.
    let _ = read;
    let end = position + bytes.len() as u64;
    (bytes, end)
}

/// The console as text: no carriage returns, no terminal control sequences.
pub(crate) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().filter(|c| *c != '\r').peekable();
    while let Some(c) = chars.next() {
        if c == '\x1b' && chars.peek() == Some(&'[') {
            chars.next();
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else if c == '\x1b' {
            chars.next();
        } else {
            out.push(c);
        }
    }
    out
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

const TAIL_LINES: usize = 40;

/// The line with which a kernel says that it panicked.
pub(crate) fn panic_line(text: &str) -> Option<&str> {
    let (_, line) = text.lines().find_map(|line| line.split_once("Kernel panic - "))?;
    Some(line.trim_start_matches("not syncing: "))
}

/// The line with which `init.sh` says that it cannot go on.
pub(crate) fn setup_line(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.split_once("rota-vm: cannot ")).map(|(_, rest)| rest)
}

/// Whether the kernel fell over an instruction that QEMU showed it half-patched.
pub(crate) fn shows_patching_race(text: &str) -> bool {
    text.lines().any(|line| line.contains("Oops: int3") || line.contains("int3: 0000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_is_understood() {
        let raw = b"\x1b[0m\x1bc[ 1.0] x\r\n[ 2.0] Oops: int3: 0000 [#1]\r\n\
            [ 2.1] Kernel panic - not syncing: Fatal exception\r\n";
        let text = clean(raw);
        assert!(text.starts_with("[ 1.0] x\n"), "{text:?}");
        assert_eq!(panic_line(&text), Some("Fatal exception"));
        assert!(shows_patching_race(&text));
        assert_eq!(setup_line("[ 3.0] rota-vm: cannot mount /proc"), Some("mount /proc"));
        assert_eq!((panic_line("fine"), setup_line("fine")), (None, None));
        let long = "line\n".repeat(100);
        assert_eq!(tail(&long).lines().count(), TAIL_LINES);
    }
}
