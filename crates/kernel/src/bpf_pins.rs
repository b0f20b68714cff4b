// SPDX-License-Identifier: GPL-2.0-or-later
//! What is kept by a file.
#![expect(unsafe_code, reason = "libbpf-rs opens no file of which it is not known what it keeps")]

use crate::bpf_objects::told_by;
use crate::holders::{BpfKind, object_in};
use crate::host::Host;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// How deep folders are looked into.
const DEPTH: u32 = 16;

/// Files by what they keep, and its number.
pub type BpfPins = BTreeMap<(BpfKind, u32), Vec<PathBuf>>;

/// What a file of a file system of BPF keeps.
///
/// # Errors
/// The kernel's: there is no such file, it keeps nothing of BPF, or it may not be opened.
pub fn bpf_pinned(path: &Path) -> io::Result<(BpfKind, u32)> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the name ends with a zero and lives long enough.
    let fd = unsafe { libbpf_sys::bpf_obj_get(name.as_ptr()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let info = told_by(&fd).unwrap_or_default();
    object_in(&info).ok_or_else(|| io::Error::other("it is nothing that has a number"))
}

impl Host {
    /// The files that keep objects of BPF, in all file systems for that. Those that can't be opened are
    /// left out.
    pub fn bpf_pins(&self) -> BpfPins {
        let mut pins = BpfPins::new();
        let mounts = self.proc_text("self/mounts").unwrap_or_default();
        for line in mounts.lines() {
            let words: Vec<_> = line.split(' ').collect();
            if let [_, point, "bpf", ..] = words[..] {
                search(&PathBuf::from(unescaped(point)), DEPTH, &mut pins);
            }
        }
        for files in pins.values_mut() {
            files.sort();
            files.dedup();
        }
        pins
    }
}

/// A path as it is: the kernel writes what would end a word there as three octal digits.
fn unescaped(word: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(word.to_owned(), |word, (from, to)| word.replace(from, to))
}

fn search(folder: &Path, depth: u32, pins: &mut BpfPins) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => search(&path, depth, pins),
            Ok(kind) if kind.is_file() => {
                if let Ok(object) = bpf_pinned(&path) {
                    pins.entry(object).or_default().push(path);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_spaces() {
        assert_eq!(unescaped(r"/sys/fs/bpf/my\040pins\134x"), r"/sys/fs/bpf/my pins\x");
    }

    #[test]
    fn a_plain_file_keeps_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(bpf_pinned(file.path()).is_err());
        assert!(bpf_pinned(Path::new("/nowhere/at/all")).is_err());
    }
}
