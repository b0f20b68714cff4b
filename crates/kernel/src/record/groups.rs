// SPDX-License-Identifier: GPL-2.0-or-later
//! Paths of cgroups, from the ids that the kernel gives them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The id of the outermost cgroup.
const OUTERMOST: u64 = 1;
/// How long after a look at all cgroups the next one may follow.
const REST: Duration = Duration::from_millis(200);

/// The cgroups of version 2, as far as they were looked at. An id is the number of the folder.
#[derive(Debug)]
pub(super) struct Groups {
    root: Option<PathBuf>,
    paths: BTreeMap<u64, String>,
    looked: Option<Instant>,
}

impl Groups {
    /// Those below `/sys/fs/cgroup`, or another folder for tests.
    pub(super) fn new(mounts: &Path) -> Self {
        let mut places = [mounts.to_owned(), mounts.join("unified")].into_iter();
        let root = places.find(|place| place.join("cgroup.controllers").is_file());
        Self { root, paths: BTreeMap::new(), looked: None }
    }

    /// The path of a cgroup; nothing if it is not there (any more), or there are none.
    pub(super) fn path(&mut self, id: u64) -> &str {
        let rests = self.looked.is_some_and(|looked| looked.elapsed() < REST);
        if id != 0 && !rests && !self.paths.contains_key(&id) {
            self.look();
        }
        self.paths.get(&id).map_or("", String::as_str)
    }

    /// Id and level of a cgroup by its path, from the outermost cgroup or from that of files.
    pub(super) fn find(&self, path: &str) -> Result<(u64, u32), String> {
        let root = self.root.as_ref().ok_or("this machine has no cgroups of version 2")?;
        let id = |place: &Path| fs::metadata(place).map(|about| about.ino());
        if !id(root).is_ok_and(|id| id == OUTERMOST) {
            return Err("cgroups can be asked for only where the outermost one is seen, \
                        not in a namespace"
                .to_owned());
        }
        let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(path));
        let parts = || {
            inside.components().filter_map(|part| match part {
                std::path::Component::Normal(name) => Some(name),
                _ => None,
            })
        };
        let place = parts().fold(root.clone(), |place, part| place.join(part));
        let id = id(&place).map_err(|e| format!("the cgroup {}: {e}", place.display()))?;
        Ok((id, parts().count() as u32))
    }

    /// Looks at all cgroups. Those that are gone keep their paths.
    fn look(&mut self) {
        self.looked = Some(Instant::now());
        let Some(root) = self.root.clone() else { return };
        let mut folders = vec![(root, "/".to_owned())];
        while let Some((folder, path)) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let name = entry.file_name();
                    let path = format!("{}/{}", path.trim_end_matches('/'), name.to_string_lossy());
                    folders.push((entry.path(), path));
                }
            }
            if let Ok(about) = fs::metadata(&folder) {
                self.paths.insert(about.ino(), path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_paths() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("unified/a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(folder.path().join("unified/cgroup.controllers"), "").unwrap();
        let mut groups = Groups::new(folder.path());
        let id = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(groups.path(id(&deep)), "/a/b");
        assert_eq!(groups.path(id(&folder.path().join("unified"))), "/");
        assert_eq!([groups.path(0).to_owned(), groups.path(u64::MAX).to_owned()], ["", ""]);
        // A folder that is none of the kernel's is no outermost cgroup.
        assert!(groups.find("/a/b").unwrap_err().contains("namespace"));
        let none = folder.path().join("unified/a");
        assert!(Groups::new(&none).find("/").unwrap_err().contains("no cgroups"));
    }
}
