// SPDX-License-Identifier: GPL-2.0-or-later
//! Programs that do what they must not: each traps at its line, and harms nobody.

use crate::asm::*;
use crate::machine::{ARENA, BYTES, MODES, Machine, compile, drive, observe, run};
use rota_bytecode::{Execution, Fault, KERNEL, KERNEL_BYTES, NULL_BYTES, Step, TrapKind};
use rota_object::{Function, Insn};
use std::process::Command;

/// A function that makes one access after having got its pointer.
fn with_pointer(pointer: u64, insn: Insn) -> Function {
    let [a, b] = wide(6, pointer);
    function("main", &[mov_imm(0, 0), a, b, insn, exit()])
}

/// Checks that an access by r6 traps in instruction 3, and says what it says.
fn traps(pointer: u64, insn: Insn, fault: Fault) {
    let observed = run(&[with_pointer(pointer, insn)]);
    let trap = observed.trap();
    assert_eq!(trap.kind, TrapKind::Memory(fault), "{pointer:#x}");
    let line = trap.place.line.as_ref().unwrap();
    assert_eq!((trap.place.insn, line.line, trap.insns), (3, 4, 3));
    assert_eq!(observed.memory, Machine::new().contents(), "nothing was written");
}

fn load_fault(pointer: u64, size: u64) -> Fault {
    Fault { pointer, size, write: false }
}

fn store_fault(pointer: u64, size: u64) -> Fault {
    Fault { pointer, size, write: true }
}

#[test]
fn wild_pointers() {
    // The lower half says the place; the upper half says nothing.
    for (pointer, seen) in [
        (0x8_0000_0000, 0),
        (0x2000_0000, 0x2000_0000),
        (0xdead_beee_2000_0000, 0x2000_0000),
        (0xffff_8881_9000_0000, 0xffff_8881_9000_0000),
        (0x1234_5679_9000_0000, 0xffff_8881_9000_0000),
        (0x9000_0000, 0xffff_8881_9000_0000),
        // An error pointer, and the host's own kind of pointer.
        (-12_i64 as u64, 0xffff_fff4),
        (0x7fff_ffff_e000, 0xffff_e000),
    ] {
        traps(pointer, store(DW, 6, 0, 6), store_fault(seen, 8));
        traps(pointer, store_imm(B, 6, 0, 1), store_fault(seen, 1));
        traps(pointer, atomic(W, 0, 6, 0, 1), store_fault(seen, 4));
        if seen != 0 {
            traps(pointer, load(W, 0, 6, 0), load_fault(seen, 4));
            traps(pointer, load_signed(H, 0, 6, 0), load_fault(seen, 2));
        }
    }
}

#[test]
fn null_reads_zero_and_cannot_be_written() {
    for off in [0, 8, 4095, 32760] {
        assert_eq!(run(&[with_pointer(0, load(DW, 0, 6, off))]).value(), 0);
        traps(0, store_imm(W, 6, off, 0), store_fault(off as u64, 4));
    }
    assert_eq!(run(&[with_pointer(NULL_BYTES - 8, load(DW, 0, 6, 0))]).value(), 0);
    traps(NULL_BYTES, load(B, 0, 6, 0), load_fault(NULL_BYTES, 1));
    traps(NULL_BYTES - 4, load(DW, 0, 6, 0), load_fault(NULL_BYTES, 8));
    traps(0, load(DW, 0, 6, -8), load_fault(-8_i64 as u64, 8));
}

#[test]
fn the_ends_of_the_window() {
    let top = 0xffff_ffff;
    traps(top, load(B, 0, 6, 0), load_fault(top, 1));
    traps(top, load(DW, 0, 6, 0), load_fault(top, 8));
    traps(top, store(DW, 6, i16::MAX, 6), store_fault(top + 0x7fff, 8));
    traps(0, store(W, 6, i16::MIN, 6), store_fault(-0x8000_i64 as u64, 4));
    // From the arena's part into the kernel's, and back.
    traps(0x7fff_ffff, load(DW, 0, 6, 0x7000), load_fault(KERNEL + 0x6fff, 8));
    traps(KERNEL, store(W, 6, -0x7000, 6), store_fault(0x7fff_9000, 4));
    let end = KERNEL + KERNEL_BYTES;
    traps(end - 1, load(B, 0, 6, 0), load_fault(end - 1, 1));
    traps(end, load(B, 0, 6, 0), load_fault(0xf000_0000, 1));
}

