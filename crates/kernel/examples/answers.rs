// SPDX-License-Identifier: GPL-2.0-or-later
//! Tells what the running kernel says to objects: `answers FOLDER` loads each `*.bpf.o` there, as it
//! is, without a user half.
//!
//! For each object it prints `object NAME VERDICT`, then `program NAME INSTRUCTIONS` for each
//! program as libbpf relocated it, in hexadecimal, and then, indented, what libbpf said. The verdict
//! is `loads`, `verifier` if only the verifier objects, or `refused`. It needs the right to load BPF
//! programs, so the tests in the virtual machine run it.
#![expect(unsafe_code, reason = "libbpf-rs has no call that relocates without loading")]

use libbpf_rs::{AsRawLibbpf, ObjectBuilder, OpenObject, PrintLevel, set_print};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What libbpf printed since the last look.
static PRINTED: Mutex<String> = Mutex::new(String::new());

/// How libbpf starts the verifier's log; one without a line in it is none.
const LOG: &str = "-- BEGIN PROG LOAD LOG --\n";
const NO_LOG: &str = "-- BEGIN PROG LOAD LOG --\n-- END";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: answers FOLDER")?;
    set_print(Some((PrintLevel::Warn, |_, text| {
        PRINTED.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
    })));
    let entries = fs::read_dir(&folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut objects: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    objects.sort();
    let mut out = std::io::stdout();
    for path in objects {
        out.write_all(answer(&path)?.as_bytes())?;
    }
    Ok(())
}

/// All that is to be told about an object.
fn answer(path: &Path) -> Result<String, Box<dyn Error>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".bpf.o").unwrap_or(&name);
    let mut programs = String::new();
    let loaded = match ObjectBuilder::default().open_memory(&fs::read(path)?) {
        Ok(open) => load(&open, &mut programs),
        Err(_) => false,
    };
    let printed = std::mem::take(&mut *PRINTED.lock().unwrap_or_else(PoisonError::into_inner));
    let by_verifier = printed.contains(LOG) && !printed.contains(NO_LOG);
    let verdict = match (loaded, by_verifier) {
        (true, _) => "loads",
        (false, true) => "verifier",
        (false, false) => "refused",
    };
    let mut text = format!("object {name} {verdict}\n{programs}");
    for line in printed.lines() {
        writeln!(text, "  {line}")?;
    }
    Ok(text)
}

/// Relocates, notes the instructions, and loads.
fn load(open: &OpenObject, programs: &mut String) -> bool {
    let object = open.as_libbpf_object().as_ptr();
    // SAFETY: the object is open and not yet loaded, and outlives the call.
    if unsafe { libbpf_sys::bpf_object__prepare(object) } != 0 {
        return false;
    }
    for program in open.progs().filter(libbpf_rs::OpenProgramImpl::autoload) {
        programs.push_str("program ");
        programs.push_str(&program.name().to_string_lossy());
        programs.push(' ');
        for insn in program.insns() {
            let registers = insn.dst_reg() | insn.src_reg() << 4;
            // Writing to a string cannot fail.
            let _ = write!(
                programs,
                "{:02x}{registers:02x}{:04x}{:08x}",
                insn.code,
                insn.off.cast_unsigned(),
                insn.imm.cast_unsigned()
            );
        }
        programs.push('\n');
    }
    // SAFETY: the object has not been loaded yet, and outlives the call. Afterwards it is only closed.
    unsafe { libbpf_sys::bpf_object__load(object) == 0 }
}
