// SPDX-License-Identifier: GPL-2.0-or-later
//! Compiles every scheduler, every recorder and every test object with clang, and writes the Rust
//! source that holds them as bytes, with the structures that they share with Rust.

mod clang;
mod generate;

use crate::clang::InsnSet;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let bpf = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../bpf").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for file in files_below(&bpf)? {
        tell("rerun-if-changed", file.display())?;
    }
    tell("rerun-if-changed", bpf.join("sched").display())?;
    tell("rerun-if-changed", bpf.join("test").display())?;
    tell("rerun-if-changed", bpf.join("trace").display())?;
    tell("rerun-if-env-changed", clang::VARIABLE)?;

    let compiler = clang::find()?;
    let mut source = String::new();
    let mut names = Vec::new();
    for file in sources(&bpf.join("sched"))? {
        let unit = Unit::new(&file)?;
        let object = compiler.compile(&bpf, &file, &out, InsnSet::V3)?;
        source += &generate::scheduler(&unit.name, &object)?;
        names.push(unit.name);
    }
    source += &generate::list(&names);
    let mut recorders = String::new();
    for file in sources(&bpf.join("trace"))? {
        let name = Unit::new(&file)?.name;
        let object = compiler.compile(&bpf, &file, &out, InsnSet::V3)?;
        recorders += &generate::bytes(&name.to_uppercase(), &object);
    }
    source += &generate::trace_module(&recorders);
    let mut tests = String::new();
    let (mut all, mut cases) = (Vec::new(), Vec::new());
    for file in sources(&bpf.join("test"))? {
        let name = Unit::new(&file)?.name;
        let is_case = file.parent().is_some_and(|folder| folder.ends_with("case"));
        let set = if is_case { InsnSet::V4 } else { InsnSet::V3 };
        let object = compiler.compile(&bpf, &file, &out, set)?;
        tests += &generate::bytes(&name.to_uppercase(), &object);
        if is_case {
            cases.push(name.clone());
        }
        all.push(name);
    }
    source += &generate::test_module(&tests, &all, &cases);
    fs::write(out.join("objects.rs"), source)?;
    Ok(())
}

/// Tells cargo something.
fn tell(key: &str, value: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "cargo::{key}={value}")
}

/// A translation unit: `simple.bpf.c` is called `simple`.
struct Unit {
    name: String,
}

impl Unit {
    fn new(file: &Path) -> Result<Self, Box<dyn Error>> {
        let name = file.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".bpf.c"));
        let name = name.ok_or_else(|| format!("{} has no usable name", file.display()))?;
        Ok(Self { name: name.to_owned() })
    }
}

/// The translation units below a folder, in the order of their names.
fn sources(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut units = files_below(dir)?;
    units.retain(|f| f.to_string_lossy().ends_with(".bpf.c"));
    Ok(units)
}

fn files_below(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
