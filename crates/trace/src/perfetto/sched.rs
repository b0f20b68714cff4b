// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel's own tracing would have given, CPU by CPU.
//!
//! Switches and wakings are columns (`compact_sched`). These do not say who leaves at a switch: it is
//! who came at the one before. Where that is not known, a switch is written as a whole event, and so
//! is a waking whose waker is somebody else than who runs there. So is what comes at the time of a whole
//! event, except after moves: of these Perfetto makes no track, so that it need not take them first.

use super::field::{
    self, CLONE_THREAD, IN_INTERRUPT, bundle, compact, event, frequency, life, switch, task,
};
use super::packets;
use crate::FREQUENCY;
use crate::protobuf::Message;
use rota_events::{CpuNumber, Event, Leaves, Paged, Tables, TaskInfo, TaskRef, TextRef, What};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The kernel's priority of nice 0.
const PRIORITY: i64 = 120;
/// So many events are kept before those of all CPUs are written.
const KEPT_MAX: usize = 1 << 17;
/// A name for each of so many tasks in a piece.
const NAMES_MAX: usize = 1 << 12;

/// Who is on a CPU, and what it did since the last piece was written.
#[derive(Debug, Default)]
struct Cpu {
    running: Option<TaskRef>,
    piece: Piece,
}

/// A piece of what a CPU did.
#[derive(Debug, Default)]
struct Piece {
    /// Something is missing before it.
    lost: bool,
    any: bool,
    numbers: BTreeMap<Name, u32>,
    names: Message,
    switches: [Message; 5],
    last_switch_ns: u64,
    wakings: [Message; 6],
    last_waking_ns: u64,
    /// Whole events that stand before the columns, and after them.
    moves: Message,
    events: Message,
    last: (u64, Stands),
}

/// What a task is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Idle,
    Text(TextRef),
    Unknown(TaskRef),
}

/// What is known of a task.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Where it ran last.
    cpu: Option<CpuNumber>,
    nice: i32,
    /// Its wake-up was asked for, and did not happen yet.
    asked: bool,
}

/// In which order what happened at one time stands in a piece: the moves that were first, switches before
/// wakings, and columns before whole events. Perfetto takes columns first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stands {
    #[default]
    Move,
    Switch,
    Waking,
    Whole,
}

/// What CPUs did.
#[derive(Debug, Default)]
pub(super) struct Sched {
    cpus: BTreeMap<CpuNumber, Cpu>,
    tasks: Paged<Known>,
    kept: usize,
}

impl Sched {
    /// Takes an event; writes what was kept if that is much.
    pub(super) fn add(
        &mut self,
        out: &mut dyn Write,
        tables: &Tables,
        event: &Event,
    ) -> io::Result<()> {
        match event.what() {
            What::Switch { from, leaves } => self.switch(event, tables, from, leaves),
            What::Waking { waker } => self.waking(event, tables, waker),
            What::Wakeup { on, waker } => {
                let asked = std::mem::take(&mut self.tasks.entry(event.task.0).asked);
                // Who is asked for wakes up: Perfetto goes by that.
                if asked {
                    return Ok(());
                }
                let says = self.wake(event.task, tables, event.cpu, on);
                self.whole(event, tables, waker, event::WAKEUP_NEW, &says);
            }
            What::Migrate { from, to } => {
                // There are many, Perfetto knows the name by the id, and it is the longest part.
                let says = Message::default()
                    .signed(task::PID, pid(event.task, tables))
                    .signed(task::PRIO, self.priority(event.task))
                    .signed(task::MOVE_FROM, from.0.into())
                    .signed(task::MOVE_TO, to.0.into());
                let running = self.running(event.cpu);
                self.whole(event, tables, running, event::MIGRATE, &says);
            }
            What::Fork { parent, .. } => self.fork(event, tables, parent),
            What::Exit => {
                let tgid = tables.task_of(event.task).map_or(0, |info| info.tgid);
                let says = self
                    .named(event.task, tables, event.cpu)
                    .signed(task::EXIT_TGID, tgid.into())
                    .signed(task::EXIT_PRIO, self.priority(event.task));
                self.whole(event, tables, event.task, event::EXIT, &says);
                *self.tasks.entry(event.task.0) = Known::default();
            }
            What::Weight { nice, .. } => {
                self.tasks.entry(event.task.0).nice = nice;
                return Ok(());
            }
            What::Counter { name, value } if tables.text_of(name) == FREQUENCY => {
                let says = Message::default()
                    .number(frequency::KHZ, value)
                    .number(frequency::CPU, event.cpu.0.into());
                let running = self.running(event.cpu);
                self.whole(event, tables, running, event::FREQUENCY, &says);
            }
            // The next switch says itself who leaves.
            What::Hidden => {
                self.cpus.entry(event.cpu).or_default().running = None;
                return Ok(());
            }
            What::Lost { .. } => {
                let cpu = self.cpus.entry(event.cpu).or_default();
                cpu.running = None;
                if cpu.piece.any {
                    std::mem::take(&mut cpu.piece).write(out, event.cpu)?;
                }
                cpu.piece.lost = true;
                return Ok(());
            }
            _ => return Ok(()),
        }
        self.kept += 1;
        let many = self.cpus.get(&event.cpu).is_some_and(|cpu| cpu.piece.numbers.len() > NAMES_MAX);
        if self.kept >= KEPT_MAX || many { self.flush(out) } else { Ok(()) }
    }

