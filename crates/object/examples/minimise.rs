// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes the types and the configuration of one kernel into a folder, as `cargo xtask btf` wants
//! them: `minimise VERSION VMLINUX CONFIG FOLDER`.
#![expect(clippy::disallowed_methods, reason = "it reads and writes what it is told to")]

use rota_object::{Configuration, Distance, KernelTypes, minimise};
use std::error::Error;
use std::fs;
use std::path::Path;

/// How far pointers are followed; chosen in `docs/object.md`.
const DISTANCE: Distance = Distance(1);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [version, vmlinux, config, folder] = words.as_slice() else {
        return Err("usage: minimise VERSION VMLINUX CONFIG FOLDER".into());
    };
    let whole = KernelTypes::from_bytes(version, &fs::read(vmlinux)?)?;
    let [major, minor, patch] = whole.configuration().version;
    let name = format!("{major}.{minor}");
    let folder = Path::new(folder);
    let small = minimise(whole.btf(), DISTANCE).to_bytes();
    fs::write(folder.join(format!("{name}.btf")), &small)?;
    // The file may be that of a kernel nearby, where none of its own was published.
    let mut configuration = Configuration::parse(&fs::read_to_string(config)?);
    configuration.version = [major, minor, patch];
    fs::write(folder.join(format!("{name}.config")), configuration.to_text())?;
    Ok(())
}
