// SPDX-License-Identifier: GPL-2.0-or-later
//! The working folder of a machine, with everything that the guest's first process reads.
//!
//! The guest sees the host's files read-only. It has memory file systems of its own on the folders
//! that programs write to, and these hide what the host has there; the folders that the caller
//! names stay visible at their own paths, whatever covers them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::cache::Cache;
use crate::command::shell_quote;
use crate::kernels::Kernel;
use crate::{Error, Result};

/// Where the guest sees the folder that both sides write to; also in `$ROTA_VM_SHARE`.
pub const GUEST_SHARE: &str = "/run/rota/share";

/// What a guest sees of the host, and how long it may take to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Folders put before the guest's `PATH`.
    pub path_dirs: Vec<PathBuf>,
    /// Folders that must be visible although they lie below `/tmp`, `/run`, `/boot`, `/var/tmp` or
    /// `/var/log`, where the guest has file systems of its own. Everything else is visible anyway.
    pub visible: Vec<PathBuf>,
    /// Folders of the host that the guest may write to.
    pub writable: Vec<PathBuf>,
    /// The folder that commands start in; [`GUEST_SHARE`] if not given.
    pub cwd: Option<PathBuf>,
    /// More environment variables.
    pub env: Vec<(String, String)>,
    /// A file for the kernel's console, to be kept; otherwise it goes with the machine.
    pub console: Option<PathBuf>,
    /// How long booting may take.
    pub boot_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            path_dirs: Vec::new(),
            visible: Vec::new(),
            writable: Vec::new(),
            cwd: None,
            env: Vec::new(),
            console: None,
            boot_timeout: Duration::from_secs(120),
        }
    }
}

/// The working folder of one machine, removed when it is dropped. A process that was killed
/// leaves its folders behind; since nobody holds their locks, the next machine removes them.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
    pub(crate) fn create(cache: &Cache) -> Result<WorkDir> {
        let parent = cache.run_dir();
        fs::create_dir_all(&parent).map_err(Error::io("cannot make", &parent))?;
        remove_abandoned(&parent);
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        // The lock is taken under a name that nobody clears away.
        let path = parent.join(&name);
        let hidden = parent.join(format!(".{name}"));
        let _ = fs::remove_dir_all(&hidden);
        fs::create_dir(&hidden).map_err(Error::io("cannot make", &hidden))?;
        let lock = File::create(hidden.join("lock")).map_err(Error::io("cannot lock", &hidden))?;
        lock.lock().map_err(Error::io("cannot lock", &hidden))?;
        fs::rename(&hidden, &path).map_err(Error::io("cannot make", &path))?;
        let dir = WorkDir { path, _lock: lock };
        let share = dir.share();
        fs::create_dir_all(&share).map_err(Error::io("cannot make", &share))?;
        Ok(dir)
    }

    /// The folder itself, for QEMU's and virtiofsd's own files.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the guest sees as `/run/rota`.
    pub(crate) fn guest(&self) -> PathBuf {
        self.path.join("guest")
    }

    /// What the guest sees as [`GUEST_SHARE`].
    pub(crate) fn share(&self) -> PathBuf {
        self.path.join("guest/share")
    }

    /// Writes what the guest's first process reads, and returns that program's path.
    pub(crate) fn fill(
        &self,
        cache: &Cache,
        kernel: &Kernel,
        options: &Options,
    ) -> Result<PathBuf> {
        let guest = self.guest();
        let write = |name: &str, text: &str| {
            let path = guest.join(name);
            fs::write(&path, text).map_err(Error::io("cannot write", &path))?;
            Ok(path)
        };
        let path_dirs = resolve(&options.path_dirs)?;
        let mut read_only = path_dirs.clone();
        read_only.extend(resolve(&options.visible)?);
        read_only.push(cache.root().to_path_buf());
        read_only.retain(|path| COVERED.iter().any(|covered| path.starts_with(covered)));
        let mut shares = vec![(guest.clone(), PathBuf::from("/run/rota"), true)];
        shares.extend(read_only.into_iter().map(|path| (path.clone(), path, false)));
        shares
            .extend(resolve(&options.writable)?.into_iter().map(|path| (path.clone(), path, true)));
        write("fstab", &fstab(&shares)?)?;
        write("env", &environment(options, &path_dirs))?;
        fill_root(&guest.join("root"), kernel)?;
        write("init.sh", include_str!("init.sh"))
    }
}

