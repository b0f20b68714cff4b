// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota-vm kernels`, `fetch` and `update`.

use std::fs;
use std::path::{Path, PathBuf};

use rota_vmtest::{Cache, Error, Kernel, Pin, Pins, Result, Role, newest_pins, rewrite};

use crate::{print, say};

pub(crate) fn list(cache: &Cache) -> Result<u8> {
    print(&format!("{:<8} {:<10} {:<10} {:<7} package", "series", "version", "role", "cached"))?;
    for pin in Pins::embedded().all() {
        let version = pin.version().to_string();
        let cached = if Kernel::cached(cache, &version)?.is_some() { "yes" } else { "no" };
        let role = match pin.role {
            Role::Supported => "supported",
            Role::Extra => "extra",
        };
        let package = format!("{}={}", pin.package, pin.package_version);
        print(&format!("{:<8} {version:<10} {role:<10} {cached:<7} {package}", pin.series))?;
    }
    Ok(0)
}

pub(crate) fn fetch(cache: &Cache, versions: &[String]) -> Result<u8> {
    let pins = Pins::embedded();
    let wanted: Vec<&Pin> = if versions.is_empty() {
        pins.supported().collect()
    } else {
        versions.iter().map(|version| pins.find(version)).collect::<Result<_>>()?
    };
    for pin in wanted {
        let kernel = Kernel::pinned(pin, cache, &mut say)?;
        print(&format!("{} {}", kernel.release, kernel.image.display()))?;
    }
    Ok(0)
}

pub(crate) fn update(cache: &Cache, file: Option<&Path>) -> Result<u8> {
    let path = match file {
        Some(path) => path.to_path_buf(),
        None => pins_file()?,
    };
    let failed = |what: &str| {
        let context = format!("cannot {what} {}", path.display());
        move |source| Error::Io { context, source }
    };
    let text = fs::read_to_string(&path).map_err(failed("read"))?;
    let old = Pins::parse(&text)?;
    let new = newest_pins(&old, cache, &mut say)?;
    let changed = rewrite(&text, &new);
    let mut moved = 0;
    for pin in &new {
        let before = old.find(&pin.series)?;
        if before != pin {
            moved += 1;
            print(&format!("{}: {} -> {}", pin.series, describe(before), describe(pin)))?;
        }
    }
    if moved == 0 {
        print("every pin is the newest of its series")?;
    } else {
        fs::write(&path, changed).map_err(failed("write"))?;
        print(&format!("{} rewritten; build again to use it", path.display()))?;
    }
    Ok(0)
}

fn describe(pin: &Pin) -> String {
    let config = pin.config_package.as_deref().unwrap_or("own");
    format!("{} {} (configuration: {config})", pin.package, pin.package_version)
}

fn pins_file() -> Result<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let found = here.ancestors().map(|folder| folder.join("crates/vmtest/kernels.txt"));
    found.into_iter().find(|path| path.exists()).ok_or_else(|| {
        let text =
            "no crates/vmtest/kernels.txt in this folder or one above; name the file with --pins";
        Error::Usage(text.to_string())
    })
}