    /// Writes what was kept.
    pub(super) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.kept = 0;
        for (number, cpu) in &mut self.cpus {
            std::mem::take(&mut cpu.piece).write(out, *number)?;
        }
        Ok(())
    }

    fn switch(&mut self, event: &Event, tables: &Tables, from: TaskRef, leaves: Leaves) {
        let state = if from.is_some() { state(leaves) } else { state(Leaves::Runnable) };
        let prio = self.priority(event.task);
        if event.task.is_some() {
            let known = self.tasks.entry(event.task.0);
            (known.cpu, known.asked) = (Some(event.cpu), false);
        }
        let cpu = self.cpus.entry(event.cpu).or_default();
        let known = cpu.running.replace(event.task) == Some(from);
        if known && cpu.piece.comes(event.time_ns, Stands::Switch) {
            let name = cpu.piece.name(event.task, event.cpu, tables);
            return cpu
                .piece
                .switch(event.time_ns, [state, pid(event.task, tables), prio, name.into()]);
        }
        let says = Message::default()
            .text(switch::FROM_NAME, &text(from, event.cpu, tables))
            .signed(switch::FROM_PID, pid(from, tables))
            .signed(switch::FROM_PRIO, self.priority(from))
            .signed(switch::FROM_STATE, state)
            .text(switch::TO_NAME, &text(event.task, event.cpu, tables))
            .signed(switch::TO_PID, pid(event.task, tables))
            .signed(switch::TO_PRIO, prio);
        self.whole(event, tables, from, event::SWITCH, &says);
    }

    fn waking(&mut self, event: &Event, tables: &Tables, waker: TaskRef) {
        let prio = self.priority(event.task);
        let known = self.tasks.entry(event.task.0);
        known.asked = true;
        // The kernel names the CPU that it was on.
        let target = known.cpu.unwrap_or(event.cpu);
        let cpu = self.cpus.entry(event.cpu).or_default();
        let known = cpu.running.is_some_and(|running| waker == running || !waker.is_some());
        if known && cpu.piece.comes(event.time_ns, Stands::Waking) {
            let name = cpu.piece.name(event.task, event.cpu, tables);
            let flags = if waker.is_some() { 0 } else { IN_INTERRUPT.cast_signed() };
            let pid = pid(event.task, tables);
            return cpu
                .piece
                .waking(event.time_ns, [pid, target.0.into(), prio, name.into(), flags]);
        }
        let says = self.wake(event.task, tables, event.cpu, target);
        self.whole(event, tables, waker, event::WAKING, &says);
    }

    fn fork(&mut self, event: &Event, tables: &Tables, parent: TaskRef) {
        let tgid = |task| tables.task_of(task).map(|info: &TaskInfo| info.tgid);
        let thread = tgid(parent).is_some() && tgid(parent) == tgid(event.task);
        let says = Message::default()
            .signed(life::PID, pid(event.task, tables))
            .text(life::NEW_NAME, &text(event.task, event.cpu, tables))
            .number(life::CLONE_FLAGS, if thread { CLONE_THREAD } else { 0 });
        self.whole(event, tables, parent, event::NEW_TASK, &says);
    }

    /// Adds an event as a whole. What nobody does, in an interrupt, the idle task does: Perfetto takes flags
    /// in columns only, and shows a nameless event for those of whole ones.
    fn whole(&mut self, event: &Event, tables: &Tables, by: TaskRef, field: u32, says: &Message) {
        let whole = Message::default()
            .number(event::TIMESTAMP, event.time_ns)
            .number(event::PID, u64::from(pid(by, tables) as u32));
        let piece = &mut self.cpus.entry(event.cpu).or_default().piece;
        piece.any = true;
        let moves = matches!(event.what(), What::Migrate { .. });
        let list = if moves && piece.comes(event.time_ns, Stands::Move) {
            &mut piece.moves
        } else {
            piece.last = (event.time_ns, Stands::Whole);
            &mut piece.events
        };
        list.add_message(bundle::EVENT, &whole.message(field, says));
    }

    fn named(&self, task: TaskRef, tables: &Tables, cpu: CpuNumber) -> Message {
        Message::default()
            .text(task::NAME, &text(task, cpu, tables))
            .signed(task::PID, pid(task, tables))
    }

    fn wake(&self, task: TaskRef, tables: &Tables, cpu: CpuNumber, on: CpuNumber) -> Message {
        self.named(task, tables, cpu)
            .signed(task::PRIO, self.priority(task))
            .signed(task::SUCCESS, 1)
            .signed(task::TARGET_CPU, on.0.into())
    }

    fn running(&self, cpu: CpuNumber) -> TaskRef {
        self.cpus.get(&cpu).and_then(|cpu| cpu.running).unwrap_or_default()
    }

    fn priority(&self, task: TaskRef) -> i64 {
        PRIORITY + i64::from(self.tasks.get(task.0).map_or(0, |known| known.nice))
    }
}

