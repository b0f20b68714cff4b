// SPDX-License-Identifier: GPL-2.0-or-later
//! Fetches the pinned kernels and keeps them unpacked: `<cache>/vm/<version>/` holds `vmlinuz`,
//! `vmlinux` (the same uncompressed), `config`, `packages` (where they came from), and
//! `config.note` where the configuration is not the kernel's own.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::Apt;
use crate::cache::{Cache, CacheLock, Progress};
use crate::pins::{Pin, Pins};
use crate::{Error, Result, bzimage, command, version};

/// A kernel image that can be booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// What `uname -r` will say.
    pub release: String,
    /// The image that is booted, compressed or not.
    pub image: PathBuf,
    /// Its build configuration, which the guest finds as `/boot/config-$(uname -r)`: libbpf reads
    /// it for objects that ask for `CONFIG_…` values.
    pub config: Option<PathBuf>,
}

impl Kernel {
    /// Any kernel image for x86-64 PCs. Its configuration is taken from `config-<release>` beside
    /// it, if that exists.
    ///
    /// The kernel must have virtiofs, virtio over PCI, the virtio console and devtmpfs built in
    /// (not as modules), and `CONFIG_SCHED_CLASS_EXT` for the sake of it all.
    pub fn from_file(path: &Path) -> Result<Kernel> {
        let mut bytes = Vec::new();
        let header = fs::File::open(path).map(|file| file.take(HEADER_BYTES));
        header
            .and_then(|mut header| header.read_to_end(&mut bytes))
            .map_err(Error::io("cannot read the kernel", path))?;
        let Some(release) = bzimage::release(&bytes) else {
            let path = path.display();
            return Err(Error::Usage(format!("{path} is no x86 kernel image (bzImage)")));
        };
        let image = path.canonicalize().map_err(Error::io("cannot find", path))?;
        let config = image.with_file_name(format!("config-{release}"));
        Ok(Kernel { release, image, config: config.exists().then_some(config) })
    }

    /// What `--kernel` means: a path (anything with a slash), or the series or version of a
    /// pinned kernel, which is downloaded if it is not in the cache.
    pub fn select(wanted: &str, cache: &Cache, progress: Progress<'_>) -> Result<Kernel> {
        if wanted.contains('/') {
            return Kernel::from_file(Path::new(wanted));
        }
        Kernel::pinned(Pins::embedded().find(wanted)?, cache, progress)
    }

    /// A pinned kernel, from the cache or downloaded into it. Where the pinned version has left
    /// the mirror, the newest of its series takes its place, with a message.
    pub fn pinned(pin: &Pin, cache: &Cache, progress: Progress<'_>) -> Result<Kernel> {
        let name = pin.version().to_string();
        if let Some(kernel) = Kernel::cached(cache, &name)? {
            return Ok(kernel);
        }
        let lock = cache.lock(progress)?;
        if let Some(kernel) = Kernel::cached(cache, &name)? {
            return Ok(kernel);
        }
        let fetched = fetch(pin, cache, &lock, progress);
        fetched.or_else(|error| match cached_of_series(cache, &pin.series)? {
            Some(kernel) => {
                let release = &kernel.release;
                progress(&format!("{name} could not be fetched ({error}); taking {release}"));
                Ok(kernel)
            }
            None => Err(error),
        })
    }

    /// The kernel of a version, if the cache has it.
    pub fn cached(cache: &Cache, version: &str) -> Result<Option<Kernel>> {
        let dir = cache.vm_dir().join(version);
        let image = dir.join("vmlinuz");
        if !image.exists() {
            return Ok(None);
        }
        let compressed = Kernel::from_file(&image)?;
        let unpacked = Some(dir.join("vmlinux")).filter(|path| path.exists());
        let config = Some(dir.join("config")).filter(|path| path.exists());
        Ok(Some(Kernel { image: unpacked.unwrap_or(image), config, ..compressed }))
    }
}

/// The boot header names the release within the setup sectors, of which there are at most 64.
const HEADER_BYTES: u64 = 65 * 512;

/// What `rota-vm update` writes: every pin moved to the newest version of its series.
pub fn newest_pins(pins: &Pins, cache: &Cache, progress: Progress<'_>) -> Result<Vec<Pin>> {
    let lock = cache.lock(progress)?;
    let apt = Apt::open(cache, &lock, progress)?;
    apt.update(progress)?;
    let names = apt.kernel_names()?;
    let mut moved = Vec::new();
    for pin in pins.all() {
        match newest(pin, &apt, &names)? {
            Some(new) => moved.push(new),
            None => progress(&format!("series {} is no longer on the mirror", pin.series)),
        }
    }
    Ok(moved)
}

fn newest(pin: &Pin, apt: &Apt<'_>, names: &[String]) -> Result<Option<Pin>> {
    let Some(package) = version::newest_of_series(names, &pin.series) else {
        return Ok(None);
    };
    let package_version = apt.version(package)?;
    let config_package = version::config_package(names, package);
    let package = package.to_string();
    Ok(package_version.map(|package_version| Pin {
        package,
        package_version,
        config_package,
        ..pin.clone()
    }))
}

