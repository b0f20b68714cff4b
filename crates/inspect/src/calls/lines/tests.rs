// SPDX-License-Identifier: GPL-2.0-or-later
//! Lines of a program that is compiled here, as if it were a kernel that was moved.

use super::dwarf::{ANCHOR, Dwarf};
use object::{Object as _, ObjectSymbol as _};
use std::path::Path;
use std::process::Command;
use std::{fs, io};

/// Line 3 is within a function that is inlined in line 6.
const SOURCE: &str = "int seen;
static inline __attribute__((always_inline)) void within(int a)
{ seen += a * 3; __asm__ volatile (\"\" ::: \"memory\"); }
void _stext(void) {}
__attribute__((noinline)) void around(int a)
{ within(a); }
void other(void)
{
    seen = 1;
}
";
/// Where the running kernel has its first function.
const START: u64 = 0xffff_ffff_9a20_0000;

fn compile(folder: &Path, options: &[&str]) -> io::Result<()> {
    fs::create_dir_all(folder.join("lib"))?;
    fs::write(folder.join("lib/a.c"), SOURCE)?;
    let mut cc = Command::new("cc");
    cc.args("-g -O1 -nostdlib -static -no-pie -Wl,-e,_stext -Wl,--build-id=0x0102".split(' '));
    cc.args(options).args(["-o", "vmlinux", "lib/a.c"]).current_dir(folder);
    let output = cc.output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn lines_of_functions_and_of_what_is_inlined_in_them() {
    for (options, packed) in
        [(&[][..], "none"), (&[], "zlib"), (&[], "zstd"), (&["-gdwarf-4"], "none")]
    {
        let folder = tempfile::tempdir().unwrap();
        compile(folder.path(), options).unwrap();
        let mut pack = Command::new("objcopy");
        pack.arg(format!("--compress-debug-sections={packed}")).arg("vmlinux");
        assert!(pack.current_dir(folder.path()).status().unwrap().success());
        let path = folder.path().join("vmlinux");
        let bytes = fs::read(&path).unwrap();
        let elf = object::File::parse(&*bytes).unwrap();
        let symbol = |name| {
            let symbol = elf.symbols().find(|it| it.name() == Ok(name)).unwrap();
            (symbol.address(), symbol.size())
        };
        let moved = START - symbol(ANCHOR).0;
        let dwarf = Dwarf::read(&path, Some(&[1, 2]), START).unwrap();
        let (around, size) = symbol("around");
        let text = |address| {
            let places = dwarf.find(address).into_iter();
            places
                .map(|it| format!("{it} {}", it.inlined.as_deref().unwrap_or("")))
                .collect::<Vec<_>>()
        };
        let (other, _) = symbol("other");
        // Its brace, or what comes first within, as the compiler has it.
        let begins = text(other + moved);
        assert!(
            begins == ["lib/a.c:8 "] || begins == ["lib/a.c:9 "],
            "{options:?} {packed} {begins:?}"
        );
        let all: Vec<_> = (around..around + size).map(|at| text(at + moved)).collect();
        let nested = ["lib/a.c:6 ", "lib/a.c:3 within"];
        assert!(all.iter().any(|places| *places == nested), "{options:?} {packed} {all:?}");
        assert!(all.iter().all(|places| places.len() == 1 || *places == nested), "{all:?}");
        for address in [0, 1, u64::MAX, START - 4096, START + (1 << 20)] {
            assert!(dwarf.find(address).is_empty(), "{address:#x}");
        }
    }
}

#[test]
fn a_file_that_does_not_serve_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vmlinux");
    let refused = |id: &[u8]| Dwarf::read(&path, Some(id), START).unwrap_err();
    assert!(refused(&[1, 2]).contains("No such file"));
    compile(folder.path(), &[]).unwrap();
    assert_eq!(refused(&[1, 3]), "it is of another kernel than the one that runs");
    compile(folder.path(), &["-g0"]).unwrap();
    assert_eq!(refused(&[1, 2]), "it has no DWARF");
    // Whatever a damaged file tells, nothing panics.
    compile(folder.path(), &["-gz=zlib"]).unwrap();
    let whole = fs::read(&path).unwrap();
    for cut in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..cut]).unwrap();
        let _ = Dwarf::read(&path, None, START).map(|it| it.find(START));
    }
    let mut dice = 1_u64;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..8 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (dice >> 20) as usize % bytes.len();
            bytes[place] = (dice >> 56) as u8;
        }
        fs::write(&path, &bytes).unwrap();
        let found = Dwarf::read(&path, None, START);
        let _ = found.map(|it| (0..64).map(|at| it.find(START + at).len()).sum::<usize>());
    }
}
