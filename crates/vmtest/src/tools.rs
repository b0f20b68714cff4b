// SPDX-License-Identifier: GPL-2.0-or-later
//! Debian 13's `veristat` and `bpftool`, kept with the loader and libraries that they need, so
//! that they run on an older Debian too. The unpacked tree is reached through one small shell
//! script a tool, which works on the host and in the guest alike.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::apt::Apt;
use crate::cache::{Cache, Progress};
use crate::command::shell_quote;
use crate::{Error, Result};

/// The path of a script that runs veristat.
pub fn veristat(cache: &Cache, progress: Progress<'_>) -> Result<PathBuf> {
    Ok(tools(cache, progress)?.join("bin/veristat"))
}

/// The path of a script that runs bpftool.
pub fn bpftool(cache: &Cache, progress: Progress<'_>) -> Result<PathBuf> {
    Ok(tools(cache, progress)?.join("bin/bpftool"))
}

/// The name of the folder: a new set of packages needs a new name.
const FOLDER: &str = "tools-trixie-1";
const SUITE: &str = "trixie";
const PACKAGES: [&str; 8] =
    ["veristat", "bpftool", "libc6", "libbpf1", "libelf1t64", "zlib1g", "libzstd1", "libcap2"];
const PROGRAMS: [(&str, &str); 2] =
    [("veristat", "usr/bin/veristat"), ("bpftool", "usr/sbin/bpftool")];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

fn tools(cache: &Cache, progress: Progress<'_>) -> Result<PathBuf> {
    let folder = cache.vm_dir().join(FOLDER);
    if folder.exists() {
        return Ok(folder);
    }
    let lock = cache.lock(progress)?;
    if folder.exists() {
        return Ok(folder);
    }
    let apt = Apt::open(cache, &lock, progress)?;
    progress("downloading veristat and bpftool");
    lock.install(FOLDER, |dir| {
        let packages = PACKAGES.map(|name| format!("{name}/{SUITE}"));
        let names = apt.unpack(&packages, &dir.join("root"))?;
        let list = dir.join("packages");
        fs::write(&list, names.join("\n") + "\n").map_err(Error::io("cannot write", &list))?;
        let bin = dir.join("bin");
        fs::create_dir(&bin).map_err(Error::io("cannot make", &bin))?;
        for (name, program) in PROGRAMS {
            if !dir.join("root").join(program).exists() {
                return Err(Error::Environment(format!("Debian's {name} has no {program}")));
            }
            write_script(&bin.join(name), &script(&folder.join("root"), program))?;
        }
        Ok(())
    })
}

fn write_script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io("cannot write", path))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).map_err(Error::io("cannot make executable", path))
}

fn script(root: &Path, program: &str) -> String {
    let path = |name: &str| shell_quote(&root.join(name).to_string_lossy());
    let libraries = path(LIBRARIES);
    let loader = path(&format!("{LIBRARIES}/ld-linux-x86-64.so.2"));
    let program = path(program);
    format!("#!/bin/sh\nexec {loader} --library-path {libraries} {program} \"$@\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_quotes_its_paths() {
        let text = script(Path::new("/a b"), "usr/bin/x");
        let expected = "#!/bin/sh\nexec '/a b/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2' \
            --library-path '/a b/usr/lib/x86_64-linux-gnu' '/a b/usr/bin/x' \"$@\"\n";
        assert_eq!(text, expected);
    }
}