fn fetch(pin: &Pin, cache: &Cache, lock: &CacheLock, progress: Progress<'_>) -> Result<Kernel> {
    let apt = Apt::open(cache, lock, progress)?;
    if apt.version(&pin.package)?.as_deref() == Some(&pin.package_version) {
        return install(pin, cache, &apt, lock, progress);
    }
    let Some(newer) = newest(pin, &apt, &apt.kernel_names()?)? else {
        let (package, series) = (&pin.package, &pin.series);
        return Err(Error::Environment(format!(
            "{package} is no longer on the mirror, nor is any other kernel of series {series}"
        )));
    };
    progress(&format!(
        "{} {} has left the mirror; taking {} {} (`rota-vm update` moves the pins)",
        pin.package, pin.package_version, newer.package, newer.package_version
    ));
    match Kernel::cached(cache, &newer.version().to_string())? {
        Some(kernel) => Ok(kernel),
        None => install(&newer, cache, &apt, lock, progress),
    }
}

fn install(
    pin: &Pin,
    cache: &Cache,
    apt: &Apt<'_>,
    lock: &CacheLock,
    progress: Progress<'_>,
) -> Result<Kernel> {
    progress(&format!("downloading {} {}", pin.package, pin.package_version));
    let config_package = present_config_package(pin, apt)?;
    let name = pin.version().to_string();
    lock.install(&name, |dir| {
        let tree = dir.join("tree");
        let mut wanted = vec![format!("{}={}", pin.package, pin.package_version)];
        wanted.extend(config_package.clone());
        let packages = apt.unpack(&wanted, &tree)?;
        take(&tree, &|name| name.starts_with("vmlinuz"), &dir.join("vmlinuz"))?;
        unpack_kernel(dir, progress)?;
        let is_config = |name: &str| name == "config" || name.starts_with("config-");
        take(&tree, &is_config, &dir.join("config"))?;
        let write = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(Error::io("cannot write", &path))
        };
        write("packages", packages.join("\n") + "\n")?;
        let own = version::of_package(config_package.as_deref().unwrap_or(&pin.package));
        if let Some(other) = own.filter(|own| *own != pin.version()) {
            write("config.note", format!("This is the configuration of {other}: Debian publishes none for {name}, and this is the nearest.\n"))?;
        }
        fs::remove_dir_all(&tree).map_err(Error::io("cannot remove", &tree))
    })?;
    Kernel::cached(cache, &name)?
        .ok_or_else(|| Error::Environment(format!("{} holds no kernel", pin.package)))
}

/// Unpacks `vmlinuz` to `vmlinux`, which QEMU boots two seconds sooner than an emulated CPU
/// unpacks the other. Without the program for it, the compressed image has to do.
fn unpack_kernel(dir: &Path, progress: Progress<'_>) -> Result<()> {
    let (from, stream, to) = (dir.join("vmlinuz"), dir.join("payload"), dir.join("vmlinux"));
    let image = fs::read(&from).map_err(Error::io("cannot read", &from))?;
    let Some(payload) = bzimage::zstd_payload(&image) else {
        return Ok(());
    };
    fs::write(&stream, payload).map_err(Error::io("cannot write", &stream))?;
    let mut unzstd = Command::new("zstd");
    if command::output(unzstd.args(["-dqf", "-o"]).arg(&to).arg(&stream)).is_err() {
        progress("zstd is not installed or failed, so booting takes longer (package zstd)");
        // Half a kernel is worse than none.
        let _ = fs::remove_file(&to);
    }
    fs::remove_file(&stream).map_err(Error::io("cannot remove", &stream))
}

/// The pinned package with the configuration, or another one if that has left the mirror.
fn present_config_package(pin: &Pin, apt: &Apt<'_>) -> Result<Option<String>> {
    let Some(package) = &pin.config_package else {
        return Ok(None);
    };
    if apt.version(package)?.is_some() {
        return Ok(Some(package.clone()));
    }
    Ok(version::config_package(&apt.kernel_names()?, &pin.package))
}

/// Moves the one file of an unpacked package whose name fits to `target`.
fn take(tree: &Path, fits: &dyn Fn(&str) -> bool, target: &Path) -> Result<()> {
    let mut folders = vec![tree.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io("cannot read", &folder))?.flatten() {
            let kind = entry.file_type().map_err(Error::io("cannot read", &entry.path()))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && fits(&entry.file_name().to_string_lossy()) {
                let from = entry.path();
                return fs::rename(&from, target).map_err(Error::io("cannot move", &from));
            }
        }
    }
    let what = target.file_name().unwrap_or_default().to_string_lossy();
    Err(Error::Environment(format!("the downloaded packages hold no {what}")))
}

/// Any kernel of a series in the cache, the newest first.
fn cached_of_series(cache: &Cache, series: &str) -> Result<Option<Kernel>> {
    let Ok(entries) = fs::read_dir(cache.vm_dir()) else {
        return Ok(None);
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let versions = names.filter_map(|name| name.parse::<version::Version>().ok());
    match versions.filter(|version| version.series() == series).max() {
        Some(version) => Kernel::cached(cache, &version.to_string()),
        None => Ok(None),
    }
}