#[test]
fn off_the_end() {
    let machine = Machine::new();
    let end = machine.data + BYTES;
    assert_eq!(machine.constants, end + 4096, "the next region would come next");
    for off in [0, 100] {
        traps(end, load(B, 0, 6, off), load_fault(end + off as u64, 1));
    }
    // The first byte that is not there is the one that is named.
    traps(end - 3, load(DW, 0, 6, 0), load_fault(end, 8));
    traps(end - 3, store(DW, 6, 0, 6), store_fault(end, 8));
    traps(ARENA + BYTES - 1, store(W, 6, 0, 6), store_fault(ARENA + BYTES, 4));
    traps(machine.constants + 5, store(W, 6, 0, 6), store_fault(machine.constants + 5, 4));
    // The stack's region is a page; what lies beyond is not the stack's.
    let main =
        function("main", &[mov_imm(0, 0), mov(6, 10), add_imm(6, 4), store(DW, 6, 0, 0), exit()]);
    let fault = store_fault(machine.stack + 4096 + 4, 8);
    assert_eq!(run(&[main]).trap().kind, TrapKind::Memory(fault));
}

#[test]
fn freed_memory() {
    let main =
        function("main", &[mov(6, 1), load(DW, 7, 6, 8), helper(1), load(DW, 0, 6, 8), exit()]);
    let code = compile(&[main]);
    for mode in MODES {
        let machine = Machine::new();
        let start = machine.start([machine.data, 0, 0, 0, 0]);
        let mut execution = Execution::start(mode, &machine.instance(&code), &start).unwrap();
        assert!(matches!(execution.resume(0), Step::Call { .. }));
        machine.memory.free(machine.data).unwrap();
        let Step::Trap(trap) = execution.resume(0) else { panic!() };
        assert_eq!(trap.kind, TrapKind::Memory(load_fault(machine.data + 8, 8)));
        assert_eq!(trap.place.insn, 3);
    }
}

#[test]
fn misaligned_atomics() {
    let data = Machine::new().data;
    for (size, bytes) in [(H, 2_u64), (W, 4), (DW, 8)] {
        let cases = [
            atomic(size, LOAD_ACQUIRE, 0, 3, 6),
            atomic(size, STORE_RELEASE, 6, 3, 0),
            atomic(size, XCHG, 6, 3, 0),
            atomic(size, CMPXCHG, 6, 3, 0),
            atomic(size, 0, 6, 3, 0),
        ];
        for insn in cases.into_iter().take(if size == H { 2 } else { 5 }) {
            let observed = run(&[with_pointer(data, insn)]);
            let kind = TrapKind::Misaligned { pointer: data + 3, size: bytes };
            assert_eq!(observed.trap().kind, kind);
            assert_eq!((observed.trap().place.insn, observed.insns()), (3, 3));
        }
    }
}

#[test]
fn a_dead_load_traps_and_a_used_one_at_its_own_line() {
    let stale = KERNEL + 0x4000_0000;
    traps(stale, load(W, 6, 6, 0), load_fault(stale, 4));
    // The loaded value feeds an addition, a comparison, a pointer: each could swallow the load.
    let [a, b] = wide(6, stale);
    for user in [
        vec![alu(true, ADD, 0, 7)],
        vec![alu(true, AND, 7, 0), mov(0, 7)],
        vec![branch(true, JGT, 7, 0, 0)],
        vec![load(DW, 0, 7, 0)],
        vec![store(DW, 7, 0, 0)],
        vec![add_imm(7, 1), store(DW, 6, 0, 7)],
    ] {
        let mut insns = vec![mov_imm(0, 0), a, b, load(DW, 7, 6, 0), mov_imm(1, 1)];
        insns.extend(user);
        insns.push(exit());
        let observed = run(&[function("main", &insns)]);
        assert_eq!(observed.trap().kind, TrapKind::Memory(load_fault(stale, 8)));
        assert_eq!((observed.trap().place.insn, observed.insns()), (3, 3), "{insns:x?}");
    }
}

