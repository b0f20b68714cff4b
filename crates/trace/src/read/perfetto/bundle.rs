// SPDX-License-Identifier: GPL-2.0-or-later
//! An `FtraceEventBundle`: what a CPU did for a while.

use super::session::{WHO_RUNS, nameless};
use crate::perfetto::field::{
    CLONE_THREAD, IN_INTERRUPT, bundle, compact, event, fork, frequency, life, switch, task,
};
use crate::protobuf::{Fields, Held, Numbers};
use crate::read::kernel::{Named, Point};
use rota_events::Leaves;

/// The longest name that the kernel has.
const NAME_BYTES_MAX: usize = 15;

/// What is told of who is born.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Birth {
    #[default]
    Process,
    /// A thread of the same process.
    Thread,
    /// One of both, and perhaps it was told already.
    Either,
}

impl Birth {
    /// The number by which it is kept, and back.
    pub(super) fn number(self) -> i32 {
        self as i32
    }

    pub(super) fn of_number(number: i32) -> Self {
        [Self::Process, Self::Thread, Self::Either]
            .into_iter()
            .find(|birth| birth.number() == number)
            .unwrap_or_default()
    }
}

/// Something that was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) time_ns: u64,
    /// Who did it.
    pub(super) by: i32,
    pub(super) interrupt: bool,
    /// What is born, if anything is.
    pub(super) birth: Birth,
    pub(super) point: Point<Named<'a>>,
}

/// What a bundle says.
#[derive(Debug, Default)]
pub(super) struct Bundle<'a> {
    pub(super) cpu: u32,
    /// Something is missing before it.
    pub(super) lost: bool,
    /// If times are the same, in their order.
    pub(super) entries: Vec<Entry<'a>>,
    /// What is wrong, if it can be read at all.
    pub(super) wrong: Option<&'static str>,
}

/// Reads a bundle, as far as it is whole; and whether it is.
pub(super) fn entries(bytes: &[u8], old_states: bool) -> (Bundle<'_>, bool) {
    let mut found = Bundle::default();
    let mut whole = true;
    for field in Fields::new(bytes) {
        let read = match field {
            Ok((bundle::CPU, Held::Number(cpu))) => {
                found.cpu = cpu as u32;
                Some(())
            }
            Ok((bundle::LOST, Held::Number(lost))) => {
                found.lost |= lost != 0;
                Some(())
            }
            Ok((bundle::EVENT, Held::Bytes(bytes))) => {
                whole_event(bytes, old_states).map(|event| found.entries.extend(event))
            }
            Ok((bundle::COMPACT, Held::Bytes(bytes))) => columns(bytes, old_states, &mut found),
            Ok(_) => Some(()),
            Err(()) => None,
        };
        whole &= read.is_some();
    }
    (found, whole)
}

/// How a task with this state leaves its CPU (kernel: `include/linux/sched.h`; before 4.14 what had
/// ended had other numbers, and what was preempted one of the highest).
fn leaves(state: u64, old: bool) -> Leaves {
    let preempted = if old { 0x800 | 0x1000 } else { 0x100 };
    if state & preempted != 0 {
        return Leaves::Preempted;
    }
    match (state & 0xff, old) {
        (0, _) => Leaves::Runnable,
        (bits, _) if bits & 1 != 0 => Leaves::Sleeping,
        (bits, _) if bits & 2 != 0 => Leaves::Uninterruptible,
        (bits, _) if bits & 4 != 0 => Leaves::Stopped,
        (bits, _) if bits & 8 != 0 => Leaves::Traced,
        (bits, _) if bits & 16 != 0 => Leaves::Dead,
        (bits, _) if bits & 32 != 0 => Leaves::Zombie,
        (bits, false) if bits & 64 != 0 => Leaves::Parked,
        (_, false) => Leaves::Idle,
        (_, true) => Leaves::Other,
    }
}

