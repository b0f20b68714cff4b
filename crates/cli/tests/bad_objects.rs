// SPDX-License-Identifier: GPL-2.0-or-later
//! Files that are no usable objects: each command that takes an object says in one line what is
//! wrong with which file, and ends with exit code 2.

use object::{Object as _, ObjectSection};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The commands that take an object. None gets as far as asking a kernel.
const COMMANDS: [&str; 3] = ["object", "run", "verify"];

const WHOLE: &[u8] = rota_programs::simple::OBJECT;

fn rota(command: &str, file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rota")).arg(command).arg(file).output().unwrap()
}

/// Runs a command that has to refuse a file; its one line.
fn refused(command: &str, file: &Path) -> String {
    let output = rota(command, file);
    let line = String::from_utf8(output.stderr).unwrap();
    let what = format!("rota {command} {}: {:?}\n{line}", file.display(), output.status);
    assert_eq!(output.status.code(), Some(2), "{what}");
    assert!(output.stdout.is_empty(), "{what}");
    assert_eq!(line.lines().count(), 1, "{what}");
    let place = format!("rota: {}: ", file.display());
    assert!(line.starts_with(&place), "{what}");
    line
}

/// A file with these bytes, in a folder of the test's own.
fn file(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("bad.bpf.o");
    fs::write(&path, bytes).unwrap();
    path
}

/// Where a section starts in the file.
fn section(name: &str) -> usize {
    let file = object::File::parse(WHOLE).unwrap();
    file.section_by_name(name).unwrap().file_range().unwrap().0 as usize
}

/// The object with bytes written over it.
fn with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = WHOLE.to_vec();
    for (at, new) in changes {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

/// The object with another name for a section, which is as long.
fn renamed(from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = WHOLE.windows(from.len()).rposition(|w| w == from).unwrap();
    with(&[(at, to)])
}

#[test]
fn each_kind_of_damage_has_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let program = fs::read(env!("CARGO_BIN_EXE_rota")).unwrap();
    let (btf, ext) = (section(".BTF"), section(".BTF.ext"));
    let cases: [(&str, Vec<u8>, &str); 13] = [
        ("nothing", Vec::new(), "not a usable ELF object"),
        ("a text", b"int main(void) { return 0; }\n".to_vec(), "not a usable ELF object"),
        ("the magic alone", WHOLE[..4].to_vec(), "not a usable ELF object"),
        ("a header alone", WHOLE[..64].to_vec(), "not a usable ELF object"),
        ("half of it", WHOLE[..WHOLE.len() / 2].to_vec(), "not a usable ELF object"),
        ("a program of this machine", program, "not for BPF; compile it with clang -target bpf"),
        ("for another machine", with(&[(18, &[243, 0])]), "compiled for RISC-V, not for BPF"),
        ("big-endian", with(&[(5, &[2]), (18, &[0, 247])]), "big-endian object; compile it with"),
        ("32 bits", with(&[(4, &[1])]), "not a usable ELF object"),
        ("without types", renamed(b".BTF\0", b".BTG\0"), "no type information (.BTF); comp"),
        ("types that are none", with(&[(btf, b"none")]), "damaged type information: this is no"),
        ("big-endian types", with(&[(btf, &[0xeb, 0x9f])]), "type information is big-endian"),
        ("types cut short", with(&[(btf + 12, &[0xff; 4])]), "damaged type information: the type"),
    ];
    for (name, bytes, words) in cases {
        let file = file(&folder, &bytes);
        for command in COMMANDS {
            let line = refused(command, &file);
            assert!(line.contains(words), "{name}, rota {command}: {line}");
        }
    }
    // What only tells lines and relocations matters to who looks for them.
    let line = refused("object", &file(&folder, &with(&[(ext, b"none")])));
    assert!(line.contains("damaged information on instructions (.BTF.ext)"), "{line}");
}

#[test]
fn cut_short_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    for len in (0..WHOLE.len()).step_by(WHOLE.len() / 20) {
        refused("object", &file(&folder, &WHOLE[..len]));
    }
}

/// Whatever stands in a byte, the command ends by itself: it shows the object, or refuses it.
#[test]
fn a_byte_changed_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    for at in (0..WHOLE.len()).step_by(WHOLE.len() / 60) {
        let output = rota("object", &file(&folder, &with(&[(at, &[WHOLE[at] ^ 0xff])])));
        let told = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 2)), "byte {at}: {:?}\n{told}", output.status);
        assert_eq!(told.lines().count(), usize::from(code == Some(2)), "byte {at}: {told}");
    }
}

#[test]
fn what_is_no_scheduler_is_no_scheduler_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, rota_programs::test::DOORS);
    assert!(refused("run", &file).contains("struct_ops"), "{}", refused("run", &file));
    assert_eq!(rota("object", &file).status.code(), Some(0), "it can be looked at");
}

#[test]
fn what_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.bpf.o");
    for command in COMMANDS {
        assert!(refused(command, &missing).contains("No such file"));
        assert!(refused(command, folder.path()).contains("not a file"));
    }
}
