// SPDX-License-Identifier: GPL-2.0-or-later
//! How fast both executions are, compared with the same C as the host's own code.
//!
//! Every number is a ratio, or a median, of one run; clang makes both codes on the spot.
#![expect(clippy::print_stdout, reason = "it measures and tells")]
#![expect(clippy::disallowed_methods, reason = "it reads what clang wrote")]
#![allow(unsafe_code)]

mod linking;

use object::{Object, ObjectSection, ObjectSymbol};
use rota_bytecode::{
    Callee, Code, Driver, Execution, Instance, Memory, Mode, Protection, Spot, Start, Step,
};
use rota_object::{Function, FunctionId, Insn, Operand};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const NODES: u64 = 512;
const NODE_BYTES: u64 = 32;
const REPEATS: usize = 9;

fn clang(args: &[&str], out: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/speed/speed.c");
    let done = Command::new("clang-19").args(args).arg(source).arg("-o").arg(out).status().unwrap();
    assert!(done.success(), "clang failed");
}

/// The functions of an object without data, by address; calls among them linked.
fn functions(path: &Path) -> Vec<Function> {
    let bytes = std::fs::read(path).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let text = file.section_by_name(".text").unwrap();
    let insns: Vec<Insn> = (text.data().unwrap().chunks_exact(8))
        .map(|insn| Insn::decode(insn.try_into().unwrap()))
        .collect();
    let symbols: BTreeMap<u64, (&str, u64)> = (file.symbols())
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| (symbol.address() / 8, (symbol.name().unwrap(), symbol.size() / 8)))
        .collect();
    let numbers: BTreeMap<u64, u32> = symbols.keys().copied().zip(0..).collect();
    let mut all = Vec::new();
    // Calls within the section need no relocation: they say how far it is.
    assert_eq!(text.relocations().count(), 0);
    for (start, (name, size)) in &symbols {
        let insns = insns[*start as usize..(start + size) as usize].to_vec();
        let mut operands = BTreeMap::new();
        for (i, insn) in (0..).zip(&insns) {
            if insn.code == 0x85 && insn.src == 1 {
                let target = (start + i + 1).wrapping_add_signed(i64::from(insn.imm));
                operands.insert(i as u32, Operand::Function(FunctionId(numbers[&target])));
            }
        }
        all.push(Function { name: (*name).to_owned(), insns, operands, ..Function::default() });
    }
    all
}

/// The host's own code.
struct Native(*mut libc::c_void);

type Call = extern "C" fn(u64, u64) -> u64;

impl Native {
    fn function(&self, name: &str) -> Call {
        let name = CString::new(name).unwrap();
        // SAFETY: the library stays open; its functions have this signature.
        unsafe {
            let at = libc::dlsym(self.0, name.as_ptr());
            assert!(!at.is_null());
            std::mem::transmute::<*mut libc::c_void, Call>(at)
        }
    }
}

/// What a benchmark needs to execute BPF.
struct Bpf {
    instance: Rc<Instance>,
    names: Vec<String>,
    memory: Rc<Memory>,
    stack: u64,
    data: u64,
}

impl Bpf {
    fn new(functions: &[Function]) -> Self {
        let code = Code::new(functions).unwrap();
        code.compile().unwrap();
        let memory = Rc::new(Memory::new().unwrap());
        let stack = memory.alloc(4096, 1, Protection::ReadWrite).unwrap();
        let data = memory.alloc(NODES * NODE_BYTES, 1, Protection::ReadWrite).unwrap();
        let instance = Instance::new(Arc::new(code), Rc::clone(&memory), vec![], 0).unwrap();
        let names = functions.iter().map(|function| function.name.clone()).collect();
        Self { instance: Rc::new(instance), names, memory, stack, data }
    }

    fn start(&self, mode: Mode, name: &str, a: u64, b: u64) -> Execution {
        Execution::start(mode, &self.instance, &self.start_of(name, a, b)).unwrap()
    }

    fn start_of(&self, name: &str, a: u64, b: u64) -> Start {
        let function = self.names.iter().position(|known| known == name).unwrap();
        Start {
            function: FunctionId(function as u32),
            args: [a, b, 0, 0, 0],
            stack: self.stack..self.stack + 4096,
            budget: u64::MAX,
        }
    }

    fn call(&self, mode: Mode, name: &str, a: u64, b: u64) -> (u64, u64) {
        match self.start(mode, name, a, b).resume(0) {
            Step::Return { value, insns } => (value, insns),
            step => panic!("{step:?}"),
        }
    }

    /// The nodes of a list, or whatever else is compared, afresh.
    fn fill(&self, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.memory.write(self.data, &bytes).unwrap();
    }
}

