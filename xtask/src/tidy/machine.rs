// SPDX-License-Identifier: GPL-2.0-or-later
//! Nothing that holds on one machine only: home folders, where the clone stands, private
//! registries. Such lines work for their writer and for nobody else.

use std::path::Path;

use super::{Problem, Source};

/// Folders that every machine has. A clone below one of them doesn't make its name private.
const COMMON: &[&str] = &[
    "/",
    "/build",
    "/builds",
    "/data",
    "/dev",
    "/home",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/src",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/src",
    "/var",
    "/var/lib",
    "/var/tmp",
];
const HOME: &str = concat!("/ho", "me/");
const ROOT_HOME: &str = concat!("/ro", "ot/");
/// Where the index of Rust's own package registry lies, as lock files have it.
const PUBLIC_REGISTRY: &str = "registry+https://github.com/rust-lang/";
/// What only private registries and mirrors have in their addresses or settings.
const PRIVATE_HOSTS: &[&str] = &[
    concat!("://", "10."),
    concat!("://", "127."),
    concat!("://", "172."),
    concat!("://", "192.168."),
    concat!("://", "localhost"),
    concat!("replace-", "with"),
    concat!(".inter", "nal/"),
    concat!(".inter", "nal:"),
];

/// What is particular to this machine.
pub(super) struct Machine {
    /// The clone and the folder that it stands in, with a slash at the end.
    folders: Vec<String>,
}

impl Machine {
    /// The machine on which the work tree is at `root`.
    pub(super) fn of(root: &Path) -> Self {
        let folders = root.ancestors().take(2).filter_map(Path::to_str);
        let folders = folders.filter(|folder| !COMMON.contains(folder));
        Self { folders: folders.map(|folder| format!("{folder}/")).collect() }
    }

    /// Applies every rule of this file.
    pub(super) fn check(&self, source: &Source<'_>, problems: &mut Vec<Problem>) {
        let is_lock = source.file_name() == "Cargo.lock";
        for (number, line) in source.lines() {
            if is_lock && line.starts_with("source = ") && !line.contains(PUBLIC_REGISTRY) {
                let what =
                    "a dependency that Rust's own registry does not have, take a published version";
                problems.push(source.problem(number, what));
            }
            if !source.is_written() {
                continue;
            }
            if let Some(folder) = self.private_folder(line) {
                let what = format!("`{folder}…` is a path of one machine, write a relative one");
                problems.push(source.problem(number, what));
            }
            if let Some(host) = PRIVATE_HOSTS.iter().find(|host| line.contains(**host)) {
                let what = format!("`{host}` names a host of one network, leave it to the machine");
                problems.push(source.problem(number, what));
            }
        }
    }

    fn private_folder<'a>(&'a self, line: &str) -> Option<&'a str> {
        let is_name = |c: char| c.is_ascii_alphanumeric();
        if starts_of(line, HOME).any(|rest| rest.starts_with(is_name)) {
            return Some(HOME);
        }
        if starts_of(line, ROOT_HOME).next().is_some() {
            return Some(ROOT_HOME);
        }
        let mut folders = self.folders.iter().map(String::as_str);
        folders.find(|folder| starts_of(line, folder).next().is_some())
    }
}

/// What follows `path` wherever it starts a path, so not the `/x/` of `a/x/b`.
fn starts_of<'a>(line: &'a str, path: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(path).filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        let inside = before.is_some_and(|c| c.is_alphanumeric() || "/._-}*>~".contains(c));
        (!inside).then(|| &line[at + path.len()..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(root: &str, path: &str, line: &str, expected: usize) {
        let mut problems = Vec::new();
        let text = format!("first\n{line}\n");
        Machine::of(Path::new(root)).check(&Source { path, text: &text }, &mut problems);
        assert_eq!(problems.len(), expected, "{line}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.line == 2));
    }

    #[test]
    fn home_folders() {
        check("/x/y", "a.rs", concat!("open(\"/ho", "me/joe/file\")"), 1);
        check("/x/y", "a.md", concat!("see /ro", "ot/.cargo"), 1);
        check("/x/y", "a.md", "see /sys/kernel/sched_ext/root/ops and ~/home/joe", 0);
        check("/x/y", "a.md", concat!("see /ho", "me/<you>/file"), 0);
        check("/x/y", "a.expected", concat!("see /ro", "ot/.cargo"), 0);
    }

    #[test]
    fn the_place_of_the_clone() {
        check("/forge/rota", "a.md", "cd /forge/rota/crates", 1);
        check("/forge/rota", "a.md", "cd /forge/shared", 1);
        check("/forge/rota", "a.md", "cd crates/forge/src", 0);
        // A clone in /tmp makes no path below /tmp suspicious, except its own.
        check("/tmp/rota", "a.rs", "mount /tmp/other", 0);
        check("/tmp/rota", "a.rs", "mount /tmp/rota/x", 1);
    }

    #[test]
    fn private_hosts_and_registries() {
        check("/x/y", "a.toml", concat!("url = \"http://", "10.0.0.1/x\""), 1);
        check("/x/y", ".cargo/config.toml", concat!("replace-", "with = \"mirror\""), 1);
        check("/x/y", "a.toml", "url = \"https://docs.rs/anyhow\"", 0);
        let line = |registry: &str| format!("source = \"{registry}\"");
        check("/x/y", "Cargo.lock", &line(PUBLIC_REGISTRY), 0);
        check("/x/y", "Cargo.lock", &line("git+https://example.org/fork"), 1);
        check("/x/y", "Cargo.lock", &line("sparse+https://mirror.example.org/"), 1);
    }
}
