// SPDX-License-Identifier: GPL-2.0-or-later
//! The example schedulers of the kernel tree, `tools/sched_ext`, as source: from Debian's source
//! package of the newest pinned kernel, with the headers that they include.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::Apt;
use crate::cache::{Cache, Progress};
use crate::pins::Pins;
use crate::{Error, Result, command};

/// Where the schedulers and their headers are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleSource {
    /// The folder of the schedulers, with a file `*.bpf.c` for each.
    pub schedulers: PathBuf,
    /// Folders to look for headers in. Not there is `vmlinux.h`, which is made from a kernel.
    pub includes: Vec<PathBuf>,
}

/// What is taken from the source of a kernel.
const TAKEN: [&str; 3] = ["tools/sched_ext", "tools/lib/bpf", "tools/include/uapi/asm-generic"];
/// The numbers of helpers, a header that a build of the kernel's tools would generate.
const HELPERS: (&str, &str) = ("libbpf-dev/trixie", "usr/include/bpf/bpf_helper_defs.h");

/// The example schedulers of the newest pinned kernel, from the cache or downloaded into it, which
/// is 160 MB. Where the pinned version has left the mirror, the newest of its series takes its
/// place, with a message.
pub fn example_schedulers(cache: &Cache, progress: Progress<'_>) -> Result<ExampleSource> {
    let pins = Pins::embedded();
    let pin = pins.newest();
    let name = format!("sched-ext-{}", pin.version());
    let folder = cache.vm_dir().join(&name);
    if folder.exists() {
        return Ok(ExampleSource::in_folder(&folder));
    }
    let lock = cache.lock(progress)?;
    if folder.exists() {
        return Ok(ExampleSource::in_folder(&folder));
    }
    let apt = Apt::open(cache, &lock, progress)?;
    let package = format!("linux-source-{}", pin.series);
    let Some(version) = apt.version(&package)? else {
        return Err(Error::Environment(format!("{package} is no longer on the mirror")));
    };
    if version != pin.package_version {
        progress(&format!(
            "{package} {} has left the mirror; taking {version}",
            pin.package_version
        ));
    }
    progress(&format!("downloading {package} {version}"));
    lock.install(&name, |dir| {
        let tree = dir.join("tree");
        let wanted = [format!("{package}={version}"), HELPERS.0.to_owned()];
        let packages = apt.unpack(&wanted, &tree)?;
        let source = tree.join("usr/src").join(format!("{package}.tar.xz"));
        let mut tar = Command::new("tar");
        tar.arg("-xJf").arg(&source).arg("-C").arg(dir).arg("--strip-components=1");
        command::output(tar.args(TAKEN.map(|part| format!("{package}/{part}"))))?;
        let headers = ExampleSource::headers(dir);
        copy(&tree.join(HELPERS.1), &headers.join("bpf/bpf_helper_defs.h"))?;
        let list = dir.join("packages");
        fs::write(&list, packages.join("\n") + "\n").map_err(Error::io("cannot write", &list))?;
        fs::remove_dir_all(&tree).map_err(Error::io("cannot remove", &tree))
    })?;
    Ok(ExampleSource::in_folder(&folder))
}

impl ExampleSource {
    /// The folder of libbpf's headers: they are included as `bpf/…`, and lie in a folder of that
    /// name.
    fn headers(folder: &Path) -> PathBuf {
        folder.join("tools/lib")
    }

    fn in_folder(folder: &Path) -> ExampleSource {
        let schedulers = folder.join("tools/sched_ext");
        let includes = vec![
            schedulers.join("include"),
            schedulers.join("include/bpf-compat"),
            ExampleSource::headers(folder),
            folder.join("tools/include/uapi"),
        ];
        ExampleSource { schedulers, includes }
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(Error::io("cannot copy", from))
}
