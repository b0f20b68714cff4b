// SPDX-License-Identifier: GPL-2.0-or-later
//! Timers and deferred work (kernel: `kernel/bpf/helpers.c`).

use super::{Answer, value};
use crate::errno::Errno;
use crate::interleave::Lock;
use crate::machine::Machine;
use rota_bytecode::Fault;

/// Clocks that a timer can go by. All of them are one here.
const REALTIME: u64 = 0;
const MONOTONIC: u64 = 1;
const BOOTTIME: u64 = 7;

/// The time is that of the clock, not counted from now (kernel: `BPF_F_TIMER_ABS`).
const ABSOLUTE: u64 = 1;
/// It stays on this CPU (kernel: `BPF_F_TIMER_CPU_PIN`), as all do here.
const PINNED: u64 = 2;

/// The shortest time that hardware is set to.
const SHORTEST_NS: u64 = 1000;

fn refuse(error: Errno) -> Result<Answer, Fault> {
    value(error.value())
}

fn make(machine: &mut Machine, timer: u64, map: u64) -> Result<Answer, Fault> {
    if machine.timers.get(timer).is_some() {
        return refuse(Errno::Busy);
    }
    match machine.make_timer(timer, map) {
        true => value(0),
        false => Err(Fault { pointer: timer, size: 16, write: true }),
    }
}

/// `bpf_timer_init(timer, map, clock)`.
pub(super) fn init(
    machine: &mut Machine,
    [timer, map, clock, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    match clock {
        REALTIME | MONOTONIC | BOOTTIME => make(machine, timer, map),
        _ => refuse(Errno::Invalid),
    }
}

/// `bpf_timer_set_callback(timer, callback)`.
pub(super) fn set_callback(
    machine: &mut Machine,
    [timer, callback, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if machine.function_at(callback).is_none() {
        return Err(Fault { pointer: callback, size: 0, write: false });
    }
    let Some(timer) = machine.timers.get(timer) else { return refuse(Errno::Invalid) };
    timer.callback = Some(callback);
    value(0)
}

/// Whether a timer can be started: there is one, and it has a function.
fn is_ready(machine: &mut Machine, timer: u64) -> bool {
    machine.timers.get(timer).is_some_and(|timer| timer.callback.is_some())
}

/// `bpf_timer_start(timer, time, flags)`.
pub(super) fn start(
    machine: &mut Machine,
    [timer, time, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if flags & !(ABSOLUTE | PINNED) != 0 || !is_ready(machine, timer) {
        return refuse(Errno::Invalid);
    }
    let soonest = machine.now_ns.saturating_add(SHORTEST_NS);
    let due = if flags & ABSOLUTE == 0 { machine.now_ns.saturating_add(time) } else { time };
    machine.timers.arm(timer, due.max(soonest), machine.cpu);
    value(0)
}

/// `bpf_timer_cancel(timer)`: whether it was to come. It loses its function.
pub(super) fn cancel(machine: &mut Machine, [at, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let running = machine.timers.running;
    let Some(timer) = machine.timers.get(at) else { return refuse(Errno::Invalid) };
    if running == Some(at) {
        return refuse(Errno::Deadlock);
    }
    timer.callback = None;
    let disarmed = machine.timers.disarm(at);
    // Another CPU may be calling its function, and may be waiting for this one's to end.
    if machine.would_deadlock(Lock::Timer(at)) {
        return refuse(Errno::Deadlock);
    }
    match machine.pass(Lock::Timer(at)) {
        Ok(()) => value(u64::from(disarmed)),
        Err(stop) => Ok(Answer::Stop(stop)),
    }
}

/// `bpf_timer_cancel_async(timer)`: whether it was to come. It keeps its function.
pub(super) fn cancel_later(machine: &mut Machine, [timer, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let running = machine.timers.running;
    match machine.timers.get(timer) {
        None => refuse(Errno::Invalid),
        Some(_) if running == Some(timer) => refuse(Errno::NotPermitted),
        Some(_) => value(u64::from(machine.timers.disarm(timer))),
    }
}

/// `bpf_wq_init(work, map, flags)`.
pub(super) fn init_work(
    machine: &mut Machine,
    [work, map, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    match flags as u32 {
        0 => make(machine, work, map),
        _ => refuse(Errno::Invalid),
    }
}

/// `bpf_wq_set_callback(work, callback, flags)`.
pub(super) fn set_work(
    machine: &mut Machine,
    [work, callback, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    match flags as u32 {
        0 => set_callback(machine, [work, callback, 0, 0, 0]),
        _ => refuse(Errno::Invalid),
    }
}

/// `bpf_wq_start(work, flags)`: it is due very soon. What waits already is not put in twice.
pub(super) fn start_work(
    machine: &mut Machine,
    [work, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if flags as u32 != 0 || !is_ready(machine, work) {
        return refuse(Errno::Invalid);
    }
    if !machine.timers.is_armed(work) {
        let soon = machine.now_ns.saturating_add(SHORTEST_NS);
        machine.timers.arm(work, soon, machine.cpu);
    }
    value(0)
}
