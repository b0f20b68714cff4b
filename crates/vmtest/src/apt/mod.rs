// SPDX-License-Identifier: GPL-2.0-or-later
//! A private apt: its own configuration, sources, lists and cache, all inside Rota's cache
//! folder. It looks at the newer Debian suites on the machine's own mirror, with Debian's
//! signatures checked, and leaves the machine's own sources, lists and packages alone.

mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::cache::{Cache, CacheLock, Progress};
use crate::{Error, Result, command};

/// The suites: Debian 13 for tools, its backports for kernels.
const SUITES: [&str; 2] = ["trixie", "trixie-backports"];
/// Package lists older than this are fetched anew before a download.
const LISTS_AGE_MAX: Duration = Duration::from_hours(24);

/// The private apt. It exists only while the cache is locked.
pub(crate) struct Apt<'a> {
    dir: PathBuf,
    lock: &'a CacheLock,
}

impl<'a> Apt<'a> {
    /// Writes the configuration, and fetches the package lists if there are none or old ones.
    pub(crate) fn open(
        cache: &Cache,
        lock: &'a CacheLock,
        progress: Progress<'_>,
    ) -> Result<Apt<'a>> {
        let apt = Apt { dir: cache.apt_dir(), lock };
        apt.configure()?;
        if apt.lists_age().is_none_or(|age| age > LISTS_AGE_MAX)
            && let Err(error) = apt.update(progress)
        {
            // Without a network yesterday's lists are still good for what is in the pool.
            if apt.lists_age().is_none() {
                return Err(error);
            }
            progress(&format!("the package lists are old and could not be renewed: {error}"));
        }
        Ok(apt)
    }

    /// Fetches the package lists.
    pub(crate) fn update(&self, progress: Progress<'_>) -> Result<()> {
        progress("fetching Debian's package lists");
        command::output(self.tool("apt-get").args(["-q", "update", "--error-on=any"]))?;
        fs::write(self.stamp(), "").map_err(Error::io("cannot write", &self.stamp()))
    }

    /// The names of all packages of cloud kernels.
    pub(crate) fn kernel_names(&self) -> Result<Vec<String>> {
        let text = command::output(self.tool("apt-cache").args(["pkgnames", "linux-"]))?;
        let names = text.lines().filter(|name| crate::version::of_package(name).is_some());
        Ok(names.map(str::to_string).collect())
    }

    /// The newest version of a package, if there is one.
    pub(crate) fn version(&self, package: &str) -> Result<Option<String>> {
        let text = command::output(self.tool("apt-cache").args(["madison", package]))?;
        let version = text.lines().next().and_then(|line| line.split('|').nth(1));
        Ok(version.map(|version| version.trim().to_string()))
    }

    /// Downloads packages, each given as `NAME`, `NAME=VERSION` or `NAME/SUITE`, and unpacks them
    /// all into `target`. Returns their file names, which hold name and version.
    pub(crate) fn unpack(&self, packages: &[String], target: &Path) -> Result<Vec<String>> {
        let folder = self.lock.scratch("download")?;
        let mut get = self.tool("apt-get");
        command::output(get.args(["-q", "download"]).args(packages).current_dir(&folder))?;
        let mut names = Vec::new();
        let entries = fs::read_dir(&folder).map_err(Error::io("cannot read", &folder))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            command::output(Command::new("dpkg-deb").arg("-x").arg(&path).arg(target))?;
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        names.sort();
        fs::remove_dir_all(&folder).map_err(Error::io("cannot remove", &folder))?;
        Ok(names)
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env("APT_CONFIG", self.dir.join("apt.conf")).env("LC_ALL", "C.UTF-8");
        command
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("updated")
    }

    fn lists_age(&self) -> Option<Duration> {
        let changed = fs::metadata(self.stamp()).ok()?.modified().ok()?;
        Some(SystemTime::now().duration_since(changed).unwrap_or_default())
    }

    fn configure(&self) -> Result<()> {
        let keyring = keyring()?;
        let mirror = machine_mirror(Path::new("/etc/apt"))?;
        for folder in ["state/lists/partial", "cache/archives/partial", "empty"] {
            let path = self.dir.join(folder);
            fs::create_dir_all(&path).map_err(Error::io("cannot make", &path))?;
        }
        let write = |name: &str, text: String| {
            let path = self.dir.join(name);
            fs::write(&path, text).map_err(Error::io("cannot write", &path))
        };
        let list = SUITES.map(|suite| source_line(&mirror, &keyring, suite)).concat();
        if fs::read_to_string(self.dir.join("sources.list")).is_ok_and(|old| old != list) {
            // Lists of another mirror say nothing about this one.
            let _ = fs::remove_file(self.stamp());
        }
        write("sources.list", list)?;
        let machine = command::output(Command::new("apt-config").args(["dump", "Acquire"]))?;
        write("apt.conf", configuration(&self.dir, &machine))
    }
}