/// Switches and wakings as columns. Columns must be as long as each other: what is longer is left out.
fn columns<'a>(bytes: &'a [u8], old_states: bool, found: &mut Bundle<'a>) -> Option<()> {
    let mut names: Vec<&'a [u8]> = Vec::new();
    let mut columns = [&[][..]; 13];
    for field in Fields::new(bytes) {
        match field.ok()? {
            (compact::NAMES, Held::Bytes(name)) => names.push(cut(name)),
            (field, Held::Bytes(bytes)) => {
                if let Some(column) = columns.get_mut(field as usize) {
                    *column = bytes;
                }
            }
            _ => {}
        }
    }
    let column = |field: u32| Numbers::new(columns[field as usize]);
    let name = |number: u64| names.get(number as usize).copied().unwrap_or_default();
    let mut now_ns = 0_u64;
    let mut states = column(compact::SWITCH_STATE);
    let (mut pids, mut numbers) = (column(compact::SWITCH_PID), column(compact::SWITCH_NAME));
    let mut prios = column(compact::SWITCH_PRIO);
    let mut as_long = true;
    for step in column(compact::SWITCH_TIME) {
        now_ns = now_ns.wrapping_add(step);
        let says = (states.next(), pids.next(), numbers.next(), prios.next());
        let (Some(state), Some(pid), Some(number), Some(_)) = says else {
            as_long = false;
            break;
        };
        let to = Named { pid: pid as i32, name: name(number) };
        let leaves = leaves(state, old_states);
        let point = Point::Switch { from: nameless(WHO_RUNS), leaves, to };
        found.entries.push(Entry {
            time_ns: now_ns,
            by: WHO_RUNS,
            interrupt: false,
            birth: Birth::default(),
            point,
        });
    }
    let mut now_ns = 0_u64;
    let (mut pids, mut numbers) = (column(compact::WAKING_PID), column(compact::WAKING_NAME));
    let mut flags = column(compact::WAKING_FLAGS);
    for step in column(compact::WAKING_TIME) {
        now_ns = now_ns.wrapping_add(step);
        let (Some(pid), Some(number)) = (pids.next(), numbers.next()) else {
            as_long = false;
            break;
        };
        // Traces of old versions have no flags.
        let interrupt = flags.next().unwrap_or(0) & IN_INTERRUPT != 0;
        let task = Named { pid: pid as i32, name: name(number) };
        let (by, birth, point) = (WHO_RUNS, Birth::default(), Point::Waking { task });
        found.entries.push(Entry { time_ns: now_ns, by, interrupt, birth, point });
    }
    if !as_long {
        found.wrong = Some("columns of switches or wakings are not as long as each other");
    }
    Some(())
}

/// A name as the kernel would have it: other programs write longer ones.
fn cut(name: &[u8]) -> &[u8] {
    &name[..name.len().min(NAME_BYTES_MAX)]
}

/// An `FtraceEvent`: nothing if it is damaged, none if it is of no interest.
fn whole_event(bytes: &[u8], old_states: bool) -> Option<Option<Entry<'_>>> {
    let (mut time_ns, mut by, mut flags) = (0, 0, 0);
    let mut says = None;
    for field in Fields::new(bytes) {
        match field.ok()? {
            (event::TIMESTAMP, Held::Number(number)) => time_ns = number,
            (event::PID, Held::Number(number)) => by = number as i32,
            (event::FLAGS, Held::Number(number)) => flags = number,
            (field, Held::Bytes(bytes)) => says = Some((field, bytes)),
            _ => {}
        }
    }
    let Some((kind, bytes)) = says else { return Some(None) };
    let says = Says::of(bytes)?;
    let one = || says.task(task::PID, task::NAME);
    let mut birth = Birth::default();
    let point = match kind {
        event::SWITCH => Point::Switch {
            from: says.task(switch::FROM_PID, switch::FROM_NAME),
            leaves: leaves(says.number(switch::FROM_STATE), old_states),
            to: says.task(switch::TO_PID, switch::TO_NAME),
        },
        event::WAKING => Point::Waking { task: one() },
        event::WAKEUP => Point::Wakeup { task: one(), on: says.number(task::TARGET_CPU) as u32 },
        event::WAKEUP_NEW => {
            Point::WakeupNew { task: one(), on: says.number(task::TARGET_CPU) as u32 }
        }
        event::MIGRATE => Point::Migrate {
            task: one(),
            from: says.number(task::MOVE_FROM) as u32,
            to: says.number(task::MOVE_TO) as u32,
        },
        event::NEW_TASK => {
            if says.number(life::CLONE_FLAGS) & CLONE_THREAD != 0 {
                birth = Birth::Thread;
            }
            let child = says.task(life::PID, life::NEW_NAME);
            Point::Fork { parent: nameless(by), child }
        }
        event::FORK => {
            birth = Birth::Either;
            Point::Fork {
                parent: says.task(fork::PARENT_PID, fork::PARENT_NAME),
                child: says.task(fork::CHILD_PID, fork::CHILD_NAME),
            }
        }
        event::RENAME => Point::Rename { task: says.task(life::PID, life::RENAMED_NAME) },
        event::EXIT => Point::Exit { task: one() },
        event::FREQUENCY => {
            let cpu = says.number(frequency::CPU) as u32;
            Point::Frequency { cpu, khz: says.number(frequency::KHZ) }
        }
        _ => return Some(None),
    };
    let interrupt = flags & IN_INTERRUPT != 0;
    Some(Some(Entry { time_ns, by, interrupt, birth, point }))
}

/// Most fields that events of interest have.
const FIELDS: usize = 8;

/// What an event says, by the numbers of its fields.
struct Says<'a> {
    numbers: [u64; FIELDS],
    texts: [&'a [u8]; FIELDS],
}

impl<'a> Says<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut says = Self { numbers: [0; FIELDS], texts: [&[]; FIELDS] };
        for field in Fields::new(bytes) {
            let (field, held) = field.ok()?;
            let Some(place) = Some(field as usize).filter(|place| *place < FIELDS) else {
                continue;
            };
            match held {
                Held::Number(number) => says.numbers[place] = number,
                Held::Bytes(bytes) => says.texts[place] = bytes,
            }
        }
        Some(says)
    }

    fn number(&self, field: u32) -> u64 {
        self.numbers[field as usize]
    }

    fn task(&self, pid: u32, name: u32) -> Named<'a> {
        Named { pid: self.number(pid) as i32, name: cut(self.texts[name as usize]) }
    }
}