impl Piece {
    /// Whether something may stand there and still be taken after all that happened before it.
    fn comes(&mut self, time_ns: u64, stands: Stands) -> bool {
        let next = (time_ns, stands);
        let comes = next.0 != self.last.0 || next.1 >= self.last.1;
        if comes {
            self.last = next;
        }
        comes
    }

    /// The number of a name in this piece.
    fn name(&mut self, task: TaskRef, cpu: CpuNumber, tables: &Tables) -> u32 {
        let name = match tables.task_of(task) {
            Some(info) => Name::Text(info.name),
            None if task.is_some() => Name::Unknown(task),
            None => Name::Idle,
        };
        let next = self.numbers.len() as u32;
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.add_text(compact::NAMES, &text(task, cpu, tables));
            next
        })
    }

    fn switch(&mut self, time_ns: u64, says: [i64; 4]) {
        self.any = true;
        let [times, columns @ ..] = &mut self.switches;
        // Wraps if the recording goes back.
        times.push(time_ns.wrapping_sub(std::mem::replace(&mut self.last_switch_ns, time_ns)));
        columns.iter_mut().zip(says).for_each(|(column, value)| column.push(value as u64));
    }

    fn waking(&mut self, time_ns: u64, says: [i64; 5]) {
        self.any = true;
        let [times, columns @ ..] = &mut self.wakings;
        times.push(time_ns.wrapping_sub(std::mem::replace(&mut self.last_waking_ns, time_ns)));
        columns.iter_mut().zip(says).for_each(|(column, value)| column.push(value as u64));
    }

    /// Writes it, if there is anything in it.
    fn write(self, out: &mut dyn Write, cpu: CpuNumber) -> io::Result<()> {
        if !self.any && !self.lost {
            return Ok(());
        }
        let mut packet = Message::default().number(bundle::CPU, cpu.0.into());
        packet.append(&self.moves);
        if self.lost {
            packet = packet.number(bundle::LOST, 1);
        }
        if !self.numbers.is_empty() {
            let mut columns = self.names;
            for (field, column) in SWITCH_COLUMNS.into_iter().zip(&self.switches) {
                columns = columns.packed(field, column);
            }
            for (field, column) in WAKING_COLUMNS.into_iter().zip(&self.wakings) {
                columns = columns.packed(field, column);
            }
            packet = packet.message(bundle::COMPACT, &columns);
        }
        packet.append(&self.events);
        packets::write(out, &packets::own().message(field::packet::FTRACE_EVENTS, &packet))
    }
}

/// Columns in the order in which they are kept.
const SWITCH_COLUMNS: [u32; 5] = [
    compact::SWITCH_TIME,
    compact::SWITCH_STATE,
    compact::SWITCH_PID,
    compact::SWITCH_PRIO,
    compact::SWITCH_NAME,
];
const WAKING_COLUMNS: [u32; 6] = [
    compact::WAKING_TIME,
    compact::WAKING_PID,
    compact::WAKING_CPU,
    compact::WAKING_PRIO,
    compact::WAKING_NAME,
    compact::WAKING_FLAGS,
];

/// A thread id; of nobody, that of the idle task.
pub(super) fn pid(task: TaskRef, tables: &Tables) -> i64 {
    tables.task_of(task).map_or(i64::from(task.0), |info| info.pid.into())
}

/// A name; of nobody, that of a CPU's idle task.
fn text(task: TaskRef, cpu: CpuNumber, tables: &Tables) -> String {
    match tables.task_of(task) {
        Some(info) => tables.text_of(info.name).to_owned(),
        None if task.is_some() => tables.task_name(task),
        None => format!("swapper/{}", cpu.0),
    }
}

/// The number that the kernel's tracing has for how a task leaves its CPU (kernel:
/// `include/linux/sched.h`, the states that are reported, since 4.14).
fn state(leaves: Leaves) -> i64 {
    match leaves {
        Leaves::Runnable => 0,
        Leaves::Sleeping | Leaves::Other => 1,
        Leaves::Uninterruptible => 2,
        Leaves::Stopped => 4,
        Leaves::Traced => 8,
        Leaves::Dead => 16,
        Leaves::Zombie => 32,
        Leaves::Parked => 64,
        Leaves::Idle => 128,
        Leaves::Preempted => 256,
    }
}
