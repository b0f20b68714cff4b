// SPDX-License-Identifier: GPL-2.0-or-later
//! Files that a user names.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The longest text that is read: a recorded sysfs tree of a large machine is some 10 MB.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Reads a file of at most so many bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let place = || path.display().to_string();
    let file = File::open(path).with_context(place)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).with_context(place)?;
    if bytes.len() as u64 > most {
        bail!("{}: more than {most} bytes, which is no such file", path.display());
    }
    Ok(bytes)
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let bytes = read(path, TEXT_BYTES_MAX)?;
    String::from_utf8(bytes).with_context(|| format!("{}: not a text", path.display()))
}

/// Refuses to write to the file that is read, whatever it is called there.
pub(crate) fn not_over(input: &Path, output: &Path) -> Result<()> {
    // Standard input, names of schedulers and new files are no files here.
    let (Ok(from), Ok(to)) = (fs::metadata(input), fs::metadata(output)) else { return Ok(()) };
    if from.is_file() && (from.dev(), from.ino()) == (to.dev(), to.ino()) {
        let (from, to) = (input.display(), output.display());
        bail!("{to} is what is read ({from}), and would be lost; give another file to write to");
    }
    Ok(())
}

/// Keeps bytes in a file: all of them or, if that fails, what the file held before. Folders on the
/// way are made. What is no plain file (a device, a pipe, a link) is written to, never replaced.
pub(crate) fn save(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let Some(beside) = beside(path)? else {
        return fs::write(path, bytes).with_context(|| path.display().to_string());
    };
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What could not be written is not worth keeping.
        let _ = fs::remove_file(&beside);
    }
    written.with_context(|| path.display().to_string())
}

/// Tries whether something could be kept in a file, before anything is done for it that takes long.
pub(crate) fn can_save(path: &Path) -> Result<()> {
    let Some(beside) = beside(path)? else { return Ok(()) };
    let tried = fs::write(&beside, "").and_then(|()| fs::remove_file(&beside));
    tried.with_context(|| path.display().to_string())
}

/// Where a file is written before it takes the place of the one that it is for, in a folder that
/// is there; `None` if that is no plain file.
fn beside(path: &Path) -> Result<Option<PathBuf>> {
    let Some(name) = path.file_name() else { bail!("{}: not a file name", path.display()) };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    if fs::symlink_metadata(path).is_ok_and(|about| !about.is_file()) {
        return Ok(None);
    }
    let mut beside = name.to_owned();
    beside.push(".new");
    Ok(Some(path.with_file_name(beside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        not_over(&file, &file).unwrap();
        save(&file, "one").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for (input, output) in [(&file, &file), (&file, &link), (&link, &file)] {
            let error = not_over(input, output).unwrap_err().to_string();
            assert!(error.contains("would be lost"), "{error}");
        }
        not_over(&file, &dir.path().join("other")).unwrap();
        not_over(Path::new("/dev/null"), Path::new("/dev/null")).unwrap();
    }

    #[test]
    fn links_and_devices_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("deep/file"), dir.path().join("link"));
        save(&file, "one").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        save(&link, "two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        std::os::unix::fs::symlink("/dev/null", dir.path().join("null")).unwrap();
        save(&dir.path().join("null"), "three").unwrap();
        assert!(fs::symlink_metadata(dir.path().join("null")).unwrap().is_symlink());
        assert!(save(Path::new("/"), "four").is_err());
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let error = read(Path::new("/dev/zero"), 1000).unwrap_err();
        assert!(error.to_string().contains("/dev/zero: more than 1000 bytes"));
        assert_eq!(read(Path::new("/dev/null"), 0).unwrap(), b"");
    }
}
