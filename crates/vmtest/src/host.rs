// SPDX-License-Identifier: GPL-2.0-or-later
//! What the host must have: x86-64, root, QEMU and a virtiofs daemon.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result, command};

/// The programs of the host that a machine is made of.
#[derive(Debug)]
pub(crate) struct Host {
    qemu_major: u32,
    virtiofsd: PathBuf,
    virtiofsd_is_old: bool,
}

impl Host {
    /// Looks for everything, and says what is missing and how to get it.
    pub(crate) fn find() -> Result<Host> {
        let fail = |text: &str| Err(Error::Environment(text.to_string()));
        if std::env::consts::ARCH != "x86_64" {
            return fail(
                "the virtual machine shares the host's root file system and has an x86-64 kernel, so the host must be x86-64 too",
            );
        }
        let own = Path::new("/proc/self");
        if fs::metadata(own).map_err(Error::io("cannot read", own))?.uid() != 0 {
            return fail(
                "the virtual machine needs root on the host: virtiofsd shares the root file system through chroot. Run it as root (`sudo -E …`)",
            );
        }
        if !Path::new("/usr/bin/setpriv").exists() {
            return fail("setpriv is missing (package util-linux)");
        }
        let Some(virtiofsd) = VIRTIOFSD.iter().map(Path::new).find(|path| path.exists()) else {
            return fail(
                "virtiofsd is missing: install qemu-system-common (Debian 12) or virtiofsd (newer)",
            );
        };
        let version = command::output(Command::new(QEMU).arg("--version")).map_err(|_| {
            let text = format!("{QEMU} is missing: install the package qemu-system-x86");
            Error::Environment(text)
        })?;
        Ok(Host {
            qemu_major: parse_major(&version).unwrap_or(u32::MAX),
            virtiofsd: virtiofsd.to_path_buf(),
            virtiofsd_is_old: virtiofsd == Path::new(VIRTIOFSD[0]),
        })
    }

    /// QEMU 7.2 does several dies a socket; 10.0 aborts on them under emulation. What lies between
    /// was not tried.
    pub(crate) fn dies_work(&self) -> bool {
        self.qemu_major < 8
    }

    /// The command that runs QEMU, to be completed with arguments.
    pub(crate) fn qemu(&self) -> Command {
        bound(Path::new(QEMU))
    }

    /// The command that serves the host's root file system to whoever connects to the listening
    /// socket that it gets as standard input.
    pub(crate) fn virtiofsd(&self) -> Command {
        let mut command = bound(&self.virtiofsd);
        // Mount namespaces cannot hide `/` behind itself, so the sandbox must be chroot.
        if self.virtiofsd_is_old {
            // The guest keeps what it read of a file until the file's time changes, at which it
            // looks once a second: a program is then read once, not at each start.
            command.args([
                "--fd=0",
                "-o",
                "source=/,sandbox=chroot,cache=always,timeout=1,log_level=warn",
            ]);
        } else {
            command.args(["--fd=0", "--shared-dir=/", "--sandbox=chroot", "--cache=auto"]);
        }
        command
    }
}

const QEMU: &str = "qemu-system-x86_64";
/// The C program of QEMU before 8.0 comes first, then the places of its successor in Rust.
const VIRTIOFSD: [&str; 3] =
    ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd"];

/// A command that the kernel kills when the thread that started it ends, be it by SIGKILL.
fn bound(program: &Path) -> Command {
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// The 7 of `QEMU emulator version 7.2.22 (…)`.
fn parse_major(text: &str) -> Option<u32> {
    let version = text.split_once("version ")?.1;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_qemu_is_read() {
        assert_eq!(parse_major("QEMU emulator version 7.2.22 (Debian 1:7.2)"), Some(7));
        assert_eq!(parse_major("QEMU emulator version 10.0.2"), Some(10));
        assert_eq!(parse_major("something else"), None);
    }
}
