// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the work tree is, which files belong to it, and where its builds go.
//!
//! Builds go to a folder outside the clone, so that a fresh clone starts with warm caches. Cargo
//! decides by modification times whether a crate is fresh, and two clones at different commits can
//! have any times: a folder shared by two clones can run the other clone's code. So the folder
//! says which work tree it was last used by, and when that changes, the results of all members are
//! dropped; those of the dependencies stay. While a work tree uses the folder it holds a lock,
//! shared with other commands of the same work tree, so that no other clone can swap programs
//! between two of its phases.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::output::complain;
use crate::process;

/// The work tree and its target folder.
pub(crate) struct Workspace {
    /// The top of the work tree, canonical.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// Where everything is kept that should survive a fresh clone.
    pub(crate) cache: PathBuf,
}

/// The right to use the target folder; it ends when this is dropped.
pub(crate) struct TargetLock {
    _locked: File,
}

impl Workspace {
    /// Finds the work tree from what cargo says, or from the current folder.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        let from_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let start = from_cargo.unwrap_or_else(|| here.clone());
        let root = start.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file());
        let Some(root) = root else { bail!("{} is not in a Rota work tree", start.display()) };
        let cache = cache()?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) if !folder.is_empty() => here.join(folder),
            _ => cache.join("target"),
        };
        Ok(Self { root: root.canonicalize()?, target, cache })
    }

    /// The folder that holds the programs that cargo builds.
    pub(crate) fn programs(&self) -> PathBuf {
        self.target.join("debug")
    }

    /// All files that are tracked, or would be by `git add .`; relative to the root, sorted.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut git = Command::new("git");
        // A clone that belongs to somebody else (as in many CI systems) may be read all the same.
        git.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]);
        git.arg("--exclude-standard").current_dir(&self.root).stdin(Stdio::null());
        let output = git.output().context("cannot start git")?;
        if !output.status.success() {
            bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        let mut files: Vec<String> = names
            .split_terminator('\0')
            .filter(|name| self.root.join(name).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// Makes the target folder this work tree's own until the lock is dropped.
    pub(crate) fn lock_target(&self) -> Result<TargetLock> {
        lock_folder(&self.target, &self.identity()?, complain, || {
            let host = host();
            // The second is what fuzzers and long runs are built with.
            for kind in [&[][..], &["--profile", "soak", "--target", &host]] {
                let mut clean = process::cargo(self);
                clean.args(["clean", "--workspace", "--quiet"]).args(kind);
                if !process::succeeds(&mut clean)? {
                    bail!("cargo clean failed in {}", self.target.display());
                }
            }
            Ok(())
        })
    }

    /// What tells this work tree from any other, including one that stood at the same path.
    fn identity(&self) -> Result<String> {
        let meta = self.root.metadata()?;
        let birth = meta.created().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let birth_ns = birth.map_or(0, |age| age.as_nanos());
        Ok(format!("{} {}:{} {birth_ns}\n", self.root.display(), meta.dev(), meta.ino()))
    }
}

/// The machine that we build on, by the name that compilers have for it.
pub(crate) fn host() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Where everything is kept that should survive a fresh clone.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ROTA_CACHE").filter(|folder| !folder.is_empty()) {
        return std::path::absolute(folder).context("ROTA_CACHE is no usable path");
    }
    let home = std::env::home_dir().context("no home folder; set ROTA_CACHE to a cache folder")?;
    Ok(home.join(".cache/rota"))
}

/// Locks `folder` for `identity`; when another used it last, calls `forget` first. `tell` gets a
/// message when there is somebody to wait for.
fn lock_folder(
    folder: &Path,
    identity: &str,
    tell: fn(&str),
    forget: impl Fn() -> Result<()>,
) -> Result<TargetLock> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("rota-work-tree");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file =
        options.open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    loop {
        file.lock_shared()?;
        if stamp(&mut file)? == identity {
            return Ok(TargetLock { _locked: file });
        }
        file.unlock()?;
        lock_alone(&mut file, folder, tell)?;
        if stamp(&mut file)? != identity {
            forget()?;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(identity.as_bytes())?;
        }
        // There is no atomic step down to a shared lock: look again, somebody may have come first.
        file.unlock()?;
    }
}

fn stamp(file: &mut File) -> Result<String> {
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn lock_alone(file: &mut File, folder: &Path, tell: fn(&str)) -> Result<()> {
    match file.try_lock() {
        Ok(()) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error.into()),
        Err(TryLockError::WouldBlock) => {}
    }
    let owner = stamp(file)?;
    let owner = owner.split(' ').next().unwrap_or_default();
    tell(&format!("waiting: another work tree ({owner}) is using {}", folder.display()));
    file.lock().context("cannot lock the target folder")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn quiet(_: &str) {}

    #[test]
    fn forgets_only_when_the_work_tree_changes() {
        let folder = tempfile::tempdir().unwrap();
        let forgotten = Cell::new(0);
        let lock = |identity: &str| {
            lock_folder(folder.path(), identity, quiet, || {
                forgotten.set(forgotten.get() + 1);
                Ok(())
            })
        };
        for (identity, expected) in [("a longer name", 1), ("a longer name", 1), ("b", 2), ("b", 2)]
        {
            drop(lock(identity).unwrap());
            assert_eq!(forgotten.get(), expected, "{identity}");
        }
        // Two commands of one work tree do not wait for each other.
        let first = lock("b").unwrap();
        let second = lock("b").unwrap();
        assert_eq!(forgotten.get(), 2);
        drop((first, second));
    }

    #[test]
    fn a_failed_clean_is_repeated_next_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(lock_folder(folder.path(), "a", quiet, || bail!("disk on fire")).is_err());
        let cleaned = Cell::new(false);
        lock_folder(folder.path(), "a", quiet, || {
            cleaned.set(true);
            Ok(())
        })
        .unwrap();
        assert!(cleaned.get());
    }

    #[test]
    fn another_work_tree_waits_for_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock_folder(folder.path(), "a", quiet, || Ok(())).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| lock_folder(folder.path(), "b", quiet, || Ok(())).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert!(!second.is_finished());
            drop(first);
            second.join().unwrap();
        });
    }
}
