// SPDX-License-Identifier: GPL-2.0-or-later
//! The example schedulers of the kernel tree, compiled for this run of the tests and nowhere kept.

use libtest_mimic::Failed;
use rota_vmtest::{Cache, Kernel, Pins, bpftool, example_schedulers};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::OnceLock;

/// Name and bytes of an object.
pub(crate) type Compiled = (String, Vec<u8>);

/// Every object of `tools/sched_ext`.
pub(crate) fn objects(cache: &Cache) -> Result<&'static [Compiled], Failed> {
    static COMPILED: OnceLock<Result<Vec<Compiled>, String>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| compile(cache).map_err(|e| e.to_string()));
    compiled.as_deref().map_err(|e| format!("tools/sched_ext: {e}").into())
}

type Made<T> = Result<T, Box<dyn std::error::Error>>;

/// Compiles and links as the folder's own makefile does.
fn compile(cache: &Cache) -> Made<Vec<Compiled>> {
    let source = example_schedulers(cache, &mut |_| ())?;
    let bpftool = bpftool(cache, &mut |_| ())?;
    let folder = tempfile::tempdir()?;
    types(cache, &bpftool, &folder.path().join("vmlinux.h"))?;
    let mut running = Vec::new();
    for entry in fs::read_dir(&source.schedulers)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = name.strip_suffix(".bpf.c").map(str::to_owned) else { continue };
        let object = folder.path().join(&name);
        let mut clang = Command::new(clang());
        clang.args(["-g", "-O2", "-mcpu=v3", "-target", "bpf", "-mlittle-endian"]);
        clang.args(["-D__TARGET_ARCH_x86", "-fms-extensions", "-Wno-microsoft-anon-tag"]);
        clang.arg("-I").arg(folder.path());
        source.includes.iter().for_each(|include| _ = clang.arg("-I").arg(include));
        running.push((name, clang.arg("-c").arg(&file).arg("-o").arg(&object).spawn()?, object));
    }
    let mut compiled = Vec::new();
    for (name, mut child, object) in running {
        succeed(&name, &mut child)?;
        let linked = folder.path().join(format!("{name}.linked"));
        let mut link = Command::new(&bpftool);
        link.args(["gen", "object"]).arg(&linked).arg(object);
        succeed(&name, &mut link.spawn()?)?;
        compiled.push((name, fs::read(linked)?));
    }
    compiled.sort();
    Ok(compiled)
}

/// Writes the types of the newest kernel as C, as these schedulers include them.
fn types(cache: &Cache, bpftool: &Path, header: &Path) -> Made<()> {
    let newest = Pins::embedded();
    let kernel = Kernel::pinned(newest.newest(), cache, &mut |_| ())?;
    let mut dump = Command::new(bpftool);
    dump.args(["btf", "dump", "file"]).arg(&kernel.image).args(["format", "c"]);
    succeed("bpftool", &mut dump.stdout(File::create(header)?).spawn()?)
}

fn succeed(what: &str, child: &mut Child) -> Made<()> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}").into()) }
}

/// The compiler that Rota's own objects are made with.
fn clang() -> String {
    std::env::var("ROTA_CLANG").unwrap_or_else(|_| {
        let there = Command::new("clang-19").arg("--version").output().is_ok();
        if there { "clang-19" } else { "clang" }.to_owned()
    })
}
