// SPDX-License-Identifier: GPL-2.0-or-later
//! Cgroups of threads, with weights: in cgroup v2, below a folder of this process.
//!
//! Threads of one process can be in different cgroups only if these are *threaded*, below one
//! that holds the process. So the process moves into `rota-load-PID` at the root of the hierarchy,
//! which has the workload's cgroups below it, and moves back at the end. What is in the outermost
//! cgroup of the workload is in that folder, beside them.

use rota_kernel::Host;
use rota_workload::Cgroup;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How often it is tried to remove a cgroup that is not empty yet, and how long it is waited between.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// The workload's cgroups, as long as it runs.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// Where the process was before.
    home: PathBuf,
    base: PathBuf,
    places: Vec<PathBuf>,
}

impl Cgroups {
    /// Makes them, and moves this process.
    ///
    /// # Errors
    /// Why weights can't be had, in words.
    pub(crate) fn make(host: &Host, cgroups: &[Cgroup]) -> Result<Self, String> {
        let mounts = host.proc_text("self/mountinfo").unwrap_or_default();
        let root = hierarchy(&mounts).ok_or("cgroup v2 is not mounted")?;
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        if !controllers.split_whitespace().any(|name| name == "cpu") {
            return Err(format!("cgroup v2 at {} has no cpu controller", root.display()));
        }
        let own = host.proc_text("self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let base = root.join(format!("rota-load-{}", std::process::id()));
        let made = Self { home: root.join(own), ..Self::made_at(&base, cgroups) };
        made.fill(&root, cgroups).map_err(|error| {
            made.close();
            format!("{}: {error}; it takes root", made.base.display())
        })?;
        Ok(made)
    }

    /// Where the process that makes them has them.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Those that another process has made, which started this one.
    pub(crate) fn made_at(base: &Path, cgroups: &[Cgroup]) -> Self {
        let mut places: Vec<PathBuf> = Vec::new();
        for (number, cgroup) in cgroups.iter().enumerate() {
            let around = cgroup.around.and_then(|place| places.get(place as usize));
            places.push(around.map_or(base, PathBuf::as_path).join(number.to_string()));
        }
        Self { home: PathBuf::new(), base: base.to_owned(), places }
    }

    fn fill(&self, root: &Path, cgroups: &[Cgroup]) -> io::Result<()> {
        fs::write(root.join("cgroup.subtree_control"), "+cpu")?;
        fs::create_dir(&self.base)?;
        for folder in &self.places {
            fs::create_dir(folder)?;
            fs::write(folder.join("cgroup.type"), "threaded")?;
        }
        fs::write(self.base.join("cgroup.procs"), std::process::id().to_string())?;
        fs::write(self.base.join("cgroup.subtree_control"), "+cpu")?;
        for (folder, cgroup) in self.places.iter().zip(cgroups) {
            let inner = cgroups.iter().any(|other| {
                other.around.and_then(|place| self.places.get(place as usize)) == Some(folder)
            });
            fs::write(folder.join("cpu.weight"), cgroup.weight.to_string())?;
            if inner {
                fs::write(folder.join("cgroup.subtree_control"), "+cpu")?;
            }
        }
        Ok(())
    }

    /// Moves the process back, and removes them: once all threads have ended, which is some time after
    /// they have said so. What can't be removed is empty, and costs nothing.
    pub(crate) fn close(&self) {
        // It may be gone by now; then the process stays where it is.
        let _ = fs::write(self.home.join("cgroup.procs"), std::process::id().to_string());
        for folder in self.places.iter().rev().chain([&self.base]) {
            for _ in 0..TRIES {
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        thread::sleep(PAUSE);
                    }
                    _ => break,
                }
            }
        }
    }

    /// Moves the calling thread.
    pub(crate) fn enter(&self, place: u32) -> io::Result<()> {
        let folder = self.places.get(place as usize);
        // 0 is who writes it.
        folder.map_or(Ok(()), |folder| fs::write(folder.join("cgroup.threads"), "0"))
    }
}

/// Where cgroup v2 is mounted: a line is `id parent dev root POINT options [fields…] - TYPE …`.
fn hierarchy(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let found = right.split(' ').next() == Some("cgroup2");
        found.then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found() {
        let mounts = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        assert_eq!(hierarchy(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(hierarchy("22 27 0:21 / /proc rw - proc proc rw"), None);
    }

    #[test]
    fn without_a_hierarchy_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path(), folder.path());
        assert_eq!(Cgroups::make(&host, &[]).unwrap_err(), "cgroup v2 is not mounted");
    }
}