/// A list of nodes that lies at `base`, each pointing some way on.
fn list(base: u64) -> Vec<u64> {
    let mut words = Vec::new();
    for i in 0..NODES {
        let next = (i + 7) % NODES;
        let next = if next == 0 { 0 } else { base + next * NODE_BYTES };
        words.extend([next, i * 1_000_003 % 977, 0, 4 << 32]);
    }
    words
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// How much CPU time of this thread it takes: others may use the machine, too.
fn time<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let start = now();
    let result = run();
    (now() - start, result)
}

fn compare(native: &Native, bpf: &Bpf, name: &str, pointer: bool, rounds: u64) {
    let function = native.function(name);
    let mut times: [Vec<Duration>; 3] = Default::default();
    let mut insns = 0;
    for _ in 0..REPEATS {
        let mut host = vec![0_u64; (NODES * NODE_BYTES / 8) as usize];
        let base = host.as_mut_ptr() as u64;
        host.copy_from_slice(&list(base));
        let args = |base| if pointer { (base, rounds) } else { (rounds, 12345) };
        let (a, b) = args(base);
        let (took, expected) = time(|| function(a, b));
        times[0].push(took);
        for (i, mode) in [(1, Mode::Jit), (2, Mode::Interpreter)] {
            bpf.fill(&list(bpf.data));
            let (a, b) = args(bpf.data);
            let (took, (value, count)) = time(|| bpf.call(mode, name, a, b));
            // What it sums up are pointers, which differ.
            if name != "sweep" {
                assert_eq!(value, expected, "{name} {mode:?}");
            }
            times[i].push(took);
            insns = count;
        }
    }
    let [native, jit, interpreter] = times.map(median);
    println!(
        "{name:8} native 1.00 ({:.2} ns an instruction)  JIT {:.2}  interpreter {:.1}",
        native * 1e9 / insns as f64,
        jit / native,
        interpreter / native
    );
}

/// Answers everything at once.
struct One;

impl Driver for One {
    fn answer(&mut self, _: Callee, _: [u64; 5], _: Spot) -> Option<u64> {
        Some(1)
    }
}

/// What it costs to start, and to call the driver.
fn steps(bpf: &Bpf) {
    const CALLS: u64 = 200_000;
    for mode in [Mode::Jit, Mode::Interpreter] {
        let times = (0..REPEATS).map(|_| {
            let mut execution = bpf.start(mode, "caller", CALLS, 0);
            time(|| while let Step::Call { .. } = execution.resume(1) {}).0
        });
        let call = median(times.collect()) * 1e9 / CALLS as f64;
        let times = (0..REPEATS).map(|_| {
            let mut execution = bpf.start(mode, "caller", CALLS, 0);
            time(|| execution.resume_with(0, &mut One)).0
        });
        let quick = median(times.collect()) * 1e9 / CALLS as f64;
        let times = (0..REPEATS).map(|_| {
            let mut execution = bpf.start(mode, "leaf", 1, 2);
            let start = bpf.start_of("leaf", 1, 2);
            time(|| {
                (0..1000).for_each(|_| {
                    execution.restart(&start).unwrap();
                    execution.resume_with(0, &mut One);
                });
            })
            .0
        });
        let start = median(times.collect()) * 1e9 / 1000.0;
        println!(
            "{mode:?}: {quick:.0} ns a call that is answered at once, {call:.0} ns one that is a \
             step, {start:.0} ns to start again and run"
        );
    }
}

/// A loop that calls a helper, and a function that returns at once.
fn callers() -> [Function; 2] {
    let insn = |code, dst, src, off, imm| Insn { code, dst, src, off, imm };
    let caller = vec![
        insn(0xbf, 6, 1, 0, 0),
        insn(0x85, 0, 0, 0, 5),
        insn(0x07, 6, 0, 0, -1),
        insn(0x55, 6, 0, -3, 0),
        insn(0x95, 0, 0, 0, 0),
    ];
    let leaf = vec![insn(0xbf, 0, 1, 0, 0), insn(0x95, 0, 0, 0, 0)];
    [("caller", caller), ("leaf", leaf)].map(|(name, insns)| Function {
        name: name.to_owned(),
        insns,
        ..Function::default()
    })
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (native, bpf) = (folder.path().join("native.so"), folder.path().join("bpf.o"));
    clang(&["-O2", "-shared", "-fPIC", "-fno-semantic-interposition"], &native);
    clang(&["-O2", "-target", "bpf", "-mcpu=v3", "-c"], &bpf);
    let mut functions = functions(&bpf);
    let library = CString::new(native.to_str().unwrap()).unwrap();
    // SAFETY: a library of this benchmark's own C, which does nothing when it is opened.
    let native = Native(unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW) });
    assert!(!native.0.is_null());
    linking::linking(folder.path(), 20_000);
    functions.extend(callers());
    let bpf = Bpf::new(&functions);
    compare(&native, &bpf, "compute", false, 300_000);
    compare(&native, &bpf, "mix", false, 500_000);
    compare(&native, &bpf, "walk", true, 2_000);
    compare(&native, &bpf, "sweep", true, 1_000_000);
    steps(&bpf);
}
