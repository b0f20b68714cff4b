// SPDX-License-Identifier: GPL-2.0-or-later
//! The cgroups of a scenario, in the cgroup file system.

use rota_workload::CgroupChange;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the cgroup file system is mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// What is asked of cgroups comes to: nothing more, or the number of an error.
pub(crate) type Done = Result<(), i32>;

/// The cgroups that a scenario has made, by their paths. Dropping them removes them.
#[derive(Default)]
pub(crate) struct Cgroups {
    numbers: BTreeMap<String, u64>,
}

impl Cgroups {
    /// Makes those that are to be there before the scheduler comes.
    pub(crate) fn new(paths: &[String]) -> io::Result<Self> {
        let mut cgroups = Self::default();
        // Those in the root are told of to the controller.
        std::fs::write(place("/", "cgroup.subtree_control"), "+cpu")?;
        for path in paths {
            cgroups.make(path)?;
        }
        Ok(cgroups)
    }

    /// Makes a cgroup that single threads can be moved into.
    fn make(&mut self, path: &str) -> io::Result<()> {
        std::fs::create_dir(folder(path))?;
        self.numbers.insert(path.to_owned(), folder(path).metadata()?.ino());
        std::fs::write(place(path, "cgroup.type"), "threaded")?;
        std::fs::write(place(path, "cgroup.subtree_control"), "+cpu")
    }

    /// Changes a cgroup.
    pub(crate) fn change(&mut self, path: &str, change: CgroupChange) -> io::Result<Done> {
        let set = |file: &str, text: String| std::fs::write(place(path, file), text);
        refused(match change {
            CgroupChange::Make => self.make(path),
            CgroupChange::Remove => std::fs::remove_dir(folder(path)),
            CgroupChange::Weight(weight) => set("cpu.weight", weight.to_string()),
            CgroupChange::Max { quota_us, period_us } => {
                let quota = quota_us.map_or("max".to_owned(), |quota| quota.to_string());
                set("cpu.max", format!("{quota} {period_us}"))
            }
            CgroupChange::Burst(burst) => set("cpu.max.burst", burst.to_string()),
            CgroupChange::Idle(idle) => set("cpu.idle", u8::from(idle).to_string()),
        })
    }

    /// Moves a thread into a cgroup, or this whole process.
    pub(crate) fn take(&self, thread: Option<i32>, path: &str) -> io::Result<Done> {
        refused(match thread {
            Some(tid) => std::fs::write(place(path, "cgroup.threads"), tid.to_string()),
            None => std::fs::write(place(path, "cgroup.procs"), "0"),
        })
    }

    /// Paths by the numbers that programs know cgroups by.
    pub(crate) fn names(&self) -> io::Result<BTreeMap<u64, String>> {
        let root = (Path::new(ROOT).metadata()?.ino(), "/".to_owned());
        let own = self.numbers.iter().map(|(path, number)| (*number, path.clone()));
        Ok(own.chain([root]).collect())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // Whoever is still in one of them goes back.
        let _ = std::fs::write(place("/", "cgroup.procs"), "0");
        for path in self.numbers.keys().rev() {
            // The scenario may have removed it.
            let _ = std::fs::remove_dir(folder(path));
        }
    }
}

/// An error of the kernel's is what comes of it; one of ours is none.
fn refused(done: io::Result<()>) -> io::Result<Done> {
    match done {
        Ok(()) => Ok(Ok(())),
        Err(error) => error.raw_os_error().map(Err).ok_or(error),
    }
}

fn folder(path: &str) -> PathBuf {
    Path::new(ROOT).join(path.trim_start_matches('/'))
}

fn place(path: &str, file: &str) -> PathBuf {
    folder(path).join(file)
}