/// What the guest copies into its own /dev and /boot. libbpf looks for the kernel's configuration
/// under this name.
fn fill_root(root: &Path, kernel: &Kernel) -> Result<()> {
    let (dev, boot) = (root.join("dev"), root.join("boot"));
    for folder in [&dev, &boot] {
        fs::create_dir_all(folder).map_err(Error::io("cannot make", folder))?;
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        let link = dev.join(name);
        symlink(format!("/proc/self/fd{target}"), &link)
            .map_err(Error::io("cannot make", &link))?;
    }
    if let Some(config) = &kernel.config {
        let target = boot.join(format!("config-{}", kernel.release));
        fs::copy(config, target).map_err(Error::io("cannot copy", config))?;
    }
    Ok(())
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // If it cannot be removed now, the next machine tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let free = File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if !hidden && free {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Folders of the guest that are memory of its own.
const COVERED: [&str; 5] = ["/tmp", "/run", "/boot", "/var/tmp", "/var/log"];
/// Folders of the guest that no folder of the host can be seen in.
const KERNELS_OWN: [&str; 3] = ["/dev", "/proc", "/sys"];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn resolve(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let resolve = |path: &PathBuf| {
        let real = path.canonicalize().map_err(Error::io("cannot share the folder", path))?;
        if !real.is_dir() {
            return Err(Error::Usage(format!("{} is no folder", real.display())));
        }
        if KERNELS_OWN.iter().any(|own| real.starts_with(own)) {
            let real = real.display();
            return Err(Error::Usage(format!(
                "{real} cannot be shared with the guest, which has its own /dev, /proc and /sys"
            )));
        }
        Ok(real)
    };
    folders.iter().map(resolve).collect()
}

/// The guest's mounts, in order. Each share (host's folder, guest's folder, writable) is first
/// bound to a place below /dev, then /tmp and the like are covered, then the shares are bound to
/// where they belong, which may be below a covered folder.
fn fstab(shares: &[(PathBuf, PathBuf, bool)]) -> Result<String> {
    let mut text = "sys /sys sysfs defaults 0 0\n\
        dev /dev devtmpfs defaults 0 0\n\
        cgroup /sys/fs/cgroup cgroup2 defaults 0 0\n\
        bpf /sys/fs/bpf bpf defaults 0 0\n\
        debug /sys/kernel/debug debugfs defaults 0 0\n\
        trace /sys/kernel/tracing tracefs defaults 0 0\n"
        .to_string();
    for (number, (from, _, _)) in shares.iter().enumerate() {
        let from = fstab_word(from)?;
        writeln!(text, "{from} /dev/.rota/{number} none bind,X-mount.mkdir 0 0").expect("a string");
    }
    for covered in COVERED {
        let mode = if covered.ends_with("tmp") { "1777" } else { "0755" };
        writeln!(text, "tmp {covered} tmpfs mode={mode} 0 0").expect("a string");
    }
    text +=
        "pts /dev/pts devpts X-mount.mkdir 0 0\nshm /dev/shm tmpfs mode=1777,X-mount.mkdir 0 0\n";
    for (number, (_, to, writable)) in shares.iter().enumerate() {
        let mode = if *writable { "rw" } else { "ro" };
        let to = fstab_word(to)?;
        writeln!(text, "/dev/.rota/{number} {to} none bind,{mode},X-mount.mkdir 0 0")
            .expect("a string");
    }
    Ok(text)
}

fn fstab_word(path: &Path) -> Result<String> {
    let Some(text) = path.to_str() else {
        return Err(Error::Usage(format!("{} is not UTF-8", path.display())));
    };
    let escape = |c: char| match c {
        ' ' | '\t' | '\n' | '\\' | '#' => format!("\\{:03o}", u32::from(c)),
        other => other.to_string(),
    };
    Ok(text.chars().map(escape).collect())
}

/// A shell script that sets the environment of commands.
fn environment(options: &Options, path_dirs: &[PathBuf]) -> String {
    let mut path = String::new();
    for folder in path_dirs {
        path.push_str(&folder.to_string_lossy());
        path.push(':');
    }
    path.push_str(PATH);
    let cwd = options.cwd.as_deref().map_or(GUEST_SHARE.into(), Path::to_string_lossy);
    let fixed = [
        ("PATH", path.as_str()),
        ("HOME", "/root"),
        ("LANG", "C.UTF-8"),
        ("TERM", "dumb"),
        ("ROTA_VM_SHARE", GUEST_SHARE),
        ("ROTA_VM_CWD", &cwd),
    ];
    let more = options.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let lines = fixed.into_iter().chain(more);
    lines.map(|(name, value)| format!("export {name}={}\n", shell_quote(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_staged_before_they_are_covered() {
        let share = (PathBuf::from("/tmp/a b"), PathBuf::from("/tmp/a b"), false);
        let text = fstab(&[share]).unwrap();
        let line = |start: &str| text.lines().position(|line| line.starts_with(start)).unwrap();
        let staged = line("/tmp/a\\040b /dev/.rota/0 none bind,");
        let shown = line("/dev/.rota/0 /tmp/a\\040b none bind,ro,");
        assert!(staged < line("tmp /tmp tmpfs") && line("tmp /tmp tmpfs") < shown, "{text}");
    }

    #[test]
    fn the_environment_puts_the_named_folders_first() {
        let options = Options {
            env: vec![("MESSAGE".to_string(), "it's".to_string())],
            ..Options::default()
        };
        let text = environment(&options, &[PathBuf::from("/opt/rota bin")]);
        assert!(text.starts_with("export PATH='/opt/rota bin:/usr/local/sbin:"), "{text}");
        assert!(text.contains("export ROTA_VM_CWD=/run/rota/share\n"), "{text}");
        assert!(text.ends_with("export MESSAGE='it'\\''s'\n"), "{text}");
    }

    #[test]
    fn folders_that_cannot_be_shared_are_refused() {
        for bad in ["/proc/sys", "/dev", "/nonexistent", "/etc/passwd"] {
            assert!(resolve(&[PathBuf::from(bad)]).is_err(), "{bad}");
        }
    }
}