fn source_line(mirror: &str, keyring: &Path, suite: &str) -> String {
    format!("deb [arch=amd64 signed-by={}] {mirror} {suite} main\n", keyring.display())
}

/// The private configuration: every folder is ours, no hooks of the machine run, but its proxies
/// and the like hold (`machine` is what `apt-config dump Acquire` says).
fn configuration(dir: &Path, machine: &str) -> String {
    let folder = |name: &str| dir.join(name).display().to_string();
    let mut text = format!(
        "Dir::State \"{}\";\nDir::Cache \"{}\";\nDir::Etc::sourcelist \"{}\";\n",
        folder("state"),
        folder("cache"),
        folder("sources.list")
    );
    for name in ["sourceparts", "parts", "preferencesparts"] {
        text += &format!("Dir::Etc::{name} \"{}\";\n", folder("empty"));
    }
    text += "Dir::Etc::main \"/dev/null\";\nDir::Etc::preferences \"/dev/null\";\n\
        Dir::State::status \"/dev/null\";\nAPT::Architecture \"amd64\";\n\
        APT::Architectures { \"amd64\"; };\nAPT::Sandbox::User \"root\";\n\
        Acquire::Languages \"none\";\nAcquire::Retries \"2\";\n";
    let kept = |line: &&str| !DROPPED.iter().any(|start| line.starts_with(start));
    for line in machine.lines().filter(kept).filter(|line| !line.ends_with(" \"\";")) {
        text += line;
        text.push('\n');
    }
    text
}

/// What of the machine's `Acquire` settings does not belong here: what would weaken signatures,
/// and what concerns other kinds of lists.
const DROPPED: [&str; 6] = [
    "Acquire::AllowInsecureRepositories",
    "Acquire::AllowWeakRepositories",
    "Acquire::AllowDowngradeToInsecureRepositories",
    "Acquire::IndexTargets",
    "Acquire::Changelogs",
    "Acquire::Languages",
];

fn keyring() -> Result<PathBuf> {
    let names = ["debian-archive-keyring.gpg", "debian-archive-keyring.pgp"];
    let paths = names.map(|name| Path::new("/usr/share/keyrings").join(name));
    paths.into_iter().find(|path| path.exists()).ok_or_else(|| {
        let text = "Debian's keyring is missing (package debian-archive-keyring), so Debian's kernels cannot be fetched; give a kernel with --kernel FILE instead";
        Error::Environment(text.to_string())
    })
}

fn machine_mirror(etc_apt: &Path) -> Result<String> {
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc_apt.join("sources.list.d")) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        files.extend(paths);
    }
    let mut found = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap_or_default();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => found.extend(sources::parse_list(&text)),
            Some("sources") => found.extend(sources::parse_deb822(&text)),
            _ => {}
        }
    }
    sources::debian_mirror(&found).map(str::to_string).ok_or_else(|| {
        let text = "no Debian archive is among this machine's apt sources, so Debian's kernels cannot be fetched; give a kernel with --kernel FILE instead";
        Error::Environment(text.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_keeps_proxies_and_drops_what_weakens_it() {
        let machine = "Acquire \"\";\nAcquire::http::Proxy \"http://p.example:3128\";\n\
            Acquire::AllowInsecureRepositories \"1\";\nAcquire::Languages:: \"de\";\n";
        let text = configuration(Path::new("/c/apt"), machine);
        assert!(text.contains("Acquire::http::Proxy \"http://p.example:3128\";"));
        assert!(text.contains("Dir::State \"/c/apt/state\";"));
        assert!(!text.contains("AllowInsecure") && !text.contains("\"de\""));
        assert!(!text.contains("Acquire \"\""));
    }

    #[test]
    fn a_machine_without_debian_sources_is_told_so() {
        let error = machine_mirror(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("--kernel FILE"), "{error}");
    }
}
