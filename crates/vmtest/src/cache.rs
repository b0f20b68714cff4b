// SPDX-License-Identifier: GPL-2.0-or-later
//! The folder where kernels, tools and package lists are kept between runs.
//!
//! Whatever is installed here appears under its final name complete or not at all: it is built
//! in a temporary folder beside it and renamed. One lock serialises the processes that download.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A callback for messages such as "downloading …", one line each.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// The cache: `$ROTA_CACHE`, else `~/.cache/rota`.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache of the current user, as the environment says.
    pub fn from_env() -> Result<Cache> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = match (set("ROTA_CACHE"), set("HOME")) {
            (Some(root), _) => PathBuf::from(root),
            (None, Some(home)) => Path::new(&home).join(".cache/rota"),
            (None, None) => {
                let text = "neither ROTA_CACHE nor HOME is set: no folder to keep kernels in";
                return Err(Error::Environment(text.to_string()));
            }
        };
        Cache::at(&root)
    }

    /// A cache in the folder `root`, which is made if it does not exist.
    pub fn at(root: &Path) -> Result<Cache> {
        fs::create_dir_all(root).map_err(Error::io("cannot make the cache folder", root))?;
        let root = root.canonicalize().map_err(Error::io("cannot use the cache folder", root))?;
        Ok(Cache { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where kernels and tools are unpacked.
    pub(crate) fn vm_dir(&self) -> PathBuf {
        self.root.join("vm")
    }

    /// Where running machines have their working folders.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.root.join("vm/run")
    }

    /// The private apt folder.
    pub(crate) fn apt_dir(&self) -> PathBuf {
        self.root.join("apt")
    }

    /// Waits until no other process downloads into this cache, and keeps others out until the
    /// returned guard is dropped. Also clears away what an interrupted download left.
    pub(crate) fn lock(&self, progress: Progress<'_>) -> Result<CacheLock> {
        let vm = self.vm_dir();
        fs::create_dir_all(&vm).map_err(Error::io("cannot make", &vm))?;
        let path = self.root.join("lock");
        let file = File::create(&path).map_err(Error::io("cannot open", &path))?;
        if file.try_lock().is_err() {
            progress("another process is downloading; waiting for it");
            file.lock().map_err(Error::io("cannot lock", &path))?;
        }
        for entry in fs::read_dir(&vm).map_err(Error::io("cannot read", &vm))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                // What cannot be removed only takes up room.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(CacheLock { vm, _file: file })
    }
}

const TEMPORARY: &str = ".tmp-";

/// Proof that this process alone writes to the cache.
pub(crate) struct CacheLock {
    vm: PathBuf,
    _file: File,
}

impl CacheLock {
    /// Makes the folder `name` by letting `build` fill a temporary one and renaming that.
    pub(crate) fn install(
        &self,
        name: &str,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let temporary = self.scratch(name)?;
        let target = self.vm.join(name);
        build(&temporary)?;
        fs::rename(&temporary, &target).map_err(Error::io("cannot install", &target))?;
        Ok(target)
    }

    /// A fresh empty folder that the next process may clear away.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.vm.join(format!("{TEMPORARY}{name}-{}", std::process::id()));
        fs::create_dir(&path).map_err(Error::io("cannot make", &path))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(name: &str) -> Cache {
        let root = std::env::temp_dir().join(format!("rota-vmtest-{}-{name}", std::process::id()));
        Cache::at(&root).unwrap()
    }

    #[test]
    fn a_failed_installation_leaves_nothing_under_the_final_name() {
        let cache = cache("failed");
        let lock = cache.lock(&mut |_| ()).unwrap();
        let outcome = lock.install("1.2.3", |dir| {
            fs::write(dir.join("half"), "x").unwrap();
            Err(Error::Usage("interrupted".to_string()))
        });
        assert!(outcome.is_err());
        assert!(!cache.vm_dir().join("1.2.3").exists());
        drop(lock);
        // The next process clears the rest away and succeeds.
        let lock = cache.lock(&mut |_| ()).unwrap();
        let dir = lock.install("1.2.3", |dir| {
            fs::write(dir.join("whole"), "x").unwrap();
            Ok(())
        });
        assert!(dir.unwrap().join("whole").exists());
        assert_eq!(fs::read_dir(cache.vm_dir()).unwrap().count(), 1);
        fs::remove_dir_all(cache.root()).unwrap();
    }
}