#[test]
fn stores_that_change_nothing_trap_all_the_same() {
    let constants = Machine::new().constants;
    let [a, b] = wide(6, constants);
    let insns = [a, b, load(DW, 0, 6, 0), store(DW, 6, 0, 0), exit()];
    let trap = run(&[function("main", &insns)]);
    assert_eq!(trap.trap().kind, TrapKind::Memory(store_fault(constants, 8)));
    // Overwritten at once: the first of them traps.
    let insns = [a, b, store_imm(DW, 6, 0, 1), store_imm(DW, 6, 0, 2), exit()];
    assert_eq!(run(&[function("main", &insns)]).trap().place.insn, 2);
}

#[test]
fn a_trap_is_the_end() {
    let code = compile(&[with_pointer(0, store_imm(B, 6, 0, 1))]);
    for mode in MODES {
        let machine = Machine::new();
        let start = machine.start([0; 5]);
        let mut execution = Execution::start(mode, &machine.instance(&code), &start).unwrap();
        let first = execution.resume(0);
        assert!(matches!(first, Step::Trap(_)));
        let Step::Trap(trap) = execution.resume(1) else { panic!() };
        assert_eq!(trap.kind, TrapKind::Internal("resumed after its end"));
        assert_eq!(execution.place().insn, 3);
    }
}

#[test]
fn other_machines_are_not_touched_and_the_process_goes_on() {
    // Every machine has the same pointers; each program writes to its own.
    let write = compile(&[function("main", &[store(DW, 1, 0, 2), mov_imm(0, 0), exit()])]);
    let trap = compile(&[function("main", &[store(DW, 1, 0, 2), store(DW, 0, 0, 0), exit()])]);
    for mode in MODES {
        let machines: Vec<Machine> = (0..4).map(|_| Machine::new()).collect();
        for (i, machine) in (0..).zip(&machines) {
            for code in [&trap, &write, &trap] {
                let start = machine.start([machine.data, 1000 + i, 0, 0, 0]);
                let mut execution =
                    Execution::start(mode, &machine.instance(code), &start).unwrap();
                drive(&mut execution);
            }
        }
        for (i, machine) in (0..).zip(&machines) {
            assert_eq!(machine.memory.read_u64(machine.data), Ok(1000 + i));
            let mut fresh = Machine::new().contents();
            fresh[..8].copy_from_slice(&(1000 + i).to_le_bytes());
            assert_eq!(machine.contents(), fresh);
        }
    }
}

#[test]
fn traps_on_many_threads() {
    let code = compile(&[with_pointer(KERNEL, store_imm(B, 6, 0, 1))]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let observed = observe(MODES[0], &code, &|machine| machine.start([0; 5]));
                    assert_eq!(observed.trap().kind, TrapKind::Memory(store_fault(KERNEL, 1)));
                }
            });
        }
    });
}

/// The environment variable that makes this test's process the one that dies.
const CHILD: &str = "ROTA_BYTECODE_CHILD";

/// A fault that is no program's still kills the process: also after executions, and while others
/// stand still.
#[test]
#[expect(clippy::disallowed_methods, reason = "a child process is told what it is")]
#[expect(unsafe_code, reason = "a fault of the process's own is what is tested")]
fn a_fault_of_the_process_itself_kills_it() {
    if let Ok(fault) = std::env::var(CHILD) {
        let code = compile(&[
            with_pointer(0, store_imm(B, 6, 0, 1)),
            function("other", &[helper(1), exit()]),
        ]);
        let machine = Machine::new();
        let instance = machine.instance(&code);
        let mut start = machine.start([0; 5]);
        drive(&mut Execution::start(MODES[0], &instance, &start).unwrap());
        start.function.0 = 1;
        let mut execution = Execution::start(MODES[0], &instance, &start).unwrap();
        execution.resume(0);
        // SAFETY: none; that is the point. The process ends here.
        unsafe {
            if fault == "store" {
                std::ptr::without_provenance_mut::<u8>(8).write_volatile(1);
            }
            std::arch::asm!("ud2");
        }
        return;
    }
    use std::os::unix::process::ExitStatusExt;
    let this = std::env::current_exe().unwrap();
    let name = "sandbox::a_fault_of_the_process_itself_kills_it";
    for (fault, signal) in [("store", 11), ("instruction", 4)] {
        let mut child = Command::new(&this);
        let child = child.args(["--exact", name]).env(CHILD, fault).output().unwrap();
        assert_eq!(child.status.signal(), Some(signal), "{child:?}");
    }
}
