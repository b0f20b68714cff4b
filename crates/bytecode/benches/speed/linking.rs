// SPDX-License-Identifier: GPL-2.0-or-later
//! How long it takes to link and to compile an object as big as a large scheduler.

use crate::{median, time};
use rota_bytecode::Code;
use rota_object::{KernelTypes, Object};
use std::path::Path;
use std::process::Command;

const REPEATS: usize = 5;
/// The newest supported kernel.
const KERNEL: &str = "7.3";

/// An object of `copies` functions, and a program that calls them all.
fn object(folder: &Path, copies: usize) -> Vec<u8> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (source, out) = (folder.join("all.bpf.c"), folder.join("all.bpf.o"));
    let include = crate_folder.join("benches/speed/scheduler.bpf.c");
    let policies: String = (1..=copies).map(|n| format!("POLICY({n})\n")).collect();
    let calls: String = (1..=copies).map(|n| format!("sum += policy_{n}(p, sum);\n")).collect();
    let text = format!(
        "#include \"{}\"\n{policies}\n\
         SEC(\"syscall\") int all(struct task_struct *p)\n\
         {{\nu64 sum = 0;\n{calls}return sum;\n}}\n",
        include.display()
    );
    std::fs::write(&source, text).unwrap();
    let done = Command::new("clang-19")
        .args(["-target", "bpf", "-O2", "-g", "-mcpu=v3", "-I"])
        .arg(crate_folder.join("../../bpf/include"))
        .arg("-c")
        .arg(&source)
        .arg("-o")
        .arg(&out)
        .status()
        .unwrap();
    assert!(done.success(), "clang failed");
    std::fs::read(&out).unwrap()
}

/// Links and compiles an object of `insns` instructions, several times.
pub(crate) fn linking(folder: &Path, insns: usize) {
    let types = KernelTypes::builtin(KERNEL).unwrap();
    let size = |bytes: &[u8]| -> usize {
        let image = Object::parse(bytes).unwrap().link(&types).unwrap();
        image.functions.iter().map(|function| function.insns.len()).sum()
    };
    let few = size(&object(folder, 10));
    let bytes = object(folder, insns.div_ceil(few / 10));
    let mut times: [Vec<_>; 3] = Default::default();
    for _ in 0..REPEATS {
        let (parse, object) = time(|| Object::parse(&bytes).unwrap());
        let (link, image) = time(|| object.link(&types).unwrap());
        let (compile, _) = time(|| {
            let code = Code::new(&image.functions).unwrap();
            code.compile().unwrap();
            code
        });
        for (times, took) in times.iter_mut().zip([parse, link, compile]) {
            times.push(took);
        }
    }
    let [parse, link, compile] = times.map(|times| median(times) * 1e3);
    println!(
        "object   {} instructions: {:.0} ms = parse {parse:.1} + link {link:.1} + compile {compile:.1}",
        size(&bytes),
        parse + link + compile
    );
}
