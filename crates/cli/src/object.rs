// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota object`.

use crate::choice;
use crate::exit::Exit;
use crate::output::{self, Format};
use anyhow::{Context, Result, bail};
use rota_inspect::object as inspect;
use rota_object::{KernelTypes, Object};
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `rota object`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota object simple                       the scheduler that Rota brings along\n  \
    rota object scx_mine.bpf.o --kernel 7.0  what Linux 7.0 says to it\n  \
    rota object scx_mine.bpf.o --btf /sys/kernel/btf/vmlinux")]
pub(crate) struct Args {
    /// A scheduler, or a compiled object
    #[arg(value_name = "SCHED|FILE.bpf.o")]
    object: String,
    /// Only this kernel: 6.16, 6.18, 7.0 or 7.3; without it, all of them
    #[arg(long, value_name = "VERSION")]
    kernel: Vec<String>,
    /// A kernel's types: /sys/kernel/btf/vmlinux, a copy of it, or a vmlinux
    #[arg(long, value_name = "FILE")]
    btf: Vec<PathBuf>,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// The largest file of types that is read: an unpacked kernel with everything is some 800 MB.
const TYPES_BYTES_MAX: u64 = 2 << 30;

/// Shows what an object is and which kernels it fits.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let (name, bytes) = choice::bytes(&args.object)?;
    let object = Object::parse(&bytes).with_context(|| args.object.clone())?;
    let found = inspect::describe(&name, &object, &kernels(args)?);
    let found = found.with_context(|| args.object.clone())?;
    match args.format {
        Format::Table => output::text(&inspect::table(&found))?,
        Format::Json => output::text(&inspect::to_json(&found))?,
    }
    Ok(Exit::Done)
}

/// The kernels asked for.
fn kernels(args: &Args) -> Result<Vec<KernelTypes>> {
    let mut kernels = Vec::new();
    let all = args.kernel.is_empty() && args.btf.is_empty();
    let every = KernelTypes::builtin_names().map(str::to_owned);
    for name in if all { every.as_slice() } else { &args.kernel } {
        kernels.push(KernelTypes::builtin(name)?);
    }
    for file in &args.btf {
        kernels.push(types_from_file(file).with_context(|| file.display().to_string())?);
    }
    Ok(kernels)
}

/// The types of a kernel in a file.
pub(crate) fn types_from_file(file: &Path) -> Result<KernelTypes> {
    let about = fs::metadata(file)?;
    if !about.is_file() || about.len() > TYPES_BYTES_MAX {
        bail!("not a file with the types of a kernel");
    }
    Ok(KernelTypes::from_bytes(&file.display().to_string(), &fs::read(file)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message that a command line ends with.
    fn message(object: &str, kernel: &[&str], btf: &[&Path]) -> String {
        let args = Args {
            object: object.to_owned(),
            kernel: kernel.iter().map(ToString::to_string).collect(),
            btf: btf.iter().map(|file| file.to_path_buf()).collect(),
            format: Format::Json,
        };
        format!("{:#}", run(&args).unwrap_err())
    }

    #[test]
    fn bad_input_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.bpf.o");
        fs::write(&file, b"\x7fELF").unwrap();
        let name = file.to_str().unwrap();
        for (found, words) in [
            (message("simpel", &[], &[]), "did you mean simple?"),
            (message("missing.bpf.o", &[], &[]), "missing.bpf.o: No such file"),
            (message(name, &[], &[]), "not a usable ELF object"),
            (message("simple", &["6.1"], &[]), "there are those of 6.16, 6.18, 7.0, 7.3"),
            (message("simple", &[], &[&file]), "not a usable ELF file"),
            (message("simple", &[], &[dir.path()]), "not a file with the types of a kernel"),
        ] {
            assert!(found.contains(words) && !found.contains('\n'), "{found}");
        }
        fs::write(&file, b"no types").unwrap();
        let found = message("simple", &[], &[&file]);
        assert!(found.contains("this is no BTF"), "{found}");
    }
}
